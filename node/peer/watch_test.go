package peer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatch: what counts as standing still.
func TestWatch(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(w *watch)
		want error
	}{
		{"nothing at all", func(w *watch) { time.Sleep(7 * time.Second) }, ErrStalled},
		{"moves now and then", func(w *watch) {
			for range 10 {
				time.Sleep(4 * time.Second)
				w.moved()
			}
		}, nil},
		{"the source is slow", func(w *watch) {
			r := watched{io.NopCloser(slowReader{20 * time.Second}), w}
			r.Read(make([]byte, 10))
		}, nil},
		{"the source was slow, then the peer", func(w *watch) {
			r := watched{io.NopCloser(slowReader{20 * time.Second}), w}
			r.Read(make([]byte, 10))
			time.Sleep(7 * time.Second)
		}, ErrStalled},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				w := newWatch(5 * time.Second)
				stop := w.start(cancel)
				c.run(w)
				synctest.Wait()
				if got := context.Cause(ctx); !errors.Is(got, c.want) {
					t.Errorf("have %v, want %v", got, c.want)
				}
				stop()
			})
		})
	}
}

type slowReader struct{ wait time.Duration }

func (r slowReader) Read(p []byte) (int, error) {
	time.Sleep(r.wait)
	return len(p), nil
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"receipt":"abc"}`))
	f.Add([]byte(`{"failed":{"node":"AAAAAAAAAAAAAAAAAAAAAA","code":"x"}}` + "\n" + `{"problem":{"code":"read-only","status":507}}`))
	f.Add([]byte(`{}{}{`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		receipt, err := readAnswer(bytes.NewReader(raw), newWatch(time.Second))
		if (receipt == "") == (err == nil) {
			t.Fatalf("%q, %v", receipt, err)
		}
	})
}
