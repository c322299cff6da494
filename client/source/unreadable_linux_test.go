package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user who owns nothing.
const nobody = 65534

// asNobody runs f without root's right to read everything. Only the thread that f
// runs on changes, and it ends with f.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		keep := ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, nobody, keep); errno != 0 {
			t.Errorf("become nobody: %v", errno)
			return
		}
		f()
	}()
	<-done
}

// TestUnreadableIsFoundBeforehand: before anything is sent, also deep in a folder.
func TestUnreadableIsFoundBeforehand(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} { // made for their owner only
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir+"/open/file", "x", 0o644)
	write(t, dir+"/secret", "x", 0o600)
	write(t, dir+"/tree/sub/secret", "x", 0o200)
	write(t, dir+"/closed/file", "x", 0o644)
	if err := errors.Join(os.Chmod(dir+"/secret", 0), os.Chmod(dir+"/closed", 0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(dir+"/closed", 0o700); err != nil {
			t.Error(err)
		}
	})
	asNobody(t, func() {
		if tree, err := Walk(context.Background(), []string{dir + "/open"}); err != nil || len(tree.Entries) != 2 {
			t.Errorf("what everybody may read: %v, %v", tree, err)
		}
		for path, about := range map[string]string{"secret": "secret", "tree": "tree/sub/secret", "closed": "closed"} {
			_, err := Walk(context.Background(), []string{filepath.Join(dir, path)})
			var named *Error
			if !errors.Is(err, ErrUnreadable) || !errors.As(err, &named) || named.Local != filepath.Join(dir, about) {
				t.Errorf("%s: have %v", path, err)
			}
		}
	})
	if err := readable(dir+"/none", false); err == nil {
		t.Error("a missing file is readable")
	}
}
