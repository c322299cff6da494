package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

const (
	// arrivingMost is how many large bodies of one endpoint may be on their way at
	// once, and workingMost how many are decoded and worked on: decoded, a body
	// takes several times its length.
	arrivingMost = 16
	workingMost  = 4
	// gateWait is how long a large body is kept waiting before the caller is asked
	// to come back after gateAgain, in seconds.
	gateWait  = 5 * time.Second
	gateAgain = 3
	// defaultEntries is how many entries a list may have where the endpoint says
	// nothing else.
	defaultEntries = 4096
	// maxDepth of lists and objects; the protocol needs 5.
	maxDepth = 32
)

// gate bounds the memory that large bodies of one endpoint take together,
// whoever sends them: a body that is not small waits outside until there is
// room for it. Small ones pass by, so that whoever fills the gate with bodies
// that never end keeps out large ones only.
type gate struct{ arriving, working chan struct{} }

func newGate() *gate {
	return &gate{arriving: make(chan struct{}, arrivingMost), working: make(chan struct{}, workingMost)}
}

// take reads and decodes the body into v. Unless it fails, the caller calls
// leave when it is done with v.
func (g *gate) take(ctx context.Context, w http.ResponseWriter, r *http.Request, info Info, v any) (leave func(), err error) {
	entries := defaultEntries
	if info.MaxEntries > 0 {
		entries = info.MaxEntries
	}
	if r.ContentLength >= 0 && r.ContentLength <= smallBody {
		return func() {}, readJSON(w, r, info.MaxBody, entries, v)
	}
	if err := enter(ctx, g.arriving); err != nil {
		return nil, err
	}
	defer func() { <-g.arriving }()
	raw, err := readBody(w, r, info.MaxBody)
	if err != nil {
		return nil, err
	}
	if err := enter(ctx, g.working); err != nil {
		return nil, err
	}
	if err := decode(raw, entries, v); err != nil {
		<-g.working
		return nil, err
	}
	return func() { <-g.working }, nil
}

// enter waits for a place, but not for long.
func enter(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, gateWait)
	defer cancel()
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
	}
	p := NewProblem(Unavailable, "Too many large requests are on their way here; try again in a moment.")
	p.RetryAfter = gateAgain
	return p
}

// ReadJSON decodes a body of at most max bytes strictly: one value, no unknown
// fields, lists of at most 4,096 entries.
func ReadJSON(w http.ResponseWriter, r *http.Request, max int64, v any) error {
	return readJSON(w, r, max, defaultEntries, v)
}

func readJSON(w http.ResponseWriter, r *http.Request, max int64, entries int, v any) error {
	raw, err := readBody(w, r, max)
	if err != nil {
		return err
	}
	return decode(raw, entries, v)
}

// readBody reads a JSON body whole.
func readBody(w http.ResponseWriter, r *http.Request, max int64) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != TypeJSON {
		return nil, NewProblem(BadRequest, "The body must be %s.", TypeJSON)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max))
	if errors.As(err, new(*http.MaxBytesError)) {
		return nil, NewProblem(BodyTooLarge, "At most %d bytes are taken here.", max)
	}
	if err != nil {
		return nil, NewProblem(BadRequest, "The body did not come whole: %v.", err)
	}
	return raw, nil
}

func decode(raw []byte, entries int, v any) error {
	if err := checkShape(raw, entries); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("more than one value")
	}
	return NewProblem(BadRequest, "The body does not have the expected form: %v.", err)
}

// checkShape bounds what decoding allocates, before it does: an entry of two
// bytes may become a struct of hundreds. It counts the entries of all lists but
// those within lists: these are of extents, which take less decoded than as
// text, and of an extent's numbers. It knows no more of JSON than it needs; what
// is none fails when it is decoded.
func checkShape(raw []byte, entries int) error {
	var lists [maxDepth]bool
	depth, open := 0, 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '"':
			i = stringEnd(raw, i)
		case '[', '{':
			if depth == maxDepth {
				return NewProblem(BadRequest, "The body has more than %d levels.", maxDepth)
			}
			lists[depth] = c == '['
			depth++
			if c == '[' {
				open++
			}
		case ']', '}':
			if depth > 0 {
				depth--
				if lists[depth] {
					open--
				}
			}
		case ',':
			if open == 1 && lists[depth-1] {
				entries--
			}
		}
		if entries < 1 {
			return NewProblem(BodyTooLarge, "Its lists have more entries than are taken here.")
		}
	}
	return nil
}

// stringEnd is where the string that begins at i ends.
func stringEnd(raw []byte, i int) int {
	for i++; i < len(raw) && raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i
}
