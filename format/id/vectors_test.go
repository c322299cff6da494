package id

import (
	"bytes"
	"errors"
	"testing"

	"holdfast/format/internal/golden"
)

type vector struct {
	golden.Name
	Kind  string     `json:"kind"`
	Text  string     `json:"text"`
	Bytes golden.Hex `json:"bytes,omitempty"`
	Fail  string     `json:"fail,omitempty"`
}

func run(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func vectors() []vector {
	good := func(name, kind string, b []byte) vector {
		return vector{Name: golden.Name{Name: name}, Kind: kind, Text: Encoding.EncodeToString(b), Bytes: b}
	}
	bad := func(name, kind, text string) vector {
		return vector{Name: golden.Name{Name: name}, Kind: kind, Text: text, Fail: "id"}
	}
	zero, name := "AAAAAAAAAAAAAAAAAAAAAA", Encoding.EncodeToString(run(0, 32))
	return []vector{
		good("id of zeros", "id", make([]byte, 16)),
		good("id of ones", "id", bytes.Repeat([]byte{0xff}, 16)),
		good("id with both special characters", "id", bytes.Repeat([]byte{0xfb, 0xef, 0xbf, 0xff}, 4)),
		good("id, counting", "id", run(0, 16)),
		good("name, counting", "name", run(0, 32)),
		good("name of ones", "name", bytes.Repeat([]byte{0xff}, 32)),
		bad("empty", "id", ""),
		bad("one character missing", "id", zero[:21]),
		bad("one character more", "id", zero+"A"),
		bad("padded", "id", zero+"=="),
		bad("padded to the right length", "id", zero[:20]+"=="),
		bad("plus of the other alphabet", "id", "+"+zero[1:]),
		bad("slash of the other alphabet", "id", "/"+zero[1:]),
		bad("space inside", "id", zero[:10]+" "+zero[11:]),
		bad("line feed at the end", "id", zero+"\n"),
		bad("line feed at the end, right length", "id", zero[:21]+"\n"),
		bad("line feed inside, right length", "id", zero[:10]+"\n"+zero[11:]),
		bad("carriage return and line feed around 20 characters", "id", "\r"+zero[:20]+"\n"),
		bad("trailing bit set", "id", zero[:21]+"B"),
		bad("highest trailing bit set", "id", zero[:21]+"I"),
		bad("not ASCII", "id", zero[:20]+"é"),
		bad("22 characters that are not ASCII", "id", zero[:21]+"ａ"),
		bad("NUL inside", "id", zero[:10]+"\x00"+zero[11:]),
		bad("name where an id is wanted", "id", name),
		bad("id where a name is wanted", "name", zero),
		bad("name, one character missing", "name", name[:42]),
		bad("name, trailing bit set", "name", name[:42]+"9"),
		bad("name, padded", "name", name+"="),
	}
}

func parse(kind, text string) ([]byte, error) {
	if kind == "name" {
		v, err := Parse32(text)
		return v[:], err
	}
	v, err := Parse[File](text)
	return v[:], err
}

func TestVectors(t *testing.T) {
	for _, c := range golden.Sync(t, "ids.json", "Ids and names as text (docs/format.md §1)", vectors()) {
		t.Run(c.CaseName(), func(t *testing.T) {
			b, err := parse(c.Kind, c.Text)
			if c.Fail != "" {
				if !errors.Is(err, ErrText) || !bytes.Equal(b, make([]byte, len(b))) {
					t.Fatalf("gives %x, %v", b, err)
				}
				return
			}
			if err != nil || !bytes.Equal(b, c.Bytes) || Encoding.EncodeToString(b) != c.Text {
				t.Fatalf("gives %x, %v", b, err)
			}
		})
	}
}
