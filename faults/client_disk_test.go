//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReceiveWhereNamesFold: a disk without hard links on which names that differ
// in case are one, such as FAT. Every file of a link comes, with and without
// --force, under names of their own; what was there is replaced only by force.
func TestReceiveWhereNamesFold(t *testing.T) {
	f := startFleet(t)
	tree := filepath.Join(t.TempDir(), "tree")
	for _, name := range []string{"A", "a", "sub/X", "sub/x"} {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := f.send("sender", tree)
	for _, more := range [][]string{nil, {"--force"}} {
		d := mountDisk(t)
		d.tell("plain")
		out := filepath.Join(d.dir, "out")
		f.must(f.home("receiver"), append([]string{"receive", link, "-o", out}, more...)...)
		have := map[string]bool{}
		err := filepath.WalkDir(out, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			have[string(raw)] = true
			return err
		})
		if err != nil || len(have) != 4 {
			t.Errorf("%v: of four files came %v, %v", more, have, err)
		}
		if r, err := client(f.context(), f.home("receiver"), "receive", link, "-o", out); err != nil || r.code != 1 {
			t.Errorf("%v: received over what is there: %v, exit %d\n%s", more, err, r.code, r.stderr)
		}
		f.must(f.home("receiver"), "receive", link, "-o", out, "--force")
	}
}

// TestDiskFullOfReceiver: fault 7, at the receiver. It says so before it starts
// where it can know; a disk that fills meanwhile ends the receive with what came
// so far kept, and nothing under the file's name.
func TestDiskFullOfReceiver(t *testing.T) {
	f, fr := frontedFleet(t)
	path, want := f.file(60*mib, 7)
	link := f.must(f.home("sender"), "send", "--server", f.server.url, "--downloads", "1", path)
	d := mountDisk(t)
	out := filepath.Join(d.dir, "file")
	full := func(when string) {
		t.Helper()
		r, err := client(f.context(), f.home("receiver"), "receive", link, "-o", out)
		if err != nil || r.code != 1 || !strings.Contains(r.stderr, "the disk is full here") {
			t.Fatalf("%s: %v, exit %d\n%s", when, err, r.code, r.stderr)
		}
		if _, err := os.Lstat(out); !os.IsNotExist(err) {
			t.Errorf("%s: something stands under the file's name: %v", when, err)
		}
	}
	d.tell(fmt.Sprint("capacity ", 10*mib))
	full("full from the start")
	if entries, err := os.ReadDir(d.dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind without a byte: %v %v", entries, err)
	}
	d.tell(fmt.Sprint("capacity ", 1024*mib))
	fr.armReads(20*mib, func() { d.tell(fmt.Sprint("capacity ", 40*mib)) })
	full("filled meanwhile")
	first := fr.readBytes()
	full("tried again without room")
	d.tell(fmt.Sprint("capacity ", 1024*mib))
	fr.armReads(0, nil)
	f.must(f.home("receiver"), "receive", link, "-o", out) // the link's only download goes on
	f.expectFile(out, want)
	if again := fr.readBytes(); again > streamLength(len(want))-8*mib {
		t.Errorf("%d bytes were fetched before the disk was full, and %d after there was room: nothing was kept", first, again)
	}
}

// TestDiskFullOfSender: fault 7, at the sender. Where the names of blobs cannot be
// written down any more, none leaves; the command says why, and goes on when
// there is room.
func TestDiskFullOfSender(t *testing.T) {
	f, fr := frontedFleet(t)
	path, want := f.file(100*mib, 8)
	d := mountDisk(t)
	home := filepath.Join(d.dir, "state")
	d.tell(fmt.Sprint("capacity ", 2000)) // the log's beginning and some blobs
	fr.arm(moment{}, nil)
	r, err := client(f.context(), home, "send", "--server", f.server.url, path)
	if err != nil || r.code != 1 || !strings.Contains(r.stderr, "nothing more is sent") {
		t.Fatalf("%v, exit %d\n%s", err, r.code, r.stderr)
	}
	posted, kept := fr.posted(), resumes(t, home)
	if len(posted) == 0 || len(kept) != 1 {
		t.Fatalf("%d blobs left, with %d logs", len(posted), len(kept))
	}
	for _, log := range kept {
		for _, name := range posted {
			if !bytes.Contains(log, []byte(`"name":"`+name+`"`)) {
				t.Errorf("blob %s left, and its name is not written down", name)
			}
		}
	}
	d.tell(fmt.Sprint("capacity ", 64*mib))
	link := f.must(home, "send", "--server", f.server.url, path)
	if n := f.countLinks(); n != 1 {
		t.Errorf("%d links made", n)
	}
	if got := f.receive("receiver", link); !bytes.Equal(got, want) {
		t.Error("what came back is not what was sent")
	}
}

// TestSourceThatCannotBeRead: a file on a failing disk, which opens and cannot be
// read, small or large, ends the send with its name, and nothing is published.
func TestSourceThatCannotBeRead(t *testing.T) {
	f := startFleet(t)
	d := mountDisk(t)
	for _, size := range []int{3000, 20 * mib} {
		path := filepath.Join(d.dir, fmt.Sprint("file-", size))
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		d.tell("unreadable")
		r, err := client(f.context(), f.home("sender"), "send", "--server", f.server.url, path)
		if err != nil || r.code != 1 || !strings.Contains(r.stderr, path) || !strings.Contains(r.stderr, "cannot be read") {
			t.Errorf("%d bytes: %v, exit %d\n%s", size, err, r.code, r.stderr)
		}
		d.tell("heal")
	}
	if n := f.countLinks(); n != 0 {
		t.Errorf("%d links made", n)
	}
}
