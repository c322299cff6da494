// Package pace keeps slow connections from holding a node's resources for ever:
// whoever sends or takes bytes must keep to a least rate, whatever the total. It
// knows nothing of what the bytes are.
package pace

import (
	"io"
	"net/http"
	"time"
)

const (
	// step bytes must move within window: 4 KiB/s, less than the slowest mobile
	// links give, more than a drip that only keeps a connection open.
	step   = 128 << 10
	window = 32 * time.Second
	// A whole body has start, and comes at wholeRate or more, in bytes a second: what
	// each of the 4 blobs that clients send at once has of a line of 170 kbit/s.
	start     = 30 * time.Second
	wholeRate = 5 << 10
)

// Reader reads a request's body and ends it when it comes too slowly.
type Reader struct {
	conn *http.ResponseController
	body io.Reader
	left int64     // until the deadline moves
	last time.Time // the deadline never moves beyond
}

// NewReader reads the body, of size bytes, of the request that w answers.
func NewReader(w http.ResponseWriter, body io.Reader, size int64) *Reader {
	last := time.Now().Add(start + time.Duration(size)*time.Second/wholeRate)
	return &Reader{conn: http.NewResponseController(w), body: body, last: last}
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		r.left = step
		deadline := time.Now().Add(window)
		if deadline.After(r.last) {
			deadline = r.last
		}
		_ = r.conn.SetReadDeadline(deadline) // only test recorders refuse
	}
	n, err := r.body.Read(p)
	r.left -= int64(n)
	return n, err
}

// Done lifts the deadline. Left in place it would end the request's context while
// the answer is being made.
func (r *Reader) Done() { _ = r.conn.SetReadDeadline(time.Time{}) }

// Writer writes an answer and ends it when it is taken too slowly.
type Writer struct {
	conn *http.ResponseController
	w    io.Writer
}

// NewWriter writes to w.
func NewWriter(w http.ResponseWriter) *Writer {
	return &Writer{conn: http.NewResponseController(w), w: w}
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	total := 0
	for {
		part := p[total:min(len(p), total+step)]
		w.Next()
		n, err := w.w.Write(part)
		total += n
		if err != nil || total == len(p) {
			return total, err
		}
	}
}

// Next gives the next Step bytes their time, for who writes around Write, and for
// small answers.
func (w *Writer) Next() { _ = w.conn.SetWriteDeadline(time.Now().Add(window)) }

// Step is how many bytes may be written after each Next.
func (w *Writer) Step() int64 { return step }
