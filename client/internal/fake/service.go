package fake

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

var quiet = log.New(io.Discard, "", 0)

// Service is a server with its nodes.
type Service struct {
	URL    string
	Nodes  []*Node
	Limits api.Limits
	// Chains are numbers of nodes; at first one chain of all of them.
	Chains [][]int
	// Around, if set, stands around every request to the server.
	Around atomic.Pointer[func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc)]
	// Change may alter an answer before it is sent: an evil server.
	Change func(endpoint string, answer any)

	key  ed25519.PrivateKey
	http *httptest.Server

	mu      sync.Mutex // guards what follows
	calls   map[string]int
	uploads map[id.Upload]*upload
	links   map[id.Handle]*linked
	folders map[id.Folder][]*linked // what each holds, by upload
}

type upload struct {
	secret  string
	budget  int64
	pages   map[string]api.Page
	closed  bool
	request *api.CommitRequest
	answer  api.CommitResponse
}

type linked struct {
	spec      api.LinkSpec
	upload    id.Upload
	blobs     []api.BlobEntry
	revisions map[id.Revision]api.RevisionEntry
	sessions  map[string]bool
	downloads int64
	revoked   bool
}

// New starts a service with one node for each jurisdiction, each of an operator
// of its own. Everything ends with the test.
func New(t testing.TB, jurisdictions ...string) *Service {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{
		key: key, calls: map[string]int{}, uploads: map[id.Upload]*upload{}, links: map[id.Handle]*linked{},
		folders: map[id.Folder][]*linked{},
		Limits:  api.Limits{MaxUploadBytes: 1 << 36, DefaultDays: 7, MaxDays: 30, MaxDownloads: 100, FreeBytes: 1 << 40},
	}
	chain := []int{}
	for i, j := range jurisdictions {
		s.Nodes = append(s.Nodes, newNode(t, s, "Operator "+j, j))
		chain = append(chain, i)
	}
	s.Chains = [][]int{chain}
	mux := http.NewServeMux()
	s.register(mux)
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if around := s.Around.Load(); around != nil {
			(*around)(w, r, mux.ServeHTTP)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	s.http.Config.ErrorLog = quiet
	t.Cleanup(s.http.Close)
	s.URL = s.http.URL
	return s
}

// Hook makes the server do something else; nil is back to usual.
func (s *Service) Hook(f func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc)) {
	if f == nil {
		s.Around.Store(nil)
		return
	}
	s.Around.Store(&f)
}

// Calls is how often an endpoint was called.
func (s *Service) Calls(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[id]
}

// Links are the links that stand.
func (s *Service) Links() (handles []id.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, l := range s.links {
		if !l.revoked {
			handles = append(handles, h)
		}
	}
	return handles
}

// Open is how many uploads are neither committed nor abandoned.
func (s *Service) Open() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.uploads {
		if !u.closed {
			n++
		}
	}
	return n
}

// Downloads that were counted, of all links.
func (s *Service) Downloads() (sum int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		sum += l.downloads
	}
	return sum
}

// Revisions are those of all links.
func (s *Service) Revisions() (all []api.RevisionEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		for _, r := range l.revisions {
			all = append(all, r)
		}
	}
	return all
}

// Close closes every upload, as time does.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.uploads {
		u.closed = true
	}
}

func (s *Service) node(n id.Node) *Node {
	for _, node := range s.Nodes {
		if node.ID == n {
			return node
		}
	}
	panic("fake: no such node")
}

func handle[Req, Res any](s *Service, mux *http.ServeMux, e api.Endpoint[Req, Res], h func(r api.Request, req Req) (Res, error)) {
	e.Handle(mux, func(string, error) {}, func(_ context.Context, r api.Request, req Req) (Res, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls[e.ID]++
		res, err := h(r, req)
		if err == nil && s.Change != nil {
			s.Change(e.ID, &res)
		}
		return res, err
	})
}

func (s *Service) register(mux *http.ServeMux) {
	handle(s, mux, api.GetInfo, func(api.Request, api.Empty) (api.ServiceInfo, error) {
		return api.ServiceInfo{Protocol: api.Version, Limits: s.Limits, Accepting: true, Nodes: s.apiNodes()}, nil
	})
	handle(s, mux, api.OpenUpload, s.open)
	handle(s, mux, api.GetUpload, func(r api.Request, _ api.Empty) (api.UploadGrant, error) {
		number, u, err := s.upload(r)
		if err != nil {
			return api.UploadGrant{}, err
		}
		return s.grant(number, u), nil
	})
	handle(s, mux, api.ExtendUpload, func(r api.Request, req api.ExtendUploadRequest) (api.UploadGrant, error) {
		number, u, err := s.upload(r)
		if err != nil {
			return api.UploadGrant{}, err
		}
		if req.Bytes > s.Limits.MaxUploadBytes {
			return api.UploadGrant{}, api.NewProblem(api.OverLimit, "too much")
		}
		u.budget = max(u.budget, req.Bytes)
		return s.grant(number, u), nil
	})
	handle(s, mux, api.StagePage, func(r api.Request, page api.Page) (api.Empty, error) {
		_, u, err := s.upload(r)
		if err == nil {
			u.pages[r.PathValue("page")] = page
		}
		return api.Empty{}, err
	})
	handle(s, mux, api.AbandonUpload, func(r api.Request, _ api.Empty) (api.Empty, error) {
		_, u, err := s.upload(r)
		if err == nil {
			u.closed = true
		}
		return api.Empty{}, err
	})
	handle(s, mux, api.CommitUpload, s.commit)
	s.registerLinks(mux)
	s.registerDrive(mux)
}

func (s *Service) apiNodes() (out []api.Node) {
	for _, n := range s.Nodes {
		out = append(out, n.Node)
	}
	return out
}

func (s *Service) open(_ api.Request, req api.OpenUploadRequest) (api.UploadGrant, error) {
	if req.Bytes > s.Limits.MaxUploadBytes {
		return api.UploadGrant{}, api.NewProblem(api.OverLimit, "too much")
	}
	return s.opened(req.Bytes), nil
}

func (s *Service) opened(bytes int64) api.UploadGrant {
	if bytes == 0 {
		bytes = 1 << 20
	}
	number, u := id.New[id.Upload](), &upload{secret: id.New[id.Key]().String(), budget: bytes, pages: map[string]api.Page{}}
	s.uploads[number] = u
	g := s.grant(number, u)
	g.Secret = u.secret
	return g
}

func (s *Service) upload(r api.Request) (id.Upload, *upload, error) {
	number, err := id.Parse[id.Upload](r.PathValue("upload"))
	u := s.uploads[number]
	switch {
	case err != nil || u == nil:
		return number, nil, api.NewProblem(api.UploadUnknown, "which?")
	case r.Secret != u.secret:
		return number, nil, api.NewProblem(api.Unauthorized, "secret")
	case u.closed:
		return number, nil, api.NewProblem(api.UploadClosed, "closed")
	}
	return number, u, nil
}

func (s *Service) grant(number id.Upload, u *upload) api.UploadGrant {
	t := ticket.UploadTicket{Upload: number, Budget: u.budget, Expires: time.Now().Add(time.Hour).Unix()}
	for _, chain := range s.Chains {
		var places []ticket.Place
		for _, i := range chain {
			places = append(places, ticket.Place{Node: s.Nodes[i].ID, URL: s.Nodes[i].URL})
		}
		t.Chains = append(t.Chains, places)
	}
	return api.UploadGrant{Upload: number, Ticket: s.Sign(t), Nodes: s.apiNodes(), Budget: u.budget, Expires: t.Expires,
		Closes: time.Now().Add(24 * time.Hour).Unix(), Limits: s.Limits}
}

// Sign signs an upload ticket.
func (s *Service) Sign(t ticket.UploadTicket) string {
	text, err := ticket.SignText(s.key, t)
	if err != nil {
		panic(err)
	}
	return text
}

func (s *Service) commit(r api.Request, req api.CommitRequest) (api.CommitResponse, error) {
	number, u, err := s.upload(r)
	if known := s.uploads[number]; known != nil && known.request != nil {
		if !reflect.DeepEqual(*known.request, req) {
			return api.CommitResponse{}, api.NewProblem(api.CommitConflict, "another")
		}
		return known.answer, nil
	}
	if err != nil {
		return api.CommitResponse{}, err
	}
	l, err := s.bring(number, u, req.Pages, req.Page)
	if err != nil {
		return api.CommitResponse{}, err
	}
	l.spec = req.Link
	s.links[req.Link.Handle] = l
	u.closed, u.request = true, &req
	u.answer = api.CommitResponse{Expires: req.Link.Expires, Copies: s.apiNodes()[:2]}
	return u.answer, nil
}

// bring is what the pages of an upload bring.
func (s *Service) bring(number id.Upload, u *upload, staged int, last api.Page) (*linked, error) {
	l := &linked{upload: number, revisions: map[id.Revision]api.RevisionEntry{}, sessions: map[string]bool{}}
	copies := map[id.Name]map[id.Node]bool{}
	pages := make([]api.Page, 0, staged+1)
	for i := range staged {
		page, there := u.pages[fmt.Sprint(i)]
		if !there {
			return nil, api.NewProblem(api.PageMissing, "page %d", i)
		}
		pages = append(pages, page)
	}
	for _, page := range append(pages, last) {
		l.blobs = append(l.blobs, page.Blobs...)
		for _, text := range page.Receipts {
			s.count(text, copies)
		}
		for _, rev := range page.Revisions {
			l.revisions[rev.ID] = rev
		}
	}
	if err := l.check(copies, u.budget); err != nil {
		return nil, err
	}
	return l, nil
}

// count counts a receipt; the real server checks more.
func (s *Service) count(text string, copies map[id.Name]map[id.Node]bool) {
	for _, n := range s.Nodes {
		receipt, err := ticket.OpenText[ticket.Receipt](n.Declared.Public[:], text)
		if err != nil {
			continue
		}
		for _, b := range receipt.Blobs {
			if copies[b.Name] == nil {
				copies[b.Name] = map[id.Node]bool{}
			}
			copies[b.Name][n.ID] = true
		}
	}
}

func (l *linked) check(copies map[id.Name]map[id.Node]bool, budget int64) error {
	for _, b := range l.blobs {
		if len(copies[b.Name]) < 2 {
			return api.NewProblem(api.ReceiptsMissing, "blob %s", b.Name)
		}
		budget -= b.Size
	}
	if budget < 0 {
		return api.NewProblem(api.OverLimit, "budget")
	}
	for _, r := range l.revisions {
		left := r.Length
		for _, e := range r.Extents {
			if e[0] < 0 || e[0] >= int64(len(l.blobs)) || e[1]+e[2] > l.blobs[e[0]].Size {
				return api.NewProblem(api.RevisionInvalid, "extent")
			}
			left -= e[2]
		}
		if left != 0 {
			return api.NewProblem(api.RevisionInvalid, "length")
		}
	}
	return nil
}

// Handle is that of the only link.
func (s *Service) Handle(t testing.TB) id.Handle {
	t.Helper()
	all := s.Links()
	if len(all) != 1 {
		t.Fatalf("%d links", len(all))
	}
	return all[0]
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", api.TypeJSON)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

// SignRead signs a read ticket.
func (s *Service) SignRead(t ticket.ReadTicket) string {
	text, err := ticket.SignText(s.key, t)
	if err != nil {
		panic(err)
	}
	return text
}
