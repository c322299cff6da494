package pace

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// conn is a response writer with deadlines, over which bytes come and go at a
// rate.
type conn struct {
	http.ResponseWriter
	read, write time.Time
	each        time.Duration // for chunk bytes
}

const chunk = 4096

func (c *conn) SetReadDeadline(t time.Time) error  { c.read = t; return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.write = t; return nil }

func wait(d time.Duration, deadline time.Time) error {
	if left := time.Until(deadline); !deadline.IsZero() && left < d {
		time.Sleep(left)
		return os.ErrDeadlineExceeded
	}
	time.Sleep(d)
	return nil
}

func (c *conn) Read(p []byte) (int, error) {
	return min(len(p), chunk), wait(c.each, c.read)
}

func (c *conn) Write(p []byte) (int, error) {
	n := (len(p) + chunk - 1) / chunk
	if err := wait(time.Duration(n)*c.each, c.write); err != nil {
		return 0, err
	}
	return len(p), nil
}

func TestSlowness(t *testing.T) {
	for _, c := range []struct {
		name string
		each time.Duration // for 4 KiB
		// whether a body is read, and an answer written
		read, write bool
	}{
		{"fast", time.Microsecond, true, true},
		{"a slow mobile link, 6 KiB/s", 667 * time.Millisecond, true, true},
		{"a trickle, 4.2 KiB/s", 952 * time.Millisecond, false, true},
		{"a drip, 1 KiB/s", 4 * time.Second, false, false},
		{"a stop", time.Hour, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 1 << 20
				w := &conn{each: c.each}
				r := NewReader(w, io.LimitReader(w, size), size)
				begun := time.Now()
				n, err := io.Copy(io.Discard, r)
				if (err == nil) != c.read || !c.read && !errors.Is(err, os.ErrDeadlineExceeded) || c.read && n != size {
					t.Errorf("read %d, %v", n, err)
				}
				if took := time.Since(begun); took > start+time.Duration(size)*time.Second/wholeRate {
					t.Errorf("held for %s", took)
				}
				if r.Done(); !w.read.IsZero() {
					t.Error("the deadline stays")
				}
				written, err := NewWriter(w).Write(make([]byte, size))
				if (err == nil) != c.write || !c.write && !errors.Is(err, os.ErrDeadlineExceeded) || c.write && written != size {
					t.Errorf("wrote %d, %v", written, err)
				}
			})
		})
	}
}

func TestReaderPassesBytesOn(t *testing.T) {
	want := bytes.Repeat([]byte("holdfast"), 100_000)
	got, err := io.ReadAll(NewReader(&conn{}, bytes.NewReader(want), int64(len(want))))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}
