//go:build linux

package faults

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// keep makes what later versions are tested against: a service's whole data and a
// sender's, as this version writes them. It is called once, for a release.
var keep = flag.String("keep", "", "write testdata/old/VERSION.tar.gz with this version's data")

// oldLink is a link in a kept service, whose life is a hundred years.
type oldLink struct {
	Link, Password, Handle, Manage string
	// Files by path, with the SHA-256 of their bytes.
	Files map[string]string
}

const (
	oldDays = "36500"
	oldList = "links.json"
)

// TestOldData: what a released version stored opens with this one, and its
// sender's records still revoke.
func TestOldData(t *testing.T) {
	if *keep != "" {
		keepData(t, filepath.Join("testdata", "old", *keep+".tar.gz"))
	}
	kept, err := filepath.Glob("testdata/old/*.tar.gz")
	if err != nil || len(kept) == 0 {
		t.Fatal("no version's data is kept", err)
	}
	for _, archive := range kept {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".tar.gz"), func(t *testing.T) {
			dir := t.TempDir()
			unpack(t, archive, dir)
			service := startOld(t, dir)
			links := readLinks(t, dir)
			for _, l := range links {
				receiveOld(t, dir, service.url, l)
			}
			if listed := run(t, filepath.Join(dir, "home"), "sends"); strings.Count(listed, "one.txt") != 1 {
				t.Errorf("the sender's records are lost:\n%s", listed)
			}
			first := links[0]
			secret := filepath.Join(dir, "manage")
			if err := os.WriteFile(secret, []byte(first.Manage), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, filepath.Join(dir, "home"), "unsend", at(first.Link, service.url), "--manage-file", secret)
			if r := try(t, filepath.Join(dir, "other"), "receive", at(first.Link, service.url), "-o", filepath.Join(dir, "gone")); r.code == 0 {
				t.Error("a link that was revoked still opens")
			}
		})
	}
}

// startOld runs the service over kept data, on ports that are free today.
func startOld(t *testing.T, dir string) *process {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "data", "ports.json")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOLDFAST_MAX_SEND_DAYS", oldDays)
	return start(t, "dev", programs.holdfast, "dev", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0")
}

func readLinks(t *testing.T, dir string) (links []oldLink) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, oldList))
	if err == nil {
		err = json.Unmarshal(raw, &links)
	}
	if err != nil || len(links) == 0 {
		t.Fatal(err, "no links")
	}
	return links
}

// at is a link at another address of the same service.
func at(link, server string) string { return server + link[strings.Index(link, "/s/"):] }

func receiveOld(t *testing.T, dir, server string, l oldLink) {
	t.Helper()
	out := filepath.Join(dir, "out-"+l.Handle)
	args := []string{"receive", at(l.Link, server), "-o", out}
	if l.Password != "" {
		secret := filepath.Join(dir, "password-"+l.Handle)
		if err := os.WriteFile(secret, []byte(l.Password), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--password-file", secret)
	}
	run(t, filepath.Join(dir, "receiver"), args...)
	if got := hashes(t, out, "."); !equalFiles(got, l.Files) {
		t.Errorf("%s: have %v, want %v", l.Handle, got, l.Files)
	}
}

// hashes of the files at or below a path, by their paths as the receiver sees
// them; of a file itself under ".".
func hashes(t *testing.T, root, below string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		sum := sha256.Sum256(raw)
		all[path.Join(below, filepath.ToSlash(rel))] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func equalFiles(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for path, sum := range a {
		if b[path] != sum {
			return false
		}
	}
	return true
}

// run runs a verb that must succeed, try one that need not.
func run(t *testing.T, home string, args ...string) string {
	t.Helper()
	r := try(t, home, args...)
	if r.code != 0 {
		t.Fatalf("%v: %d: %s", args, r.code, r.stderr)
	}
	return strings.TrimSpace(r.stdout)
}

func try(t *testing.T, home string, args ...string) result {
	t.Helper()
	r, err := client(t.Context(), home, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// keepData sends one file, a folder, and a file behind a password, and packs all
// that server, nodes and sender have written.
func keepData(t *testing.T, archive string) {
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	t.Setenv("HOLDFAST_MAX_SEND_DAYS", oldDays)
	service := start(t, "dev", programs.holdfast, "dev", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0")
	source := t.TempDir()
	folder := filepath.Join(source, "folder")
	write := func(file string, size int) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Repeat("What stands here must still be there in years. ", size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(source, "one.txt"), 1000)
	write(filepath.Join(folder, "a.txt"), 1)
	write(filepath.Join(folder, "grüße", "b.txt"), 300)
	write(filepath.Join(source, "secret.txt"), 10)
	secret := filepath.Join(source, "password")
	if err := os.WriteFile(secret, []byte("correct horse"), 0o600); err != nil {
		t.Fatal(err)
	}
	var links []oldLink
	for _, s := range []struct {
		path, below, password string
	}{{filepath.Join(source, "one.txt"), ".", ""}, {folder, "folder", ""}, {filepath.Join(source, "secret.txt"), ".", "correct horse"}} {
		args := []string{"send", "--server", service.url, "--json", "--expires", oldDays + "d", s.path}
		if s.password != "" {
			args = append(args, "--password-file", secret)
		}
		var sent struct{ Link, Handle, Manage string }
		if err := json.Unmarshal([]byte(run(t, home, args...)), &sent); err != nil {
			t.Fatal(err)
		}
		links = append(links, oldLink{sent.Link, s.password, sent.Handle, sent.Manage, hashes(t, s.path, s.below)})
	}
	raw, err := json.MarshalIndent(links, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, oldList), append(raw, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := service.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-service.done
	pack(t, dir, archive)
}

func pack(t *testing.T, dir, archive string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(f)
	out := tar.NewWriter(zip)
	err = errors.Join(out.AddFS(os.DirFS(dir)), out.Close(), zip.Close(), f.Close())
	if err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	in := tar.NewReader(zip)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || !filepath.IsLocal(h.Name) {
			t.Fatal(h, err)
		}
		target := filepath.Join(dir, h.Name)
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(target, 0o700)
		} else {
			err = unpackFile(target, in)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func unpackFile(target string, in io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	raw, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	return os.WriteFile(target, raw, 0o600)
}
