package httpapi

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/link"
	"holdfast/format/opaque"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/message"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/store"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
)

// rig is all endpoints over HTTP, on a real database.
type rig struct {
	*testing.T
	store *store.Store
	fleet *servertest.Fleet
	clock *servertest.Clock
	nodes *stubFleet
	url   string
	call  api.Caller
	log   *safeBuffer
}

var limits = upload.Limits{UploadBytes: 1 << 34, DefaultDays: 7, Days: 30, Downloads: 100, ReservedBytes: 1 << 36, AccountBytes: 1 << 30}

func newRig(t *testing.T) *rig {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "holdfast.db"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, store: s, fleet: servertest.NewFleet(t, 3), clock: servertest.NewClock(), nodes: &stubFleet{}, log: &safeBuffer{}}
	storetest.Admit(t, s, r.fleet.Nodes...)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := account.New(s, account.Secret{OPAQUE: opaque.NewSecret(), Names: id.New32()}, r.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	uploads := upload.New(s, r.fleet.Uploads(), key, limits, r.clock.Now)
	server := httptest.NewServer(New(Config{
		Uploads:  uploads,
		Drives:   drive.New(s, uploads, r.fleet.Links(), key, limits.AccountBytes, r.clock.Now),
		Links:    share.New(s, r.fleet.Links(), key, r.clock.Now),
		Accounts: accounts,
		Messages: message.New(s, r.clock.Now),
		Fleet:    r.nodes,
		Software: "test",
		Log:      slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}))
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r.url, r.call = server.URL, api.Caller{Base: server.URL, HTTP: server.Client()}
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) want(err error, code api.Code) {
	r.Helper()
	if !errors.Is(err, code) {
		r.Fatalf("have %v, want %s", err, code)
	}
}

func (r *rig) open(bytes int64) api.UploadGrant {
	r.Helper()
	g, err := api.OpenUpload.Call(r.Context(), r.call, api.Args{}, api.OpenUploadRequest{Bytes: bytes, Days: 7})
	r.must(err)
	return g
}

func uploadArgs(g api.UploadGrant) api.Args {
	return api.Args{Path: map[string]string{"upload": g.Upload.String()}, Secret: g.Secret}
}

func linkArgs(s *servertest.Send) api.Args {
	return api.Args{Path: map[string]string{"handle": s.Link.Handle.String()}, Secret: s.Manage.Reveal()}
}

// request turns a commit into what a client sends.
func request(s *servertest.Send) api.CommitRequest {
	req := api.CommitRequest{Pages: s.Pages, Page: page(s.Page), Link: api.LinkSpec{
		Handle: s.Link.Handle, AuthHash: s.Link.Auth, ManageHash: s.Link.Manage, Record: id.Encoding.EncodeToString(s.Link.Record),
		Listing: s.Link.Listing, Expires: s.Link.Expires, Downloads: s.Link.MaxDownloads,
	}}
	return req
}

func page(p upload.Page) api.Page {
	out := api.Page{Receipts: p.Receipts}
	for _, b := range p.Blobs {
		out.Blobs = append(out.Blobs, api.BlobEntry{Name: b.Name, Size: b.Size})
	}
	for _, r := range p.Revisions {
		e := api.RevisionEntry{RevisionHead: api.RevisionHead{
			ID: r.ID, ReleaseKey: r.ReleaseKey, Commitment: r.Commitment, Root: r.Root, Salt: r.Salt,
			Prefix: id.Encoding.EncodeToString(r.Prefix[:]), Length: r.Length,
		}}
		for _, x := range r.Extents {
			e.Extents = append(e.Extents, api.Extent{x.Blob, x.Offset, x.Length})
		}
		out.Revisions = append(out.Revisions, e)
	}
	return out
}

// sent is a committed send; change comes before the commit.
func (r *rig) sent(change func(*servertest.Send), sizes ...int64) *servertest.Send {
	r.Helper()
	g := r.open(1 << 30)
	send := servertest.NewSend(r.T, g.Upload, r.clock.Now(), r.fleet.Nodes[:2], sizes...)
	if change != nil {
		change(send)
	}
	_, err := api.CommitUpload.Call(r.Context(), r.call, uploadArgs(g), request(send))
	r.must(err)
	return send
}

// raw sends a request as it is and returns the status, the problem's code and the body.
func (r *rig) raw(method, path, secret, body string, change ...func(*http.Request)) (int, api.Code, string) {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.url+path, strings.NewReader(body))
	r.must(err)
	req.Header.Set(api.HeaderVersion, api.Version)
	if body != "" {
		req.Header.Set("Content-Type", api.TypeJSON)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	for _, f := range change {
		f(req)
	}
	res, err := r.call.HTTP.Do(req)
	r.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	r.must(err)
	var p api.Problem
	if res.StatusCode >= 400 {
		if res.Header.Get("Content-Type") != api.TypeProblem {
			r.Errorf("%s %s: %d as %q", method, path, res.StatusCode, res.Header.Get("Content-Type"))
		}
		r.must(json.Unmarshal(raw, &p))
		if p.Status != res.StatusCode || p.Title == "" {
			r.Errorf("problem %+v with status %d", p, res.StatusCode)
		}
	} else if bytes.Contains(raw, []byte("null")) {
		r.Errorf("%s %s answers with null: %s", method, path, raw)
	}
	for header, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if have := res.Header.Get(header); have != want {
			r.Errorf("%s %s: %s is %q", method, path, header, have)
		}
	}
	return res.StatusCode, p.Code, string(raw)
}

// stubFleet answers for the fleet; fault is what it fails with.
type stubFleet struct {
	fault error
	panic any
}

func (f *stubFleet) Join(context.Context, string, string) (fleet.Joined, error) {
	if f.panic != nil {
		panic(f.panic)
	}
	return fleet.Joined{TicketKey: make([]byte, 32), OrderKey: make([]byte, 32), Epoch: 3}, f.fault
}

func (f *stubFleet) Heartbeat(context.Context, string, []string) (fleet.Answer, error) {
	return fleet.Answer{Epoch: 3, Orders: []string{"order"}, More: true}, f.fault
}

func (f *stubFleet) Serving(context.Context) ([]api.Node, error) { return []api.Node{}, f.fault }

func (f *stubFleet) Origins(context.Context) (string, []string, error) { return "v1", nil, f.fault }

// safeBuffer is a log that handlers and tests share.
type safeBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func anotherSecret() string { return link.NewSecret().Reveal() }
