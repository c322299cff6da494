package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"testing"
	"time"
)

var (
	at    = time.Date(2026, 11, 24, 12, 0, 7, 900_000_000, time.FixedZone("far", 9*3600))
	files = []File{{Name: "holdfast", Executable: true, Content: bytes.Repeat([]byte("program"), 999)}, {Name: "LICENSES/x.txt", Content: []byte("x")}, {Name: "README.md"}}
)

func pack(t *testing.T, write func(io.Writer, string, time.Time, []File) error, at time.Time, files []File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, "holdfast-v1", at, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEqualContentsEqualBytes(t *testing.T) {
	turned := slices.Clone(files)
	slices.Reverse(turned)
	for name, write := range map[string]func(io.Writer, string, time.Time, []File) error{"tar": TarGz, "zip": Zip} {
		first := pack(t, write, at, files)
		if !bytes.Equal(first, pack(t, write, at.UTC().Truncate(time.Second), turned)) {
			t.Errorf("%s: another order and another zone give other bytes", name)
		}
		if bytes.Equal(first, pack(t, write, at.Add(time.Minute), files)) {
			t.Errorf("%s: the time is not kept", name)
		}
		if err := write(io.Discard, "x", at, []File{{Name: "a"}, {Name: "a"}}); err == nil {
			t.Errorf("%s: a name twice", name)
		}
	}
}

func TestTarGz(t *testing.T) {
	z, err := gzip.NewReader(bytes.NewReader(pack(t, TarGz, at, files)))
	if err != nil || !z.ModTime.IsZero() || z.Name != "" {
		t.Fatalf("%v, %+v", err, z)
	}
	r := tar.NewReader(z)
	var names []string
	for {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, head.Name)
		if !head.ModTime.Equal(at.Truncate(time.Second)) || head.Uid != 0 || head.Uname != "" || (head.Mode == 0o755) != (head.Name == "holdfast-v1/holdfast") {
			t.Errorf("%+v", head)
		}
	}
	if want := []string{"holdfast-v1/LICENSES/x.txt", "holdfast-v1/README.md", "holdfast-v1/holdfast"}; !slices.Equal(names, want) {
		t.Error(names)
	}
}

func TestZip(t *testing.T) {
	raw := pack(t, Zip, at, files)
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil || len(z.File) != 3 {
		t.Fatal(err)
	}
	for _, f := range z.File {
		executable := f.Name == "holdfast-v1/holdfast"
		if !f.Mode().IsRegular() || (f.Mode().Perm() == 0o755) != executable || !f.Modified.Equal(at.Truncate(2*time.Second)) {
			t.Errorf("%s: %v, %v", f.Name, f.Mode(), f.Modified)
		}
	}
	content, err := z.Open("holdfast-v1/holdfast")
	if err != nil {
		t.Fatal(err)
	}
	if have, err := io.ReadAll(content); err != nil || !bytes.Equal(have, files[0].Content) {
		t.Errorf("%d bytes, %v", len(have), err)
	}
}
