package descriptor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

func content(size int64) *Content {
	return &Content{File: id.File(run(1, 16)), Revision: id.Revision(run(2, 16)), Key: Key(run(3, 32)), Commitment: [32]byte(run(4, 32)), Root: [32]byte(run(5, 32)), Size: size}
}

func file(path string) Descriptor   { return Descriptor{Path: path, Kind: File, Content: content(5)} }
func folder(path string) Descriptor { return Descriptor{Path: path, Kind: Folder} }

func seconds(n int64) *int64 { return &n }

// draw bytes of a fixed length.
func drawBytes(t *rapid.T, n int) []byte {
	return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes")
}

func drawContent(t *rapid.T) Content {
	return Content{
		File: id.File(drawBytes(t, 16)), Revision: id.Revision(drawBytes(t, 16)), Key: Key(drawBytes(t, 32)),
		Commitment: [32]byte(drawBytes(t, 32)), Root: [32]byte(drawBytes(t, 32)), Size: rapid.Int64Range(0, wire.MaxInt).Draw(t, "size"),
	}
}

func drawTime(t *rapid.T) (*int64, int64) {
	if rapid.Bool().Draw(t, "no time") {
		return nil, 0
	}
	s := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(-wire.MaxInt, wire.MaxInt)).Draw(t, "seconds")
	return &s, rapid.Int64Range(0, maxNanos).Draw(t, "nanos")
}

// drawName draws what CheckName allows: hostile, and still a component.
func drawName(t *rapid.T) string {
	name := strings.ToValidUTF8(strings.NewReplacer("/", "", "\x00", "").Replace(hostile().Draw(t, "name")), "?")
	if name == "" || name == "." || name == ".." || len(name) > MaxName {
		return "plain"
	}
	return name
}

func drawDescriptor(t *rapid.T, path string) Descriptor {
	d := Descriptor{Path: path, Kind: rapid.SampledFrom([]Kind{File, Folder}).Draw(t, "kind")}
	d.ModTime, d.ModNanos = drawTime(t)
	if d.Kind == Folder {
		return d
	}
	c := drawContent(t)
	d.Content = &c
	d.MediaType = rapid.StringMatching(`[ -~]{0,128}`).Draw(t, "media type")
	d.Executable = rapid.Bool().Draw(t, "executable")
	for range rapid.IntRange(0, 3).Draw(t, "versions") {
		v := Version{Content: drawContent(t)}
		v.ModTime, v.ModNanos = drawTime(t)
		d.Versions = append(d.Versions, v)
	}
	if rapid.Bool().Draw(t, "thumbnail") {
		c := drawContent(t)
		d.Thumbnail = &c
	}
	return d
}

func TestDescriptorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDescriptor(t, drawName(t))
		b, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(b)
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("%v\n%+v\n%+v", err, again, d)
		}
	})
}

func TestBundleRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []Descriptor
		seen := map[string]bool{}
		for i := range rapid.IntRange(1, 6).Draw(t, "entries") {
			path := drawName(t)
			if rapid.Bool().Draw(t, "deep") {
				path = fmt.Sprintf("folder %d/%s", i, path)
			}
			if !seen[path] {
				seen[path] = true
				entries = append(entries, drawDescriptor(t, path))
			}
		}
		b, err := NewBundle(drawName(t), entries)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeBundle(raw)
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("%v\n%+v\n%+v", err, again, b)
		}
	})
}

// TestEncodeRefuses holds Encode to the rules that the vectors hold Decode to.
func TestEncodeRefuses(t *testing.T) {
	change := func(f func(*Descriptor)) Descriptor { d := file("a"); f(&d); return d }
	cases := []struct {
		name string
		d    Descriptor
		want error
	}{
		{"nothing set", Descriptor{}, ErrPath},
		{"no kind", Descriptor{Path: "a"}, ErrDescriptor},
		{"kind 3", Descriptor{Path: "a", Kind: 3}, ErrDescriptor},
		{"file without content", Descriptor{Path: "a", Kind: File}, ErrDescriptor},
		{"folder with content", Descriptor{Path: "a", Kind: Folder, Content: content(1)}, ErrDescriptor},
		{"folder with thumbnail", Descriptor{Path: "a", Kind: Folder, Thumbnail: content(1)}, ErrDescriptor},
		{"absolute path", file("/a"), ErrPath},
		{"path out of the folder", file("../a"), ErrPath},
		{"path not UTF-8", file("a\xff"), ErrPath},
		{"path too long", file(strings.Repeat("a/", 2048) + "b"), ErrPath},
		{"negative size", change(func(d *Descriptor) { d.Content.Size = -1 }), ErrDescriptor},
		{"size of 2^53", change(func(d *Descriptor) { d.Content.Size = wire.MaxInt + 1 }), ErrDescriptor},
		{"thumbnail of negative size", change(func(d *Descriptor) { d.Thumbnail = content(-1) }), ErrDescriptor},
		{"media type too long", change(func(d *Descriptor) { d.MediaType = strings.Repeat("m", 129) }), ErrDescriptor},
		{"media type not ASCII", change(func(d *Descriptor) { d.MediaType = "\u00e9" }), ErrDescriptor},
		{"nanoseconds alone", change(func(d *Descriptor) { d.ModNanos = 1 }), ErrDescriptor},
		{"nanoseconds of a second", change(func(d *Descriptor) { d.ModTime, d.ModNanos = seconds(1), 1_000_000_000 }), ErrDescriptor},
		{"negative nanoseconds", change(func(d *Descriptor) { d.ModTime, d.ModNanos = seconds(1), -1 }), ErrDescriptor},
		{"time of 2^53", change(func(d *Descriptor) { d.ModTime = seconds(wire.MaxInt + 1) }), ErrDescriptor},
		{"time of -2^53", change(func(d *Descriptor) { d.ModTime = seconds(-wire.MaxInt - 1) }), ErrDescriptor},
		{"empty list of versions", change(func(d *Descriptor) { d.Versions = []Version{} }), ErrDescriptor},
		{"too many versions", change(func(d *Descriptor) { d.Versions = make([]Version, MaxVersions+1) }), ErrDescriptor},
		{"version of negative size", change(func(d *Descriptor) { d.Versions = []Version{{Content: *content(-1)}} }), ErrDescriptor},
		{"version with nanoseconds alone", change(func(d *Descriptor) { d.Versions = []Version{{ModNanos: 1}} }), ErrDescriptor},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := c.d.Encode()
			if b != nil || !errors.Is(err, c.want) || !errors.Is(err, wire.ErrEncoding) {
				t.Fatalf("have %x, %v; want %v", b, err, c.want)
			}
			if _, err := (Bundle{Entries: []Descriptor{c.d}}).Encode(); !errors.Is(err, c.want) {
				t.Fatalf("in a bundle: %v", err)
			}
		})
	}
}

func TestBundleEncodeRefuses(t *testing.T) {
	cases := []struct {
		name string
		b    Bundle
		want error
		says string
	}{
		{"no entries", Bundle{}, ErrBundle, "0 entries"},
		{"too many entries", Bundle{Entries: make([]Descriptor, MaxEntries+1)}, ErrBundle, "262145 entries"},
		{"not sorted", Bundle{Entries: []Descriptor{file("b"), file("a")}}, ErrBundle, "entry 1 "},
		{"one path twice", Bundle{Entries: []Descriptor{file("a"), folder("a")}}, ErrBundle, "entries 0 and 1 "},
		{"file below a file", Bundle{Entries: []Descriptor{file("a"), file("a!"), file("a/b")}}, ErrBundle, "entry 2 lies below entry 0"},
		{"title of two components", Bundle{Entries: []Descriptor{file("a")}, Title: "a/b"}, ErrPath, "title"},
		{"title too long", Bundle{Entries: []Descriptor{file("a")}, Title: strings.Repeat("t", 256)}, ErrPath, "title"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if b, err := c.b.Encode(); b != nil || !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("have %x, %v; want %v", b, err, c.want)
			}
		})
	}
}

func TestNewBundle(t *testing.T) {
	b, err := NewBundle("", []Descriptor{file("b"), folder("a"), file("a/x"), file("B")})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, d := range b.Entries {
		paths = append(paths, d.Path)
	}
	if have := strings.Join(paths, " "); have != "B a a/x b" {
		t.Fatal(have)
	}
	if _, err := NewBundle("", []Descriptor{file("a"), file("a")}); !errors.Is(err, ErrBundle) {
		t.Fatalf("one path twice: %v", err)
	}
}

func TestTotalsOverflow(t *testing.T) {
	most := file("a")
	most.Content = content(wire.MaxInt)
	one := file("b")
	one.Content = content(1)
	if _, _, err := (Bundle{Entries: []Descriptor{most, one}}).Totals(); !errors.Is(err, ErrBundle) {
		t.Fatalf("2^53 bytes: %v", err)
	}
}

// fill is the encoding of m with an unknown key that makes it size bytes long.
func fill(m node, size int) []byte {
	less := len(wire.Marshal(with(m, 64, make([]byte, size-1000))))
	return wire.Marshal(with(m, 64, make([]byte, 2*size-1000-less)))
}

func TestDescriptorSize(t *testing.T) {
	if _, err := Decode(fill(fileNode("a"), MaxDescriptor)); err != nil {
		t.Errorf("descriptor of %d bytes: %v", MaxDescriptor, err)
	}
	if _, err := Decode(fill(fileNode("a"), MaxDescriptor+1)); !errors.Is(err, wire.ErrEncoding) {
		t.Errorf("descriptor of %d bytes: %v", MaxDescriptor+1, err)
	}
	largest := file(strings.Repeat("p/", 2047) + "pp")
	largest.Content, largest.Thumbnail = content(wire.MaxInt), content(wire.MaxInt)
	largest.MediaType = strings.Repeat("m", MaxMediaType)
	largest.ModTime, largest.ModNanos = seconds(-wire.MaxInt), maxNanos
	for range MaxVersions {
		largest.Versions = append(largest.Versions, Version{Content: *content(wire.MaxInt), ModTime: seconds(-wire.MaxInt), ModNanos: maxNanos})
	}
	b, err := largest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Decode(b); err != nil || !reflect.DeepEqual(again, largest) {
		t.Errorf("the largest descriptor there is has %d bytes: %v", len(b), err)
	}
}

// TestBundleSize has bundles that obey every rule, up to the one on their size.
func TestBundleSize(t *testing.T) {
	if _, err := DecodeBundle(fill(node{1: []any{fileNode("a")}}, MaxBundle)); err != nil {
		t.Errorf("bundle of %d bytes: %v", MaxBundle, err)
	}
	if _, err := DecodeBundle(fill(node{1: []any{fileNode("a")}}, MaxBundle+1)); !errors.Is(err, ErrBundle) {
		t.Errorf("bundle of %d bytes: %v", MaxBundle+1, err)
	}
	b := Bundle{Title: "t"}
	deep := strings.Repeat("/"+strings.Repeat("p", 255), 14) // with as few folders as such long paths can have
	const room = 100                                         // for the title to fill up to the byte
	for i, left := 0, MaxBundle-room; left > 1000; i++ {
		d := folder((fmt.Sprintf("%08d", i) + deep)[:min(left-100, 7+len(deep))] + "x")
		b.Entries = append(b.Entries, d)
		left -= len(wire.Marshal(d))
	}
	b.Title = strings.Repeat("t", MaxBundle-len(wire.Marshal(b)))
	if raw, err := b.Encode(); err != nil || len(raw) != MaxBundle {
		t.Errorf("bundle of %d bytes: %v", len(raw), err)
	}
	b.Title += "t"
	if _, err := b.Encode(); !errors.Is(err, ErrBundle) {
		t.Errorf("bundle of %d bytes: %v", MaxBundle+1, err)
	}
}

func TestBundleOfAsManyAsAllowed(t *testing.T) {
	entries := make([]Descriptor, MaxEntries+1)
	for i := range entries {
		entries[i] = folder(fmt.Sprintf("%06d", i))
	}
	b := Bundle{Entries: entries[:1<<18]}
	raw, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := DecodeBundle(raw); err != nil || len(again.Entries) != 1<<18 {
		t.Fatalf("%d entries, %v", len(again.Entries), err)
	}
	if _, err := DecodeBundle(wire.Marshal(Bundle{Entries: entries})); !errors.Is(err, wire.ErrEncoding) {
		t.Fatalf("%d entries: %v", len(entries), err)
	}
}

func TestBundleWithAsManyFoldersAsAllowed(t *testing.T) {
	for n, want := range map[int]error{MaxFolders: nil, MaxFolders + 1: ErrBundle} {
		if _, err := DecodeBundle(wire.Marshal(node{1: belowFolders(n)})); !errors.Is(err, want) {
			t.Errorf("%d folders: %v", n, err)
		}
	}
}

// TestFoldersAreCountedOnce draws bundles and holds the count that the order
// of paths allows against a plain one.
func TestFoldersAreCountedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		paths := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab!](/[ab!0]){0,4}`), 1, 20, rapid.ID[string]).Draw(t, "paths")
		slices.Sort(paths)
		plain, before, have := map[string]bool{}, "", 0
		for _, path := range paths {
			for i := range len(path) {
				if path[i] == '/' {
					plain[path[:i]] = true
				}
			}
			have += newFolders(before, path)
			before = path
		}
		if have != len(plain) {
			t.Fatalf("%q: %d folders, want %d", paths, have, len(plain))
		}
	})
}

// Threats row 28: a small input makes the decoder make no more room than its
// bytes can fill, whatever arrays it announces and whatever stands in them.
func TestBundleRoom(t *testing.T) {
	zeros := repeat(1<<20-1000, 0)
	cases := map[string][]byte{
		"as many entries as there are bytes":  append([]byte{0xa1, 0x01, 0x9a, 0x00, 0x10, 0x00, 0x00}, make([]byte, 1<<20)...),
		"as many entries as allowed, no maps": wire.Marshal(node{1: zeros[:MaxEntries]}),
		"as many entries as allowed, empty":   wire.Marshal(node{1: repeat(MaxEntries, node{})}),
		"versions that are no maps":           wire.Marshal(node{1: []any{with(fileNode("a"), 8, zeros)}}),
		"versions that are empty":             wire.Marshal(node{1: []any{with(fileNode("a"), 8, repeat(1<<20-1000, node{}))}}),
		"versions without content":            wire.Marshal(node{1: []any{with(fileNode("a"), 8, repeat(1<<18, node{2: 1}))}}),
		"versions of empty contents":          wire.Marshal(node{1: []any{with(fileNode("a"), 8, repeat(1<<18, node{1: node{}}))}}),
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := DecodeBundle(b)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, wire.ErrEncoding) || got > 1<<17 {
				t.Fatalf("%d bytes: %v, %d bytes allocated", len(b), err, got)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	var d Descriptor
	var v Version
	if _, ok := d.Time(); ok {
		t.Error("a descriptor without time has one")
	}
	if _, ok := v.Time(); ok {
		t.Error("a version without time has one")
	}
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(-1, 999_999_999), time.Unix(1_700_000_000, 5), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)} {
		d.SetTime(at)
		v.SetTime(at)
		for _, f := range []func() (time.Time, bool){d.Time, v.Time} {
			if have, ok := f(); !ok || !have.Equal(at) {
				t.Errorf("%v comes back as %v", at, have)
			}
		}
	}
}

func TestKeyIsNeverShown(t *testing.T) {
	d := file("a")
	d.Content.Key = Key(bytes.Repeat([]byte{0xab}, 32))
	d.Thumbnail = d.Content
	d.Versions = []Version{{Content: *d.Content}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "d", d, "c", *d.Content, "k", d.Content.Key)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "d", d, "c", *d.Content, "k", d.Content.Key)
	shown := log.String() + d.Content.Key.String() + d.Content.Key.GoString()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
		shown += fmt.Sprintf(verb, *d.Content) + fmt.Sprintf(verb, d.Content.Key) + fmt.Sprintf(verb, &d.Content.Key) + fmt.Sprintf(verb, d.Versions)
	}
	for _, trace := range []string{"abab", "ABAB", "171 171", "171, 171", "0xab", "253 253", "10101011", "q6ur", "U+00AB"} {
		if strings.Contains(shown, trace) {
			t.Errorf("the key shows as %q", trace)
		}
	}
	if b, err := json.Marshal(d); err == nil {
		t.Errorf("the key is written as JSON: %s", b)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range golden.Read[vector](f, "descriptor.json") {
		f.Add(c.Bytes.Bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(b)
		if err != nil {
			if !errors.Is(err, wire.ErrEncoding) {
				t.Fatal(err)
			}
			return
		}
		again, err := d.Encode()
		if err != nil || len(again) > len(b) {
			t.Fatalf("%x, %v", again, err)
		}
		if second, err := Decode(again); err != nil || !reflect.DeepEqual(second, d) {
			t.Fatalf("%+v, %v", second, err)
		}
	})
}

func FuzzDecodeBundle(f *testing.F) {
	for _, c := range golden.Read[vector](f, "bundle.json") {
		f.Add(c.Bytes.Bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bundle, err := DecodeBundle(b)
		if err != nil {
			if !errors.Is(err, wire.ErrEncoding) {
				t.Fatal(err)
			}
			return
		}
		again, err := bundle.Encode()
		if err != nil || len(again) > len(b) {
			t.Fatalf("%x, %v", again, err)
		}
		p := NewPlanner(windows, true)
		for _, d := range bundle.Entries {
			local, err := p.Plan(d.Path, d.Kind)
			if err != nil {
				t.Fatalf("a checked bundle cannot be planned: %v", err)
			}
			checkLocal(t, local, windows)
		}
	})
}
