package node_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node"
	"holdfast/node/store"
	"holdfast/node/store/storetest"
)

// get reads from a node as a page does: without headers.
func get(t *testing.T, n *node.Node, method string, name id.Name, query url.Values) (*http.Response, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, n.URL()+"/blobs/"+name.String()+"?"+query.Encode(), nil)
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return res, nil, api.ReadProblem(res)
	}
	body, err := io.ReadAll(res.Body)
	return res, body, err
}

func query(up id.Upload, text string, part ...int64) url.Values {
	q := url.Values{"v": {"1"}, "upload": {up.String()}, "ticket": {text}}
	if len(part) == 2 {
		q.Set("offset", fmt.Sprint(part[0]))
		q.Set("length", fmt.Sprint(part[1]))
	}
	return q
}

func whole(b storetest.Blob) ticket.Range {
	return ticket.Range{Name: b.Key.Name, Length: int64(len(b.Data))}
}

func TestReadWhole(t *testing.T) {
	f := newFleet(t, 1)
	n := f.nodes[0]
	for _, size := range []int{1, 4096, 300_000, blob.MaxSize} {
		b := storetest.Make(id.New[id.Upload](), 1, size)
		must(t, storetest.Put(n.Store(), b, budget))
		q := query(b.Key.Upload, f.reads(b.Key.Upload, whole(b)))
		res, body, err := get(t, n, "GET", b.Key.Name, q)
		if err != nil || !bytes.Equal(body, b.Data) {
			t.Fatalf("%d bytes: have %d, %v", size, len(body), err)
		}
		if res.ContentLength != int64(size) || res.Header.Get("Content-Type") != api.TypeBytes || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", res.Header)
		}
		res, body, err = get(t, n, "HEAD", b.Key.Name, q)
		if err != nil || len(body) != 0 || res.ContentLength != int64(size) {
			t.Errorf("HEAD: %d of %d bytes, %v", len(body), res.ContentLength, err)
		}
	}
}

func TestReadParts(t *testing.T) {
	f := newFleet(t, 1)
	n := f.nodes[0]
	up := id.New[id.Upload]()
	b := storetest.Make(up, 1, blob.MaxSize-77)
	must(t, storetest.Put(n.Store(), b, budget))
	size := int64(len(b.Data))
	text := f.reads(up, whole(b))
	var all sync.WaitGroup
	for _, part := range [][2]int64{{0, 1}, {0, size}, {size - 1, 1}, {16384, 16384}, {100_000, 1 << 20}, {16383, 2}} {
		all.Go(func() {
			res, slice, err := get(t, n, "GET", b.Key.Name, query(up, text, part[0], part[1]))
			if err != nil || res.Header.Get("Content-Type") != api.TypeSlice || res.ContentLength != int64(len(slice)) {
				t.Errorf("%v: %v", part, err)
				return
			}
			got, err := blob.OpenSlice(slice, blob.Proof{Name: b.Key.Name, Size: size, Offset: part[0], Length: part[1]})
			if err != nil || !bytes.Equal(got, b.Data[part[0]:part[0]+part[1]]) {
				t.Errorf("%v: %v", part, err)
			}
		})
	}
	all.Wait()
	res, _, err := get(t, n, "HEAD", b.Key.Name, query(up, text, 5, 5))
	if err != nil || res.ContentLength != blob.SliceSize(size, 5, 5) {
		t.Errorf("HEAD: %d, %v", res.ContentLength, err)
	}
}

func TestReadRefused(t *testing.T) {
	f := newFleet(t, 1)
	n := f.nodes[0]
	up := id.New[id.Upload]()
	b, hidden := storetest.Make(up, 1, 50_000), storetest.Make(up, 2, 50_000)
	must(t, storetest.Put(n.Store(), b, budget))
	must(t, storetest.Put(n.Store(), hidden, budget))
	all := f.reads(up, whole(b))
	some := f.reads(up, ticket.Range{Name: b.Key.Name, Offset: 1000, Length: 500})
	beyond := f.reads(up, ticket.Range{Name: b.Key.Name, Length: 60_000})
	gone := f.reads(up, ticket.Range{Name: id.Name{1}, Length: 5})
	late := sign(t, f.tickets, ticket.ReadTicket{Nodes: []id.Node{n.ID()}, Expires: f.clock.now().Unix() - 61,
		Reads: []ticket.Reads{{Upload: up, Ranges: []ticket.Range{whole(b)}}}})
	elsewhere := sign(t, f.tickets, ticket.ReadTicket{Nodes: []id.Node{{7}}, Expires: f.clock.now().Unix() + 10,
		Reads: []ticket.Reads{{Upload: up, Ranges: []ticket.Range{whole(b)}}}})
	without := func(key string) url.Values { q := query(up, all, 0, 1); q.Del(key); return q }
	with := func(key, value string) url.Values { q := query(up, all, 0, 1); q.Set(key, value); return q }
	for _, c := range []struct {
		name  string
		blob  id.Name
		query url.Values
		want  api.Code
	}{
		{"no version", b.Key.Name, without("v"), api.UnknownVersion},
		{"another version", b.Key.Name, with("v", "2"), api.UnknownVersion},
		{"no upload", b.Key.Name, without("upload"), api.BadRequest},
		{"bad upload", b.Key.Name, with("upload", "../.."), api.BadRequest},
		{"no ticket", b.Key.Name, without("ticket"), api.TicketInvalid},
		{"expired", b.Key.Name, query(up, late), api.TicketExpired},
		{"another node's", b.Key.Name, query(up, elsewhere), api.TicketOtherNode},
		{"an upload ticket", b.Key.Name, query(up, f.ticket(up, budget, placeOf(n), ticket.Place{URL: "http://127.0.0.1:1"})), api.TicketInvalid},
		{"blob not in the ticket", hidden.Key.Name, query(up, all), api.TicketInvalid},
		{"upload not in the ticket", b.Key.Name, query(id.New[id.Upload](), all), api.TicketInvalid},
		{"whole where a part is allowed", b.Key.Name, query(up, some), api.TicketInvalid},
		{"part outside", b.Key.Name, query(up, some, 999, 10), api.TicketInvalid},
		{"only an offset", b.Key.Name, without("length"), api.RangeInvalid},
		{"only a length", b.Key.Name, without("offset"), api.RangeInvalid},
		{"not a number", b.Key.Name, with("offset", "x"), api.RangeInvalid},
		{"negative", b.Key.Name, with("offset", "-1"), api.RangeInvalid},
		{"nothing", b.Key.Name, with("length", "0"), api.RangeInvalid},
		{"beyond the blob", b.Key.Name, query(up, beyond, 0, 50_001), api.RangeInvalid},
		{"unknown blob without the right to it", id.Name{2}, query(up, all), api.TicketInvalid},
		{"unknown blob", id.Name{1}, query(up, gone, 0, 5), api.BlobUnknown},
		{"unknown blob, whole", id.Name{1}, query(up, gone), api.BlobUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := get(t, n, "GET", c.blob, c.query)
			want(t, err, c.want)
		})
	}
	if _, body, err := get(t, n, "GET", b.Key.Name, query(up, some, 1000, 500)); err != nil || len(body) == 0 {
		t.Errorf("the part that is allowed: %v", err)
	}
	f.clock.add(10 * time.Minute)
	_, _, err := get(t, n, "GET", b.Key.Name, query(up, all))
	want(t, err, api.TicketExpired) // also from the cache
}

func blobFile(dir string, key store.Key) string {
	up := hex.EncodeToString(key.Upload[:])
	return filepath.Join(dir, "store", "blobs", up[:2], up, hex.EncodeToString(key.Name[:]))
}

// TestDamagedCopy: a partial read finds out, says so once, and takes the copy out
// of use; another copy may be stored again.
func TestDamagedCopy(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"bit flipped": func(t *testing.T, path string) {
			raw, err := os.ReadFile(path)
			must(t, err)
			raw[40_000] ^= 1
			must(t, os.WriteFile(path, raw, 0o600))
		},
		"cut":   func(t *testing.T, path string) { must(t, os.Truncate(path, 20_000)) },
		"empty": func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 0)
			dir := t.TempDir()
			n, _ := f.add(dir, nil)
			b := storetest.Make(id.New[id.Upload](), 1, 50_000)
			must(t, storetest.Put(n.Store(), b, budget))
			damage(t, blobFile(dir, b.Key))
			text := f.reads(b.Key.Upload, whole(b))
			_, _, err := get(t, n, "GET", b.Key.Name, query(b.Key.Upload, text, 30_000, 10))
			want(t, err, api.NodeIO)
			_, _, err = get(t, n, "GET", b.Key.Name, query(b.Key.Upload, text, 30_000, 10))
			want(t, err, api.BlobUnknown)
			left, err := os.ReadDir(filepath.Join(dir, "store", "quarantine"))
			if err != nil || len(left) != 1 {
				t.Errorf("%d files in quarantine, %v", len(left), err)
			}
			must(t, storetest.Put(n.Store(), b, budget))
			if _, body, err := get(t, n, "GET", b.Key.Name, query(b.Key.Upload, text)); err != nil || !bytes.Equal(body, b.Data) {
				t.Errorf("stored again: %v", err)
			}
		})
	}
}

func TestPagesMayUseNodes(t *testing.T) {
	f := newFleet(t, 1)
	n := f.nodes[0]
	for _, c := range []struct{ method, path, allow string }{
		{"POST", "/blobs", "POST"}, {"GET", "/blobs/x", "GET, HEAD"}, {"POST", "/forward", "POST"},
		{"POST", "/receipts", "POST"}, {"GET", "/health", "GET, HEAD"},
	} {
		req, err := http.NewRequest("OPTIONS", n.URL()+c.path, nil)
		must(t, err)
		req.Header.Set("Origin", "https://example.org")
		req.Header.Set("Access-Control-Request-Method", c.method)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		res.Body.Close()
		for header, want := range map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": c.allow, "Access-Control-Max-Age": "7200",
			"Access-Control-Allow-Headers": "Holdfast-Version, Holdfast-Ticket, Holdfast-Blob, Holdfast-Chain, Holdfast-Copies, Content-Type",
		} {
			if got := res.Header.Get(header); got != want || res.StatusCode != http.StatusNoContent {
				t.Errorf("%s: %s is %q, want %q (status %d)", c.path, header, got, want, res.StatusCode)
			}
		}
	}
	for path, want := range map[string]api.Code{"/blobs": api.MethodNotAllowed, "/elsewhere": api.NotFound, "/": api.NotFound, "/blobs/x": api.UnknownVersion} {
		res, err := http.Get(n.URL() + path)
		must(t, err)
		problem := api.ReadProblem(res)
		res.Body.Close()
		if problem.Code != want || res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s, headers %v", path, problem.Code, res.Header)
		}
	}
}
