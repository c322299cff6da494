package invite

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/journal"
	"holdfast/format/keys"
	"holdfast/format/wire"
)

// made are 32 bytes that follow from a text.
func made(text string) [32]byte { return sha256.Sum256([]byte(text)) }

func aPlace() journal.Place {
	folder := made("folder")
	return journal.Place{Folder: id.Folder(folder[:16]), Epoch: 3, Keys: journal.Keys{
		Read: journal.ReadKey(made("read")), Write: journal.WriteSeed(made("write")), Admin: journal.AdminSeed(made("admin")),
	}}
}

func invited(t testing.TB, role journal.Role, name string) *Invitation {
	t.Helper()
	i, err := For(aPlace(), aPlace().Keys.Public(), role, name)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func failName(err error) string {
	for name, known := range map[string]error{"encoding": wire.ErrEncoding, "padding": ErrPadding, "role": ErrRole, "foreign": ErrForeign} {
		if errors.Is(err, known) {
			return name
		}
	}
	if err != nil {
		return fmt.Sprintf("unnamed: %v", err)
	}
	return ""
}

type vector struct {
	golden.Name
	Text  golden.Hex    `json:"text"`
	Value golden.Object `json:"value,omitempty"`
	Again bool          `json:"again,omitempty"`
	Fail  string        `json:"fail,omitempty"`
}

// cases are texts, good and bad; those that are bad name how.
func cases(t *testing.T) []vector {
	var all []vector
	add := func(name string, text []byte, fail string) {
		all = append(all, vector{Name: golden.Name{Name: name}, Text: text, Fail: fail})
	}
	reader, writer, admin := invited(t, journal.Reads, "Photos"), invited(t, journal.Writes, "Zürich 2026"), invited(t, journal.Admins, strings.Repeat("n", 255))
	yes, no := &Answer{Folder: reader.Folder, Accepted: true}, &Answer{Folder: reader.Folder}
	for _, c := range []struct {
		name string
		text Text
	}{{"a reader", reader}, {"a writer", writer}, {"an administrator, with the longest name", admin}, {"accepted", yes}, {"declined", no}} {
		add(c.name, Encode(c.text), "")
	}
	changed := func(name string, of Text, fail string, change func(m map[int]any)) {
		m := plain(of)
		change(m)
		add(name, pad(wire.Marshal(m)), fail)
	}
	changed("with a key of a later version", reader, "", func(m map[int]any) { m[64] = "later" })
	changed("of kind 0", reader, "encoding", func(m map[int]any) { m[1] = 0 })
	changed("of kind 3", reader, "encoding", func(m map[int]any) { m[1] = 3 })
	changed("with an unknown key", reader, "encoding", func(m map[int]any) { m[12] = 1 })
	changed("an answer with a name", yes, "encoding", func(m map[int]any) { m[10] = "Photos" })
	changed("an answer without one", yes, "encoding", func(m map[int]any) { delete(m, 11) })
	changed("an invitation that is accepted", reader, "encoding", func(m map[int]any) { m[11] = 1 })
	for name, answer := range map[string]int{"an answer of 0": 0, "an answer of 3": 3} {
		changed(name, yes, "encoding", func(m map[int]any) { m[11] = answer })
	}
	for key, what := range map[int]string{2: "folder", 3: "epoch", 4: "role", 5: "read key", 8: "write public key", 9: "admin public key", 10: "name"} {
		changed("without "+what, reader, "encoding", func(m map[int]any) { delete(m, key) })
	}
	for name, epoch := range map[string]int{"in epoch 0": 0, "in epoch 4,097": 4097, "in epoch -1": -1} {
		changed(name, reader, "encoding", func(m map[int]any) { m[3] = epoch })
	}
	for name, role := range map[string]int{"of role 0": 0, "of role 4": 4} {
		changed(name, reader, "encoding", func(m map[int]any) { m[4] = role })
	}
	for name, text := range map[string]string{"with a path": "a/b", "with an empty name": "", "with the name ..": "..", "with a name of 256 bytes": strings.Repeat("n", 256), "with a name with NUL": "a\x00"} {
		changed(name, reader, "encoding", func(m map[int]any) { m[10] = text })
	}
	for key, what := range map[int]string{5: "read key", 6: "write seed", 7: "admin seed"} {
		changed("with a "+what+" of zeros", admin, "encoding", func(m map[int]any) { m[key] = make([]byte, 32) })
		changed("with a "+what+" of 31 bytes", admin, "encoding", func(m map[int]any) { m[key] = make([]byte, 31) })
	}
	changed("a reader who can write", writer, "role", func(m map[int]any) { m[4] = 1 })
	changed("a writer who cannot", writer, "role", func(m map[int]any) { delete(m, 6) })
	changed("a writer who administers", admin, "role", func(m map[int]any) { m[4] = 2 })
	changed("an administrator who cannot write", admin, "role", func(m map[int]any) { delete(m, 6) })
	changed("an administrator without the seed", admin, "role", func(m map[int]any) { delete(m, 7) })
	other := made("other")
	changed("with another write seed", writer, "foreign", func(m map[int]any) { m[6] = other[:] })
	changed("with another write key", writer, "foreign", func(m map[int]any) { m[8] = other[:] })
	changed("with another admin seed", admin, "foreign", func(m map[int]any) { m[7] = other[:] })
	paddings(reader, add)
	for i := range all {
		if all[i].Fail == "" {
			encoded, err := unpad(all[i].Text)
			must(t, err)
			all[i].Value, all[i].Again = golden.Value(t, encoded), true
			if _, unknown := all[i].Value["64"]; unknown {
				delete(all[i].Value, "64")
				all[i].Again = false
			}
		}
	}
	golden.Sort(all)
	return all
}

// paddings are ways in which a text may be longer or shorter than it says.
func paddings(reader Text, add func(name string, text []byte, fail string)) {
	good := Encode(reader)
	add("cut", good[:Size-1], "padding")
	add("a byte longer", append(bytes.Clone(good), 0), "padding")
	add("nothing", nil, "padding")
	long := bytes.Clone(good)
	long[2] = 4 // 1,024 and more
	add("longer than there is room", long, "padding")
	huge := bytes.Clone(good)
	huge[0] = 0xff
	add("longer than 2^31", huge, "padding")
	last := bytes.Clone(good)
	last[Size-1] = 1
	add("with a last byte that is not zero", last, "padding")
	short := bytes.Clone(good)
	short[3]--
	add("with a byte too few", short, "padding")
	more := bytes.Clone(good)
	more[3]++
	add("with a byte too many", more, "encoding")
	add("of no bytes", make([]byte, Size), "encoding")
}

// plain is a text's body as a map.
func plain(of Text) map[int]any {
	b := of.body()
	m := map[int]any{1: b.Kind, 2: b.Folder[:]}
	if b.Answer != 0 {
		m[11] = b.Answer
		return m
	}
	m[3], m[4], m[5], m[8], m[9], m[10] = b.Epoch, int64(b.Role), b.Read[:], b.WriteKey[:], b.AdminKey[:], b.Name
	if b.Write != nil {
		m[6] = b.Write[:]
	}
	if b.Admin != nil {
		m[7] = b.Admin[:]
	}
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestVectors(t *testing.T) {
	for _, c := range golden.Sync(t, "invite.json", "Invitations and answers (docs/format.md §27).", cases(t)) {
		got, err := Decode(c.Text)
		if failName(err) != c.Fail {
			t.Errorf("%s: %v", c.Name.Name, err)
		}
		if err != nil {
			continue
		}
		encoded, err := unpad(Encode(got))
		must(t, err)
		if value := golden.Value(t, encoded); !reflect.DeepEqual(value, c.Value) || c.Again != bytes.Equal(Encode(got), c.Text) {
			t.Errorf("%s: %v", c.Name.Name, value)
		}
	}
}

// TestRolesAreWhatTheirKeysDo: an invitation has the keys of its role and no other,
// and nobody invites who lacks them.
func TestRolesAreWhatTheirKeysDo(t *testing.T) {
	for role, want := range map[journal.Role][2]bool{journal.Reads: {true, true}, journal.Writes: {false, true}, journal.Admins: {false, false}} {
		i := invited(t, role, "x")
		if (i.Keys.Write.IsZero()) != want[0] || i.Keys.Admin.IsZero() != want[1] || i.Place().Keys != i.Keys || i.Anchor().Public != aPlace().Keys.Public() {
			t.Errorf("role %d: %+v", role, i)
		}
	}
	p := aPlace()
	public := p.Keys.Public()
	p.Keys.Admin = journal.AdminSeed{}
	if _, err := For(p, public, journal.Admins, "x"); !errors.Is(err, journal.ErrRight) {
		t.Errorf("a writer makes an administrator: %v", err)
	}
	if _, err := For(p, public, journal.Writes, "x"); err != nil {
		t.Error(err)
	}
	if _, err := For(p, public, journal.Nobody, "x"); !errors.Is(err, wire.ErrEncoding) {
		t.Errorf("nobody: %v", err)
	}
	p.Keys.Write = journal.WriteSeed(made("other"))
	if _, err := For(p, public, journal.Writes, "x"); !errors.Is(err, ErrForeign) {
		t.Errorf("another write seed: %v", err)
	}
}

// TestTextsLookAlike: a message shows by its length neither what it is nor what a
// folder is called.
func TestTextsLookAlike(t *testing.T) {
	from, to := keys.NewRoot(), keys.NewRoot()
	want := -1
	for _, text := range []Text{invited(t, journal.Reads, "x"), invited(t, journal.Admins, strings.Repeat("n", 255)), &Answer{}} {
		sealed := from.Send(to.Identity(), Purpose, Encode(text))
		if want < 0 {
			want = len(sealed)
		}
		if len(sealed) != want || len(sealed) > 3<<10 {
			t.Errorf("%d bytes, and %d before", len(sealed), want)
		}
		opened, err := to.Receive(from.Identity(), Purpose, sealed)
		must(t, err)
		got, err := Decode(opened)
		must(t, err)
		if !reflect.DeepEqual(got, text) {
			t.Errorf("%+v", got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range golden.Read[vector](f, "invite.json") {
		f.Add([]byte(c.Text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := Decode(b)
		if err != nil {
			if strings.HasPrefix(failName(err), "unnamed") {
				t.Fatal(err)
			}
			return
		}
		again, err := Decode(Encode(text))
		if err != nil || !reflect.DeepEqual(again, text) {
			t.Fatalf("%v, %+v and %+v", err, text, again)
		}
	})
}
