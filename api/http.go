package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxResponse bounds what a caller reads of a JSON answer.
const maxResponse = 16 << 20

// ErrUnreachable wraps every failure to get an answer at all.
var ErrUnreachable = errors.New("no answer")

// CallError is a call that failed. Its text leaves the operation out: whoever
// reads it does not know the names of calls.
type CallError struct {
	Operation string // Info.ID of the endpoint
	Err       error
}

// Error is the reason alone.
func (e *CallError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *CallError) Unwrap() error { return e.Err }

// Caller sends requests to one base URL.
type Caller struct {
	// Base is the server's or node's URL without a trailing slash.
	Base string
	HTTP *http.Client
}

// Args are a call's path values and its secret, if the endpoint wants one.
type Args struct {
	Path   map[string]string
	Secret string
}

// Call sends req to e and decodes the answer. Failures are a *CallError around a
// *Problem from the other side, or around ErrUnreachable. The endpoint's time-out
// applies.
func (e Endpoint[Req, Res]) Call(ctx context.Context, c Caller, args Args, req Req) (Res, error) {
	res, err := e.call(ctx, c, args, req)
	if err != nil {
		return res, &CallError{e.ID, err}
	}
	return res, nil
}

func (e Endpoint[Req, Res]) call(ctx context.Context, c Caller, args Args, req Req) (Res, error) {
	var res Res
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	httpReq, err := e.request(ctx, c.Base, args, req)
	if err != nil {
		return res, err
	}
	httpRes, err := c.HTTP.Do(httpReq)
	if err != nil {
		return res, Unreachable(redact(err))
	}
	defer httpRes.Body.Close()
	if httpRes.StatusCode >= 300 {
		return res, ReadProblem(httpRes)
	}
	if _, empty := any(res).(Empty); empty {
		return res, nil
	}
	if err := json.NewDecoder(io.LimitReader(httpRes.Body, maxResponse)).Decode(&res); err != nil {
		return res, fmt.Errorf("%w: answer not understood: %w", ErrUnreachable, err)
	}
	return res, nil
}

func (e Endpoint[Req, Res]) request(ctx context.Context, base string, args Args, req Req) (*http.Request, error) {
	path := e.Path
	for name, value := range args.Path {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	var body io.Reader
	if e.MaxBody > 0 {
		raw, err := json.Marshal(req)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	httpReq, err := http.NewRequestWithContext(ctx, e.Method, base+path, body)
	if err != nil {
		return nil, err
	}
	httpReq.Header.Set(HeaderVersion, Version)
	if body != nil {
		httpReq.Header.Set("Content-Type", TypeJSON)
	}
	if args.Secret != "" {
		httpReq.Header.Set("Authorization", "Bearer "+args.Secret)
	}
	return httpReq, nil
}

// redact drops the URL that net/http puts into its errors: read tickets are in queries.
func redact(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// ReadProblem turns an error answer into a *Problem, whatever its body is.
func ReadProblem(res *http.Response) *Problem {
	raw, _ := io.ReadAll(io.LimitReader(res.Body, smallBody)) // a broken body still leaves the status
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var p Problem
	if kind == TypeProblem && json.Unmarshal(raw, &p) == nil && p.Code != "" {
		return &p
	}
	code := Internal
	switch res.StatusCode {
	case http.StatusNotFound:
		code = NotFound
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		code = Unavailable
	}
	return &Problem{Type: "about:blank", Title: res.Status, Status: res.StatusCode, Code: code}
}

// WriteProblem answers with err: its *Problem, or an internal error that tells nothing.
func WriteProblem(w http.ResponseWriter, err error) {
	var p *Problem
	if !errors.As(err, &p) {
		p = NewProblem(Internal, "The fault has been noted; try again in a while.")
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(p.RetryAfter))
	}
	respond(w, p.Status, TypeProblem, p)
}

// respond writes a JSON answer whole, down to the connection. The deadline that
// limitConnection set for it ends here: net/http takes it back only where the
// server has a write time-out of its own, and it would cut the next answer off.
func respond(w http.ResponseWriter, status int, kind string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // no type of the protocol can fail
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw) // a caller that went away cannot be told
	endDeadline(w)
}

func endDeadline(w http.ResponseWriter) {
	rc := http.NewResponseController(w)
	_ = rc.Flush()                       // whoever went away has no next answer
	_ = rc.SetWriteDeadline(time.Time{}) // only test recorders refuse
}

// Request is what a handler gets besides the body.
type Request struct {
	*http.Request
	// Secret is the text after "Bearer ", empty where there is none.
	Secret string
}

// Handle registers h for e on mux. It checks the protocol version, the body's
// type and size, applies the time-out and encodes the answer; onError sees every
// error that is not a *Problem.
func (e Endpoint[Req, Res]) Handle(mux *http.ServeMux, onError func(id string, err error), h func(context.Context, Request, Req) (Res, error)) {
	admitAll := func(context.Context, Request) error { return nil }
	e.HandleAdmitted(mux, onError, admitAll, h)
}

// HandleAdmitted is Handle for callers that admit lets in. It is asked before
// anything of the body is read.
func (e Endpoint[Req, Res]) HandleAdmitted(mux *http.ServeMux, onError func(id string, err error), admit func(context.Context, Request) error, h func(context.Context, Request, Req) (Res, error)) {
	g := newGate()
	mux.HandleFunc(e.Pattern(), func(w http.ResponseWriter, r *http.Request) {
		res, err := e.serve(w, r, g, admit, h)
		if err != nil {
			var p *Problem
			if !errors.As(err, &p) {
				onError(e.ID, err)
			}
			WriteProblem(w, err)
			return
		}
		if _, empty := any(res).(Empty); empty {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent)
			endDeadline(w)
			return
		}
		respond(w, http.StatusOK, TypeJSON, res)
	})
}

func (e Endpoint[Req, Res]) serve(w http.ResponseWriter, r *http.Request, g *gate, admit func(context.Context, Request) error, h func(context.Context, Request, Req) (Res, error)) (Res, error) {
	var req Req
	var none Res
	if err := CheckVersion(r); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), e.Timeout)
	defer cancel()
	limitConnection(w, e.Timeout)
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		secret = "" // of another scheme
	}
	if e.Auth != AuthNone && secret == "" {
		return none, NewProblem(Unauthorized, "This call wants its secret in the Authorization header.")
	}
	request := Request{Request: r.WithContext(ctx), Secret: secret}
	if err := admit(ctx, request); err != nil {
		return none, err
	}
	if e.MaxBody > 0 {
		leave, err := g.take(ctx, w, r, e.Info, &req)
		if err != nil {
			return none, err
		}
		defer leave()
	}
	return h(ctx, request, req)
}

// limitConnection bounds reading the body and writing the answer: a context ends
// neither. Where the connection takes no deadlines there is none to hold up.
func limitConnection(w http.ResponseWriter, timeout time.Duration) {
	rc := http.NewResponseController(w)
	end := time.Now().Add(timeout)
	_ = rc.SetReadDeadline(end)               // only test recorders refuse
	_ = rc.SetWriteDeadline(end.Add(timeout)) // the answer may come at the last moment
}

// CheckVersion refuses requests that name another protocol version or none.
func CheckVersion(r *http.Request) error {
	have := r.Header.Get(HeaderVersion)
	if have == "" {
		have = r.URL.Query().Get("v")
	}
	if have != Version {
		return NewProblem(UnknownVersion, "This side speaks protocol version %s; update the older of the two.", Version)
	}
	return nil
}
