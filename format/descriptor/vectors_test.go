package descriptor

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

type node = map[int64]any

// run is n bytes counting up from first.
func run(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func contentNode(first byte, size int64) node {
	return node{1: run(first, 16), 2: run(first+16, 16), 3: run(first+32, 32), 4: run(first+64, 32), 5: run(first+96, 32), 6: size}
}

func fileNode(path string) node { return node{1: path, 2: 1, 3: contentNode(0, 5)} }

func folderNode(path string) node { return node{1: path, 2: 2} }

// with is a copy of m with pairs set; a nil value takes the key away.
func with(m node, pairs ...any) node {
	out := maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		key := int64(pairs[i].(int))
		if pairs[i+1] == nil {
			delete(out, key)
			continue
		}
		out[key] = pairs[i+1]
	}
	return out
}

type vector struct {
	golden.Name
	Bytes golden.Data   `json:"bytes"`
	Value golden.Object `json:"value,omitempty"`
	Again *bool         `json:"again,omitempty"`
	Files *int64        `json:"files,omitempty"`
	Total *int64        `json:"total,omitempty"`
	Fail  string        `json:"fail,omitempty"`
}

func good(t *testing.T, name string, m node, known node) vector {
	b := wire.Marshal(m)
	again := known == nil
	if again {
		known = m
	}
	return vector{Name: golden.Name{Name: name}, Bytes: golden.Inline(b), Value: golden.Value(t, wire.Marshal(known)), Again: &again}
}

func bad(name string, b []byte) vector {
	return vector{Name: golden.Name{Name: name}, Bytes: golden.Inline(b), Fail: "encoding"}
}

func repeat(n int, v any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// longest is a path of 4,096 bytes.
var longest = strings.Repeat("a/", 2047) + "bc"

func goodDescriptors(t *testing.T) []vector {
	full := with(fileNode("photo.jpg"), 4, "image/jpeg", 5, 1700000000, 6, 123456789, 7, true,
		8, []any{node{1: contentNode(3, 70000), 2: 1600000000, 3: 1}, node{1: contentNode(7, 0)}},
		9, contentNode(11, 2048))
	file, folder := fileNode("a"), folderNode("a")
	return []vector{
		good(t, "file, least", file, nil),
		good(t, "file, every field", full, nil),
		good(t, "folder, least", folder, nil),
		good(t, "folder with time", with(folder, 5, 1700000000, 6, 999999999), nil),
		good(t, "empty file", with(file, 3, contentNode(0, 0)), nil),
		good(t, "greatest true size", with(file, 3, contentNode(0, wire.MaxInt)), nil),
		good(t, "time zero is a time", with(file, 5, 0), nil),
		good(t, "time before 1970", with(file, 5, -1, 6, 500000000), nil),
		good(t, "earliest and latest time", with(file, 5, -wire.MaxInt, 8, []any{node{1: contentNode(3, 1), 2: wire.MaxInt}}), nil),
		good(t, "path of several components", fileNode("a/b c/..d/..."), nil),
		good(t, "component of 255 bytes", fileNode(strings.Repeat("n", 255)), nil),
		good(t, "component of 255 bytes, not ASCII", fileNode("x"+strings.Repeat("é", 127)), nil),
		good(t, "path of 4096 bytes", fileNode(longest), nil),
		good(t, "hostile names are allowed", fileNode("C:\\con\x1b[31m/\u202etxt.exe/nul /~"), nil),
		good(t, "media type of 128 bytes", with(file, 4, strings.Repeat("m", 127)+"~"), nil),
		good(t, "unknown keys from 64 on are ignored", with(file, 64, "later", 1000, node{1: []any{true}}), file),
		good(t, "unknown key 64 inside content", with(file, 3, with(contentNode(0, 5), 64, []byte{1})), file),
		good(t, "unknown key 64 inside a version", with(file, 8, []any{node{1: contentNode(3, 1), 64: 1}}), with(file, 8, []any{node{1: contentNode(3, 1)}})),
	}
}

func descriptorVectors(t *testing.T) []vector {
	cases := goodDescriptors(t)
	file, folder := fileNode("a"), folderNode("a")
	refused := []struct {
		name string
		m    node
	}{
		{"unknown key 10", with(file, 10, 1)},
		{"unknown key 63", with(file, 63, 1)},
		{"unknown key 0", with(file, 0, 1)},
		{"unknown negative key", with(file, -1, 1)},
		{"unknown key 7 in content", with(file, 3, with(contentNode(0, 5), 7, 1))},
		{"unknown key 4 in a version", with(file, 8, []any{node{1: contentNode(3, 1), 4: 1}})},
		{"path missing", with(file, 1, nil)},
		{"kind missing", with(file, 2, nil)},
		{"file without content", with(file, 3, nil)},
		{"content without file id", with(file, 3, with(contentNode(0, 5), 1, nil))},
		{"content without key", with(file, 3, with(contentNode(0, 5), 3, nil))},
		{"content without size", with(file, 3, with(contentNode(0, 5), 6, nil))},
		{"kind 0", with(file, 2, 0)},
		{"kind 3", with(file, 2, 3)},
		{"kind is text", with(file, 2, "1")},
		{"path is bytes", with(file, 1, []byte("a"))},
		{"content is an array", with(file, 3, []any{1})},
		{"file id of 15 bytes", with(file, 3, with(contentNode(0, 5), 1, run(0, 15)))},
		{"file id of 17 bytes", with(file, 3, with(contentNode(0, 5), 1, run(0, 17)))},
		{"key of 31 bytes", with(file, 3, with(contentNode(0, 5), 3, run(0, 31)))},
		{"root is text", with(file, 3, with(contentNode(0, 5), 5, strings.Repeat("r", 32)))},
		{"key is an array of numbers", with(file, 3, with(contentNode(0, 5), 3, repeat(32, 1)))},
		{"negative size", with(file, 3, contentNode(0, -1))},
		{"size of 2^53", with(file, 3, contentNode(0, wire.MaxInt+1))},
		{"empty path", fileNode("")},
		{"absolute path", fileNode("/a")},
		{"path ends in a slash", fileNode("a/")},
		{"empty component", fileNode("a//b")},
		{"component .", fileNode("a/./b")},
		{"component ..", fileNode("../a")},
		{"component .. at the end", fileNode("a/..")},
		{"path is ..", fileNode("..")},
		{"NUL in path", fileNode("a\x00b")},
		{"component of 256 bytes", fileNode("d/" + strings.Repeat("n", 256))},
		{"component of 256 bytes, 128 characters", fileNode(strings.Repeat("é", 128))},
		{"path of 4097 bytes", fileNode(longest + "d")},
		{"folder with content", with(folder, 3, contentNode(0, 5))},
		{"folder with media type", with(folder, 4, "x")},
		{"executable folder", with(folder, 7, true)},
		{"folder with versions", with(folder, 8, []any{node{1: contentNode(3, 1)}})},
		{"folder with thumbnail", with(folder, 9, contentNode(3, 1))},
		{"empty media type", with(file, 4, "")},
		{"media type of 129 bytes", with(file, 4, strings.Repeat("m", 129))},
		{"media type with a control character", with(file, 4, "a\nb")},
		{"media type with DEL", with(file, 4, "a\x7f")},
		{"media type not ASCII", with(file, 4, "é")},
		{"time of 2^53", with(file, 5, wire.MaxInt+1)},
		{"time of -2^53", with(file, 5, -wire.MaxInt-1)},
		{"nanoseconds without time", with(file, 6, 1)},
		{"nanoseconds 0", with(file, 5, 1, 6, 0)},
		{"nanoseconds 10^9", with(file, 5, 1, 6, 1000000000)},
		{"negative nanoseconds", with(file, 5, 1, 6, -1)},
		{"executable false", with(file, 7, false)},
		{"executable 1", with(file, 7, 1)},
		{"no versions", with(file, 8, []any{})},
		{"version without content", with(file, 8, []any{node{2: 1}})},
		{"version with nanoseconds only", with(file, 8, []any{node{1: contentNode(3, 1), 3: 1}})},
		{"version with negative size", with(file, 8, []any{node{1: contentNode(3, -1)}})},
		{"thumbnail null", with(file, 9, nullItem{})},
		{"thumbnail with negative size", with(file, 9, contentNode(3, -1))},
	}
	for _, r := range refused {
		cases = append(cases, bad(r.name, wire.Marshal(r.m)))
	}
	return append(cases, brokenDescriptors(t, file)...)
}

func brokenDescriptors(t *testing.T, file node) []vector {
	least := wire.Marshal(file)
	many := wire.Marshal(with(file, 8, repeat(1025, node{1: contentNode(3, 1)})))
	return []vector{
		vector{Name: golden.Name{Name: "1025 versions"}, Bytes: golden.Beside(t, "descriptor-1025-versions.bin", many), Fail: "encoding"},
		bad("nothing", nil),
		bad("cut by one byte", least[:len(least)-1]),
		bad("one byte too many", append(bytes.Clone(least), 0)),
		bad("path not UTF-8", bytes.Replace(least, []byte{0x01, 0x61, 'a'}, []byte{0x01, 0x61, 0xff}, 1)),
		bad("keys out of order", append([]byte{0xa2, 0x02, 0x02}, 0x01, 0x61, 'a')),
		bad("key twice", []byte{0xa3, 0x01, 0x61, 'a', 0x02, 0x02, 0x02, 0x02}),
		bad("longer form than needed", []byte{0xa2, 0x01, 0x61, 'a', 0x02, 0x18, 0x02}),
		bad("kind is a float", []byte{0xa2, 0x01, 0x61, 'a', 0x02, 0xf9, 0x40, 0x00}),
	}
}

// nullItem encodes as null, which wire.Marshal itself never writes.
type nullItem struct{}

func (nullItem) MarshalCBOR() ([]byte, error) { return []byte{0xf6}, nil }

func fails(t *testing.T, c vector, err error) {
	t.Helper()
	if c.Fail != "encoding" || !errors.Is(err, wire.ErrEncoding) {
		t.Fatalf("want %s, have %v", c.Fail, err)
	}
	t.Log(err)
}

func succeeds(t *testing.T, c vector, again []byte, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(golden.Value(t, again), c.Value) {
		t.Fatalf("decoded as %v\nwant %v", golden.Value(t, again), c.Value)
	}
	if bytes.Equal(again, c.Bytes.Bytes) != *c.Again {
		t.Fatal("encoding again gives other bytes than it should")
	}
}

func TestDescriptorVectors(t *testing.T) {
	cases := golden.Sync(t, "descriptor.json", "descriptors (docs/format.md, section 9; fields in docs/vectors.md)", descriptorVectors(t))
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			d, err := Decode(c.Bytes.Bytes)
			if c.Fail != "" {
				fails(t, c, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again, err := d.Encode()
			succeeds(t, c, again, err)
		})
	}
}

// deepest is a path of as many components as a bundle allows.
var deepest = strings.Repeat("d/", 127) + "e"

// belowFolders is a list of folders without anything above which n others lie.
func belowFolders(n int) []any {
	var entries []any
	for i := 0; n > 0; i++ {
		above := min(n, 127)
		entries = append(entries, folderNode(fmt.Sprintf("%04d", i)+strings.Repeat("/d", above)))
		n -= above
	}
	return entries
}

func bundleVectors(t *testing.T) []vector {
	list := func(entries ...any) node { return node{1: entries} }
	a, b := fileNode("a"), with(fileNode("b"), 3, contentNode(9, 300000))
	counted := func(v vector, files, total int64) vector {
		v.Files, v.Total = &files, &total
		return v
	}
	cases := []vector{
		counted(good(t, "one file", list(a), nil), 1, 5),
		counted(good(t, "one folder", list(folderNode("a")), nil), 0, 0),
		counted(good(t, "files and folders with a title", with(list(a, b, folderNode("c"), with(fileNode("c/d"), 3, contentNode(1, 0)), folderNode("e")), 2, "holiday"), nil), 3, 300005),
		counted(good(t, "sorted as bytes", list(fileNode("B"), fileNode("a!"), fileNode("a!b"), fileNode("a.b"), fileNode("b/a"), fileNode("\u00e4"), fileNode("\uff5e"), fileNode("\U0001f600")), nil), 8, 40),
		counted(good(t, "names that only look like parents", list(fileNode("a"), fileNode("a!/b"), fileNode("a.d/b"), fileNode("ab/c")), nil), 4, 20),
		counted(good(t, "folder apart from what is in it", list(folderNode("d"), fileNode("d!"), fileNode("d/x")), nil), 2, 10),
		counted(good(t, "title of 255 bytes", with(list(a), 2, strings.Repeat("t", 255)), nil), 1, 5),
		counted(good(t, "greatest total", list(with(fileNode("a"), 3, contentNode(0, wire.MaxInt))), nil), 1, wire.MaxInt),
		counted(good(t, "unknown keys from 64 on are ignored", with(list(with(a, 64, 1)), 64, []byte{1, 2}), list(a)), 1, 5),
	}
	crowded := list(a)
	for k := range int64(30) {
		crowded[64+k] = k
	}
	dozens := make([]any, 30)
	for i := range dozens {
		dozens[i] = folderNode(string(rune('A' + i)))
	}
	cases = append(cases,
		counted(good(t, "thirty unknown keys", crowded, list(a)), 1, 5),
		counted(good(t, "thirty folders", list(dozens...), nil), 0, 0),
		counted(good(t, "path of 128 components", list(fileNode(deepest)), nil), 1, 5),
	)
	refused := []struct {
		name string
		m    node
	}{
		{"no entries", list()},
		{"entries missing", node{2: "holiday"}},
		{"entries not an array", node{1: a}},
		{"entry not a map", list(1)},
		{"unknown key 3", with(list(a), 3, 1)},
		{"unknown key 10 in an entry", list(with(a, 10, 1))},
		{"one path twice", list(a, a)},
		{"file and folder of one path", list(a, folderNode("a"))},
		{"not sorted", list(b, a)},
		{"sorted without regard to case", list(a, fileNode("B"))},
		{"sorted by UTF-16 unit", list(fileNode("\U0001f600"), fileNode("\uff5e"))},
		{"sorted by component", list(folderNode("d"), fileNode("d/x"), fileNode("d!"))},
		{"file below a file", list(a, fileNode("a/b"))},
		{"file below a file, another between", list(a, fileNode("a!"), fileNode("a/b"))},
		{"folder below a file", list(a, folderNode("a/b"))},
		{"file deep below a file", list(a, fileNode("a/b/c/d"))},
		{"bad path in an entry", list(fileNode("../a"))},
		{"file without content", list(with(a, 3, nil))},
		{"empty title", with(list(a), 2, "")},
		{"title with a slash", with(list(a), 2, "a/b")},
		{"title ..", with(list(a), 2, "..")},
		{"title with NUL", with(list(a), 2, "a\x00")},
		{"title of 256 bytes", with(list(a), 2, strings.Repeat("t", 256))},
		{"title is bytes", with(list(a), 2, []byte("t"))},
		{"path of 129 components", list(fileNode(deepest + "/e"))},
		{"folder whose path has 129 components", list(folderNode(deepest), folderNode(deepest+"/e"))},
	}
	for _, r := range refused {
		cases = append(cases, bad(r.name, wire.Marshal(r.m)))
	}
	one := wire.Marshal(list(a))
	return append(cases,
		bad("nothing", nil),
		bad("cut by one byte", one[:len(one)-1]),
		bad("one byte too many", append(bytes.Clone(one), 0)),
		bad("says 262,145 entries", []byte{0xa1, 0x01, 0x9a, 0x00, 0x04, 0x00, 0x01}),
		bad("says 2^63 entries", []byte{0xa1, 0x01, 0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0}),
		bad("array of indefinite length", append(append([]byte{0xa1, 0x01, 0x9f}, one[3:]...), 0xff)),
		vector{Name: golden.Name{Name: "262,145 folders above its entries"}, Bytes: golden.Beside(t, "bundle-262145-folders.bin", wire.Marshal(node{1: belowFolders(MaxFolders + 1)})), Fail: "encoding"},
	)
}

func TestBundleVectors(t *testing.T) {
	cases := golden.Sync(t, "bundle.json", "bundles (docs/format.md, section 10; fields in docs/vectors.md)", bundleVectors(t))
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			b, err := DecodeBundle(c.Bytes.Bytes)
			if c.Fail != "" {
				fails(t, c, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again, err := b.Encode()
			succeeds(t, c, again, err)
			files, total, err := b.Totals()
			if err != nil || files != *c.Files || total != *c.Total {
				t.Fatalf("%d files of %d bytes, %v", files, total, err)
			}
		})
	}
}
