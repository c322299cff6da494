package link

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

func content(size int64) *descriptor.Content {
	return &descriptor.Content{File: id.File(run(1, 16)), Revision: id.Revision(run(2, 16)), Key: descriptor.Key(run(3, 32)), Size: size}
}

func file(path string, size int64) descriptor.Descriptor {
	return descriptor.Descriptor{Path: path, Kind: descriptor.File, Content: content(size)}
}

func aFolder() *Folder {
	return &Folder{
		ID: id.Folder(run(4, 16)), Epoch: 2, Read: Secret(run(5, 32)), Write: id.Bytes32(run(6, 32)), Admin: id.Bytes32(run(7, 32)),
		Name: "album", Seq: 9, Hash: id.Bytes32(run(8, 32)),
	}
}

func bundle(t *testing.T, entries ...descriptor.Descriptor) descriptor.Bundle {
	t.Helper()
	b, err := descriptor.NewBundle("", entries)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealRecordRefuses(t *testing.T) {
	f, folder, deep := file("a", 5), descriptor.Descriptor{Path: "a", Kind: descriptor.Folder}, file("a/b", 5)
	large := file("a", 5)
	large.Versions = make([]descriptor.Version, descriptor.MaxVersions)
	cases := []struct {
		name string
		r    Record
	}{
		{"nothing set", Record{}},
		{"kind 3", Record{Kind: 3, File: &f}},
		{"file without descriptor", Record{Kind: OneFile}},
		{"file with content", Record{Kind: OneFile, File: &f, Bundle: content(1)}},
		{"file with count", Record{Kind: OneFile, File: &f, Files: 1}},
		{"file with bytes", Record{Kind: OneFile, File: &f, Bytes: 5}},
		{"folder", Record{Kind: OneFile, File: &folder}},
		{"path of two components", Record{Kind: OneFile, File: &deep}},
		{"broken descriptor", Record{Kind: OneFile, File: &descriptor.Descriptor{Path: "a", Kind: descriptor.File}}},
		{"too many versions to fit", Record{Kind: OneFile, File: &large}},
		{"bundle without content", Record{Kind: Bundle, Files: 1, Bytes: 1}},
		{"bundle with descriptor", Record{Kind: Bundle, Bundle: content(1), File: &f}},
		{"negative count", Record{Kind: Bundle, Bundle: content(1), Files: -1}},
		{"negative bytes", Record{Kind: Bundle, Bundle: content(1), Bytes: -1}},
		{"bytes of 2^53", Record{Kind: Bundle, Bundle: content(1), Bytes: wire.MaxInt + 1}},
		{"folder without one", Record{Kind: OfFolder}},
		{"folder with descriptor", Record{Kind: OfFolder, Folder: aFolder(), File: &f}},
		{"folder with bundle", Record{Kind: OfFolder, Folder: aFolder(), Bundle: content(1)}},
		{"folder with count", Record{Kind: OfFolder, Folder: aFolder(), Files: 1}},
		{"file with folder", Record{Kind: OneFile, File: &f, Folder: aFolder()}},
		{"bundle with folder", Record{Kind: Bundle, Bundle: content(1), Folder: aFolder()}},
		{"folder without name", Record{Kind: OfFolder, Folder: &Folder{Epoch: 1, Seq: 1}}},
		{"folder of epoch 0", Record{Kind: OfFolder, Folder: &Folder{Seq: 1, Name: "a"}}},
		{"folder without head", Record{Kind: OfFolder, Folder: &Folder{Epoch: 1, Name: "a"}}},
		{"content of negative size", Record{Kind: Bundle, Bundle: content(-1)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			sealed, err := SealRecord(one.Secret, one.Handle, c.r)
			if sealed != nil || !errors.Is(err, wire.ErrEncoding) {
				t.Fatalf("%x, %v", sealed, err)
			}
		})
	}
}

func TestRecordSize(t *testing.T) {
	d := file("a", 1<<20)
	seal := func() ([]byte, error) { return SealRecord(one.Secret, one.Handle, ForFile(d)) }
	for {
		d.Versions = append(d.Versions, descriptor.Version{Content: *content(1 << 20)})
		sealed, err := seal()
		if err != nil {
			t.Fatal(err)
		}
		if missing := MaxRecord - len(sealed); missing < 250 { // a longer name fills it up: its head grows by 1 byte
			d.Path = strings.Repeat("a", missing)
			break
		}
	}
	if sealed, err := seal(); err != nil || len(sealed) != MaxRecord {
		t.Fatalf("%d bytes, %v", len(sealed), err)
	}
	d.Path += "a"
	if sealed, err := seal(); sealed != nil || !errors.Is(err, ErrTarget) {
		t.Fatalf("%d bytes, %v", len(sealed), err)
	}
}

func TestForBundle(t *testing.T) {
	b := bundle(t, file("a", 5), file("d/b", 300000), descriptor.Descriptor{Path: "d", Kind: descriptor.Folder})
	r, err := ForBundle(*content(900), b)
	if err != nil || r.Files != 2 || r.Bytes != 300005 || r.Check() != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := r.Matches(b); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]descriptor.Bundle{
		"one file more": bundle(t, file("a", 5), file("c", 0), file("d/b", 300000)),
		"one byte more": bundle(t, file("a", 6), file("d/b", 300000)),
	} {
		if err := r.Matches(other); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ForFile(file("a", 300005)).Matches(b); !errors.Is(err, ErrTarget) {
		t.Errorf("record of one file matches a bundle: %v", err)
	}
	huge := bundle(t, file("a", wire.MaxInt), file("b", 1))
	if _, err := ForBundle(*content(1), huge); !errors.Is(err, descriptor.ErrBundle) {
		t.Errorf("sizes beyond 2^53-1: %v", err)
	}
	if err := r.Matches(huge); !errors.Is(err, descriptor.ErrBundle) {
		t.Errorf("sizes beyond 2^53-1: %v", err)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, handle := Secret(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")), id.Handle(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "handle"))
		size := rapid.Int64Range(0, wire.MaxInt)
		r := ForFile(file(rapid.StringMatching(`[a-z][^/\x00]{0,60}`).Draw(t, "name"), size.Draw(t, "size")))
		if rapid.Bool().Draw(t, "bundle") {
			r = Record{Kind: Bundle, Bundle: content(size.Draw(t, "size")), Files: size.Draw(t, "files"), Bytes: size.Draw(t, "bytes")}
		}
		if rapid.Bool().Draw(t, "folder") {
			f := aFolder()
			f.Epoch, f.Seq = rapid.Int64Range(1, maxEpoch).Draw(t, "epoch"), rapid.Int64Range(1, wire.MaxInt).Draw(t, "seq")
			r = ForFolder(*f)
		}
		sealed, err := SealRecord(key, handle, r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := OpenRecord(key, handle, sealed)
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v, %v", again, err)
		}
		twice, err := SealRecord(key, handle, r)
		if err != nil || string(twice) == string(sealed) {
			t.Fatalf("sealing twice gives one record, %v", err)
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := OpenRecord(key, handle, sealed); !errors.Is(err, seal.ErrCommitment) && !errors.Is(err, seal.ErrRecord) && !errors.Is(err, seal.ErrVersion) {
			t.Fatalf("a flipped bit: %v", err)
		}
	})
}

// FuzzRecord fuzzes the sealed bytes, and the plaintext by sealing them.
func FuzzRecord(f *testing.F) {
	for _, name := range []string{"linkrecord.json", "linkfolder.json"} {
		for _, c := range golden.Read[recordVector](f, name) {
			f.Add([]byte(c.Record.Bytes))
			f.Add([]byte(c.Plaintext))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := OpenRecord(one.Secret, one.Handle, b); err == nil {
			t.Fatal("opened what nobody sealed")
		}
		r, err := OpenRecord(one.Secret, one.Handle, seal.SealRecord(one.Secret, recordType, one.Handle[:], b))
		if err != nil {
			if !errors.Is(err, wire.ErrEncoding) && !(errors.Is(err, seal.ErrRecord) && len(b) > MaxRecord-100) {
				t.Fatal(err)
			}
			return
		}
		sealed, err := SealRecord(one.Secret, one.Handle, r)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		if again, err := OpenRecord(one.Secret, one.Handle, sealed); err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v, %v", again, err)
		}
		if r.Kind == OneFile && strings.Contains(r.File.Path, "/") {
			t.Fatalf("path %q", r.File.Path)
		}
	})
}
