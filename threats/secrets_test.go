package threats

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/api"
	"holdfast/client/transfer"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/kdf"
	"holdfast/format/link"
	"holdfast/format/seal"
)

// planted is something that must not be found.
type planted struct {
	what string
	raw  []byte
}

// forms are the ways in which bytes may stand in other bytes: as they are, as
// hexadecimal, in base64 of both alphabets wherever they begin, percent-encoded.
func (p planted) forms() map[string][]byte {
	out := map[string][]byte{
		"raw": p.raw, "hex": []byte(hex.EncodeToString(p.raw)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(p.raw))),
		"query": []byte(url.QueryEscape(string(p.raw))), "path": []byte(url.PathEscape(string(p.raw))),
	}
	var percent, lower strings.Builder
	for _, b := range p.raw {
		fmt.Fprintf(&percent, "%%%02X", b)
		fmt.Fprintf(&lower, "%%%02x", b)
	}
	out["percent"], out["percent, lower"] = []byte(percent.String()), []byte(lower.String())
	for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		for shift := range 3 {
			text := encoding.EncodeToString(append(make([]byte, shift), p.raw...))
			from := (shift*8 + 5) / 6          // characters that the bytes before have a part in
			to := (shift + len(p.raw)) * 8 / 6 // and those behind
			out[fmt.Sprintf("%s+%d", name, shift)] = []byte(text[from:to])
		}
	}
	return out
}

// finder looks for many secrets at once.
type finder struct {
	starts  [1 << 21]uint64     // a bit for the first three bytes of each needle
	needles map[uint64][]needle // by their first eight bytes
}

type needle struct {
	what  string
	bytes []byte
}

func newFinder(all []planted) *finder {
	f := &finder{needles: map[uint64][]needle{}}
	for _, p := range all {
		for form, b := range p.forms() {
			at := uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
			f.starts[at>>6&(1<<21-1)] |= 1 << (at & 63)
			key := binary.BigEndian.Uint64(b)
			f.needles[key] = append(f.needles[key], needle{p.what + " (" + form + ")", b})
		}
	}
	return f
}

// search reports every form of every secret in a haystack.
func (f *finder) search(t *testing.T, where string, haystack []byte) {
	t.Helper()
	for i := 0; i+8 <= len(haystack); i++ {
		at := uint32(haystack[i])<<16 | uint32(haystack[i+1])<<8 | uint32(haystack[i+2])
		if f.starts[at>>6]&(1<<(at&63)) == 0 {
			continue
		}
		for _, n := range f.needles[binary.BigEndian.Uint64(haystack[i:])] {
			if bytes.HasPrefix(haystack[i:], n.bytes) {
				t.Errorf("%s: %s stands there", where, n.what)
			}
		}
	}
}

// disk searches everything below a folder, names included.
func (f *finder) disk(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) { // moved meanwhile
			return nil
		}
		f.search(t, "name on disk", []byte(path))
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		f.search(t, path, raw)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// with adds hashes of a secret: what stands for it gives it away to whoever can guess.
func with(what string, raw []byte) []planted {
	one, two := sha256.Sum256(raw), sha512.Sum512(raw)
	name := blob.Name(raw)
	text := sha256.Sum256([]byte(id.Encoding.EncodeToString(raw)))
	return []planted{
		{what, raw}, {"SHA-256 of " + what, one[:]}, {"SHA-512 of " + what, two[:]}, {"BLAKE3 of " + what, name[:]},
		{"SHA-256 of the text of " + what, text[:]},
	}
}

// plantedSend is a send with secrets in every place, and those secrets.
type plantedSend struct {
	result   *transfer.Result
	password string
	keys     link.Keys
	never    []planted // nowhere but with the two ends
	bearers  []planted // on the wire only
	sent     *tape
}

const visitor = "planted-visitor-7f3a9c"

func plant(t *testing.T) plantedSend {
	t.Helper()
	mark := func(what string) string { return what + "-" + strings.ToLower(rand.Text()) }
	p := plantedSend{password: mark("planted-password")}
	title, name, inner, content := mark("planted-title"), mark("planted-name"), mark("planted-folder"), mark("planted-content")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, name), []byte(strings.Repeat(content, 100)))
	large := append(bytes.Repeat([]byte(content), 10), noise(9<<20, 50)...)
	writeFile(t, filepath.Join(dir, inner, name+".large"), append(large, content...))
	// Whoever passes on what callers are must not make anybody keep it.
	play(t, evil{request: func(x *exchange) bool {
		for _, h := range []string{"User-Agent", "X-Forwarded-For", "Forwarded", "Referer", "X-Real-Ip", "Cookie"} {
			x.req.Header.Set(h, visitor)
		}
		return false
	}})
	p.result, p.sent = send(t, transfer.SendOptions{
		Paths: []string{filepath.Join(dir, name), filepath.Join(dir, inner)}, Name: title, Password: p.password,
	})
	for what, text := range map[string]string{"title": title, "file name": name, "folder name": inner, "content": content, "password": p.password, "fragment": p.result.Link.Fragment()} {
		p.never = append(p.never, with("the "+what, []byte(text))...)
	}
	p.addKeys(t)
	return p
}

func (p *plantedSend) addKeys(t *testing.T) {
	t.Helper()
	l := p.result.Link
	var err error
	if p.keys, err = l.Keys(p.password); err != nil {
		t.Fatal(err)
	}
	manage, err := link.ParseSecret(p.result.Manage)
	if err != nil {
		t.Fatal(err)
	}
	for what, raw := range map[string]link.Secret{"link secret": l.Secret, "final key": p.keys.Final, "record key": p.keys.Record, "management secret": manage} {
		p.never = append(p.never, with("the "+what, raw[:])...)
	}
	p.bearers = append(p.bearers, planted{"auth", p.keys.Auth[:]})
	c, _ := newClient(t)
	share, err := c.Open(limited(t), l, transfer.OpenOptions{Password: p.password})
	if err != nil {
		t.Fatal(err)
	}
	released := map[id.Revision]api.RevisionEntry{}
	revisions, _ := p.sent.committed(t)
	for _, r := range revisions {
		released[r.ID] = r
	}
	for _, d := range share.Entries {
		if d.Content == nil {
			continue
		}
		r := released[d.Content.Revision]
		contentKey, err := hkdf.Key(sha256.New, d.Content.Key[:], r.ReleaseKey[:], "holdfast/v1/content-key\x00"+string(d.Content.Revision[:]), 32)
		if err != nil {
			t.Fatal(err)
		}
		aad := "holdfast/v1/content\x00" + string(d.Content.File[:]) + string(d.Content.Revision[:])
		segmentKey, err := hkdf.Key(sha256.New, contentKey, r.Salt[:], aad, 32)
		if err != nil {
			t.Fatal(err)
		}
		p.never = append(p.never, with("a file key", d.Content.Key[:])...)
		p.never = append(p.never, planted{"a content key", contentKey}, planted{"a segment key", segmentKey}, planted{"a file id", d.Content.File[:]})
	}
}

// TestThreat17NothingReachesThem: all that passes between the client, the server
// and the nodes during a send and a receive, all that they write and log.
func TestThreat17NothingReachesThem(t *testing.T) {
	p := plant(t)
	received := taped(t)
	target := t.TempDir()
	c, _ := newClient(t)
	if _, err := c.Receive(limited(t), p.result.Link, transfer.ReceiveOptions{Target: target, Password: p.password}); err != nil {
		t.Fatal(err)
	}
	if len(files(t, target)) != 2 {
		t.Fatal("not everything came")
	}
	wires := newFinder(p.never)
	for what, tp := range map[string]*tape{"send": p.sent, "receive": received} {
		if len(tp.calls(api.GetBlob))+len(tp.calls(api.PutBlob)) == 0 {
			t.Fatalf("nothing of the %s was taken down: this test sees nothing", what)
		}
		for _, x := range tp.ofClients() {
			wires.search(t, what+", "+x.at.name+" "+x.req.Method+" "+x.req.URL.Path, x.wire())
		}
	}
	for _, x := range received.calls(api.StartSession.Info) {
		var s api.LinkAuth // the token is drawn by the client
		if err := json.Unmarshal(x.sent, &s); err != nil {
			t.Fatal(err)
		}
		p.bearers = append(p.bearers, planted{"session", []byte(s.Session)})
	}
	kept := append(append([]planted{}, p.never...), p.bearers...)
	kept = append(kept, planted{"who the visitor is", []byte(visitor)})
	logs := service.logs.bytes()
	if !bytes.Contains(logs, []byte("level=")) {
		t.Fatal("nothing was logged: this test sees nothing")
	}
	disks := newFinder(kept)
	disks.search(t, "logs", logs)
	disks.disk(t, filepath.Join(service.dir, "server"))
	for _, m := range service.nodes {
		disks.disk(t, m.dir)
	}
}

// TestThreat17SearchFinds: the search itself, in every form and alignment.
func TestThreat17SearchFinds(t *testing.T) {
	secret := []byte("a planted secret?>")
	forms := (planted{"", secret}).forms()
	for name, text := range map[string]string{
		"raw": "x" + string(secret) + "y", "hex": hex.EncodeToString(append([]byte("12"), secret...)),
		"base64": base64.StdEncoding.EncodeToString(secret), "base64 in the middle": base64.StdEncoding.EncodeToString([]byte("ab" + string(secret) + "cde")),
		"base64url": base64.URLEncoding.EncodeToString([]byte("a" + string(secret) + "!")), "query": url.Values{"q": {string(secret)}}.Encode(),
	} {
		found := false
		for _, form := range forms {
			found = found || strings.Contains(text, string(form))
		}
		if !found {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
	where, f := noise(1<<20, 60), newFinder([]planted{{"it", secret}})
	for _, at := range []int{0, 1000, len(where) - len(secret)} {
		copy(where[at:], secret)
	}
	hits := 0
	for _, all := range f.needles {
		for _, n := range all {
			hits += bytes.Count(where, n.bytes)
		}
	}
	if hits < 3 {
		t.Errorf("%d of 3 found", hits)
	}
}

// dump is a copy of the server's database, as a backup or a thief has it.
func dump(t *testing.T) []byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(service.dir, "server", "*.db*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no database: %v", err)
	}
	var all []byte
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw...)
	}
	return all
}

// TestThreat27Dump: a thief of the database finds none of the secrets, nothing
// that acts for anybody, and, even with the fragment, nothing on which a password
// could be tried without stretching it.
func TestThreat27Dump(t *testing.T) {
	p := plant(t)
	l := p.result.Link
	received := taped(t)
	c, _ := newClient(t)
	if _, err := c.Receive(limited(t), l, transfer.ReceiveOptions{Target: t.TempDir(), Password: p.password}); err != nil {
		t.Fatal(err)
	}
	stolen := dump(t)
	secrets := append(append([]planted{}, p.never...), p.bearers...)
	secrets = append(secrets, planted{"who the visitor is", []byte(visitor)})
	bearer := func(raw []byte) {
		var said struct{ Secret, Session string }
		if err := json.Unmarshal(raw, &said); err != nil {
			t.Fatal(err)
		}
		text := said.Secret + said.Session // one of them
		if text == "" {
			t.Fatal("no bearer's secret: this test sees nothing")
		}
		secrets = append(secrets, planted{"a bearer's secret", []byte(text)}, planted{"a bearer's secret", decoded(t, text)})
	}
	for _, x := range p.sent.calls(api.OpenUpload.Info) {
		bearer(x.body)
	}
	for _, x := range received.calls(api.StartSession.Info) {
		bearer(x.sent)
	}
	newFinder(secrets).search(t, "dump", stolen)

	hash := link.AuthHash(p.keys.Auth)
	if !bytes.Contains(stolen, hash[:]) {
		t.Fatal("the link is not in the dump: this test sees nothing")
	}
	record := recordOf(t, p)
	if !bytes.Contains(stolen, record) {
		t.Fatal("the record is not in the dump: this test sees nothing")
	}
	sum := sha256.Sum256([]byte(p.password))
	for what, cheap := range map[string][]byte{"nothing": nil, "the password": []byte(p.password), "its hash": sum[:], "zeros": make([]byte, 32)} {
		final := kdf.Key32(append(append([]byte{}, l.Secret[:]...), cheap...), kdf.LinkFinal, l.Handle[:])
		hash := link.AuthHash(kdf.Key32(final[:], kdf.LinkAuth, l.Handle[:]))
		if bytes.Contains(stolen, hash[:]) {
			t.Errorf("a guess can be tested with %s, unstretched", what)
		}
		if _, err := seal.OpenRecord(kdf.Key32(final[:], kdf.LinkRecord, l.Handle[:]), "link", l.Handle[:], record, link.MaxRecord); err == nil {
			t.Errorf("the record opens with %s, unstretched", what)
		}
	}
}

func recordOf(t *testing.T, p plantedSend) []byte {
	t.Helper()
	var req api.CommitRequest
	commits := p.sent.calls(api.CommitUpload.Info)
	if err := json.Unmarshal(commits[len(commits)-1].sent, &req); err != nil {
		t.Fatal(err)
	}
	return decoded(t, req.Link.Record)
}
