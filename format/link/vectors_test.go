package link

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
)

// run is n bytes counting up from first.
func run(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

type vector struct {
	golden.Name
	Handle       golden.Hex `json:"handle"`
	Fragment     string     `json:"fragment"`
	Flags        *int       `json:"flags,omitempty"`
	Secret       golden.Hex `json:"secret,omitempty"`
	Base         string     `json:"base,omitempty"`
	URL          string     `json:"url,omitempty"`
	Password     string     `json:"password,omitempty"`
	PasswordKey  golden.Hex `json:"passwordKey,omitempty"`
	FinalKey     golden.Hex `json:"finalKey,omitempty"`
	Auth         golden.Hex `json:"auth,omitempty"`
	AuthHash     golden.Hex `json:"authHash,omitempty"`
	RecordKey    golden.Hex `json:"recordKey,omitempty"`
	ManageSecret golden.Hex `json:"manageSecret,omitempty"`
	ManageHash   golden.Hex `json:"manageHash,omitempty"`
	Fail         string     `json:"fail,omitempty"`
}

// handleFrom and secretFrom make the values of the vectors.
func handleFrom(first byte) id.Handle { return id.Handle(run(first, id.Size)) }
func secretFrom(first byte) Secret    { return Secret(run(first, id.Size32)) }

func goodLink(t *testing.T, name string, handle, secret byte, base, pass string) vector {
	l := Link{Handle: handleFrom(handle), Secret: secretFrom(secret)}
	if pass != "" {
		l.Flags = NeedsPassword
	}
	keys, err := l.Keys(pass)
	if err != nil {
		t.Fatal(err)
	}
	authHash, manageHash := AuthHash(keys.Auth), ManageHash(l.Handle, secretFrom(secret+7))
	flags := int(l.Flags)
	v := vector{
		Name: golden.Name{Name: name}, Handle: l.Handle[:], Fragment: l.Fragment(), Flags: &flags, Secret: l.Secret[:],
		Base: base, URL: l.URL(base), Password: pass, FinalKey: keys.Final[:], Auth: keys.Auth[:], AuthHash: authHash[:],
		RecordKey: keys.Record[:], ManageSecret: run(secret+7, id.Size32), ManageHash: manageHash[:],
	}
	if pass != "" {
		v.PasswordKey = passwordKey(t, pass, l.Handle)
	}
	return v
}

func badLink(name, fail string, handle byte, fragment string) vector {
	return vector{Name: golden.Name{Name: name}, Handle: run(handle, id.Size), Fragment: fragment, Fail: fail}
}

// fragment builds one byte by byte, as docs/format.md §11 writes it, with
// whatever version and flags.
func fragment(handle id.Handle, version, flags byte, secret []byte) string {
	body := append([]byte{version, flags}, secret...)
	sum := sha256.Sum256(bytes.Join([][]byte{[]byte("holdfast/v1/link-checksum\x00"), handle[:], {0x01, flags}, secret}, nil))
	return base64.RawURLEncoding.EncodeToString(append(body, sum[:4]...))
}

func linkVectors(t *testing.T) []vector {
	whole := Link{Handle: handleFrom(16), Secret: secretFrom(100)}.Fragment()
	handle, secret := handleFrom(16), run(100, id.Size32)
	last := whole[:50] + string(base64url[1+bytes.IndexByte([]byte(base64url), whole[50])])
	return []vector{
		goodLink(t, "no password", 16, 100, "https://files.example", ""),
		goodLink(t, "other handle, port in the address", 17, 100, "http://127.0.0.1:8080", ""),
		goodLink(t, "secret whose text has - and _", 0, 0xe0, "https://files.example", ""),
		goodLink(t, "password", 16, 100, "https://files.example", "correct horse battery staple"),
		goodLink(t, "password that is prepared first", 32, 150, "https://files.example", "Ju\u0308rgen\u00a0\uff11"),
		badLink("nothing after #", "cut", 16, ""),
		badLink("last character missing", "cut", 16, whole[:50]),
		badLink("half", "cut", 16, whole[:25]),
		badLink("one character too many", "cut", 16, whole+"A"),
		badLink("padded", "cut", 16, whole+"="),
		badLink("full stop at the end", "cut", 16, whole+"."),
		badLink("standard alphabet", "cut", 16, "+"+whole[1:]),
		badLink("space in the middle", "cut", 16, whole[:20]+" "+whole[21:]),
		badLink("line feed in the middle", "cut", 16, whole[:20]+"\n"+whole[21:]),
		badLink("letter outside ASCII", "cut", 16, "\u00e4"+whole[2:]),
		badLink("bits left over", "cut", 16, last),
		badLink("version 0", "unknown", 16, fragment(handle, 0, 0, secret)),
		badLink("version 2", "unknown", 16, fragment(handle, 2, 0, secret)),
		badLink("flag 2", "unknown", 16, fragment(handle, 1, 2, secret)),
		badLink("flag 2 beside the password flag", "unknown", 16, fragment(handle, 1, 3, secret)),
		badLink("flag 128", "unknown", 16, fragment(handle, 1, 128, secret)),
		badLink("version 2 and a wrong checksum", "unknown", 17, fragment(handle, 2, 0, secret)),
		badLink("handle of another link", "checksum", 17, whole),
		badLink("one character mistyped", "checksum", 16, whole[:9]+"A"+whole[10:]),
		badLink("two characters exchanged", "checksum", 16, whole[:30]+whole[31:32]+whole[30:31]+whole[32:]),
		badLink("checksum cut to zero", "checksum", 16, base64.RawURLEncoding.EncodeToString(append(append([]byte{1, 0}, secret...), 0, 0, 0, 0))),
		badLink("password flag removed", "checksum", 16, "AQA"+fragment(handle, 1, 1, secret)[3:]),
		badLink("password flag added", "checksum", 16, "AQF"+whole[3:]),
	}
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

var linkErrors = map[string]error{"cut": ErrCut, "unknown": ErrUnknown, "checksum": ErrChecksum}

func TestLinkVectors(t *testing.T) {
	cases := golden.Sync(t, "link.json", "links: fragments and what derives from them (docs/format.md, section 11; fields in docs/vectors.md)", linkVectors(t))
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			handle := id.Handle(c.Handle)
			l, err := ParseFragment(handle, c.Fragment)
			if c.Fail != "" {
				want, known := linkErrors[c.Fail]
				if !known || !errors.Is(err, want) {
					t.Fatalf("want %s, have %v", c.Fail, err)
				}
				t.Log(err)
				return
			}
			if err != nil || l != (Link{handle, Secret(c.Secret), Flags(*c.Flags)}) {
				t.Fatalf("another link, %v", err)
			}
			if l.Fragment() != c.Fragment || l.URL(c.Base) != c.URL {
				t.Fatalf("written again: %s", l.URL(c.Base))
			}
			if again, base, err := Parse(c.URL); err != nil || again != l || base != c.Base {
				t.Fatalf("from URL: %v, %s, %v", again, base, err)
			}
			checkKeys(t, c, l)
		})
	}
}

func checkKeys(t *testing.T, c vector, l Link) {
	t.Helper()
	keys, err := l.Keys(c.Password)
	if err != nil {
		t.Fatal(err)
	}
	auth, manage := AuthHash(keys.Auth), ManageHash(l.Handle, Secret(c.ManageSecret))
	for _, v := range []struct {
		what       string
		have, want []byte
	}{
		{"final key", keys.Final[:], c.FinalKey}, {"auth", keys.Auth[:], c.Auth}, {"record key", keys.Record[:], c.RecordKey},
		{"auth hash", auth[:], c.AuthHash}, {"manage hash", manage[:], c.ManageHash},
	} {
		if !bytes.Equal(v.have, v.want) {
			t.Errorf("%s is %x, want %x", v.what, v.have, v.want)
		}
	}
	if c.PasswordKey != nil && !bytes.Equal(passwordKey(t, c.Password, l.Handle), c.PasswordKey) {
		t.Error("the password key is another")
	}
}
