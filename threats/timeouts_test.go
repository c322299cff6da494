package threats

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
)

// base is who answers an endpoint, not through a front.
func base(e api.Described) string {
	if e.Party == api.Server {
		return service.real
	}
	return service.nodes[0].real
}

func pathOf(e api.Described) string {
	some := id.New[id.Upload]().String()
	return strings.NewReplacer("{upload}", some, "{handle}", some, "{folder}", some, "{page}", "0", "{name}", id.Bytes32(id.New32()).String()).Replace(e.Path)
}

// ask sends one request to an endpoint, with the secret of an upload or the token of an
// account: others are turned away before anything of the body is read.
func (h *sender) ask(e api.Described, token, kind string, body io.Reader) (*http.Response, error) {
	h.t.Helper()
	e.Path = strings.Replace(e.Path, "{upload}", h.grant.Upload.String(), 1)
	req, err := http.NewRequest(e.Method, base(e)+pathOf(e), body)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set(api.HeaderVersion, api.Version)
	secret := h.grant.Secret
	if e.Auth == api.AuthAccount {
		secret = token
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	return http.DefaultClient.Do(req)
}

// TestThreat28Bodies walks the table: what is too large, too deep, of another
// type or no JSON gets a small problem, and nothing is read without end.
func TestThreat28Bodies(t *testing.T) {
	h := newSender(t)
	defer h.abandon()
	member, _ := signedUp(t, "threat twenty-eight bodies", "correct horse battery")
	for _, e := range api.All() {
		if e.Timeout <= 0 || e.Timeout > 10*time.Minute {
			t.Errorf("%s: time-out %s", e.ID, e.Timeout)
		}
		most := int64(8 << 20)
		if e.Auth == api.AuthAccount {
			most = 12 << 20 // an entry of a journal and a page of an upload, from who has a session
		}
		if e.MaxBody > most {
			t.Errorf("%s takes %d bytes", e.ID, e.MaxBody)
		}
		if e.RequestType != api.TypeJSON {
			continue
		}
		big := int(e.MaxBody)
		for what, c := range map[string]struct {
			kind, body string
			want       int
		}{
			"too large":             {api.TypeJSON, `{"x":"` + strings.Repeat("x", big) + `"}`, 413},
			"too large, of spaces":  {api.TypeJSON, strings.Repeat(" ", big+1) + "{}", 413},
			"too large, behind it":  {api.TypeJSON, "{}" + strings.Repeat(" ", big+1), 413},
			"deep":                  {api.TypeJSON, strings.Repeat(`{"a":`, big/5), 400},
			"deep lists":            {api.TypeJSON, strings.Repeat("[", big), 400},
			"no JSON":               {api.TypeJSON, "\x00\x01\x02", 400},
			"cut":                   {api.TypeJSON, `{"`, 400},
			"two values":            {api.TypeJSON, "{}{}", 400},
			"unknown field":         {api.TypeJSON, `{"surelyUnknown":1}`, 400},
			"plain text":            {"text/plain", "{}", 400},
			"a form":                {"application/x-www-form-urlencoded", "a=b", 400},
			"a form with files":     {"multipart/form-data; boundary=x", "--x--", 400},
			"no type":               {"", "{}", 400},
			"many types, one right": {"text/plain, application/json", "{}", 400},
		} {
			res, err := h.ask(e, member.Token.String(), c.kind, strings.NewReader(c.body))
			if err != nil {
				t.Errorf("%s, %s: %v", e.ID, what, err)
				continue
			}
			raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
			res.Body.Close()
			if err != nil || res.StatusCode != c.want && !(c.want == 413 && strings.HasSuffix(what, "behind it") && res.StatusCode == 400) {
				t.Errorf("%s, %s: %d, want %d: %.200s %v", e.ID, what, res.StatusCode, c.want, raw, err)
			}
			if res.Header.Get("Content-Type") != api.TypeProblem || len(raw) > 2000 {
				t.Errorf("%s, %s: %d bytes of %s", e.ID, what, len(raw), res.Header.Get("Content-Type"))
			}
		}
	}
}

// TestThreat28Blobs: bodies and headers of the one endpoint that takes bytes.
func TestThreat28Blobs(t *testing.T) {
	h := newSender(t)
	defer h.abandon()
	m := chosen(t, h.grant)[0]
	for what, c := range map[string]struct {
		change func(r *http.Request)
		body   []byte
	}{
		"no ticket":         {func(r *http.Request) { r.Header.Del(api.HeaderTicket) }, []byte("x")},
		"ticket of junk":    {func(r *http.Request) { r.Header.Set(api.HeaderTicket, strings.Repeat("A", 8000)) }, []byte("x")},
		"no name":           {func(r *http.Request) { r.Header.Del(api.HeaderBlob) }, []byte("x")},
		"no length":         {func(r *http.Request) { r.ContentLength = -1 }, []byte("x")},
		"empty":             {func(*http.Request) {}, nil},
		"more than 8 MiB":   {func(*http.Request) {}, make([]byte, 8<<20+1)},
		"another name":      {func(*http.Request) {}, []byte("x")},
		"chain of the moon": {func(r *http.Request) { r.Header.Set(api.HeaderChain, "99999999999999999999") }, []byte("x")},
		"a thousand copies": {func(r *http.Request) { r.Header.Set(api.HeaderCopies, "1000") }, []byte("x")},
		"no copies":         {func(r *http.Request) { r.Header.Set(api.HeaderCopies, "0") }, []byte("x")},
	} {
		req, err := http.NewRequest("POST", m.real+"/blobs", bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for header, value := range map[string]string{
			api.HeaderVersion: api.Version, api.HeaderTicket: h.grant.Ticket, api.HeaderBlob: id.Bytes32(id.New32()).String(),
			api.HeaderChain: "0", api.HeaderCopies: "1", "Content-Type": api.TypeBytes,
		} {
			req.Header.Set(header, value)
		}
		c.change(req)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			if what != "more than 8 MiB" { // cut off while still sending is an answer too
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		raw, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		res.Body.Close()
		if !bytes.Contains(raw, []byte("urn:holdfast:problem:")) {
			t.Errorf("%s: %d %s", what, res.StatusCode, raw)
		}
		if bytes.Contains(raw, []byte(`"receipt":"`)) {
			t.Errorf("%s: a receipt was given", what)
		}
	}
}

// drip opens a connection, sends the beginning and then one byte of more now and
// then, and returns how long it was left open and what was answered.
func drip(address, begin, more string) (time.Duration, string, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	begun := time.Now()
	if _, err := io.WriteString(conn, begin); err != nil {
		return 0, "", err
	}
	over := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(conn).ReadString('\n') // empty where it was only cut off
		over <- line
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case line := <-over:
			return time.Since(begun), line, nil
		case <-tick.C:
			_, _ = conn.Write([]byte{more[i%len(more)]}) // fails once it was cut off, which the reader sees
			if time.Since(begun) > slowest+5*time.Second {
				return time.Since(begun), "", fmt.Errorf("still open after %s", time.Since(begun))
			}
		}
	}
}

// slowest is the greatest time that a drip of a body may hold a small call.
const slowest = 36 * time.Second

// dripped is what became of one connection that never came to its end.
type dripped struct {
	what  string
	took  time.Duration
	limit time.Duration
	line  string
	err   error
}

// drips begins them all, at the start of the run since they take their time, and
// yields what became of them.
func drips() <-chan dripped {
	out := make(chan dripped, 64)
	var all sync.WaitGroup
	begin := func(what, address, text, more string, limit time.Duration) {
		all.Go(func() {
			took, line, err := drip(address, text, more)
			out <- dripped{what, took, limit, line, err}
		})
	}
	const headLimit = 15 * time.Second
	for _, address := range []string{service.real, service.nodes[0].real} {
		begin("head", address, "GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ", "a", headLimit)
		begin("request line", address, "GET /", "a", headLimit)
		begin("many heads", address, "GET / HTTP/1.1\r\n", "a: b\r\n", headLimit)
	}
	for _, e := range api.All() {
		if e.RequestType != api.TypeJSON || e.Timeout > 30*time.Second {
			continue
		}
		head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nHoldfast-Version: 1\r\nAuthorization: Bearer x\r\n"+
			"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{", e.Method, pathOf(e))
		begin(e.ID, base(e), head, " ", slowest)
	}
	go func() {
		all.Wait()
		close(out)
	}()
	return out
}

// TestThreat28Slow: heads and bodies that never end are cut off, at every endpoint
// that takes a small body, on server and node; good callers are served meanwhile.
func TestThreat28Slow(t *testing.T) {
	if slowly == nil { // it was not seen that this test runs
		slowly = drips()
	}
	shared(t, small, 1).whole(t)
	n := 0
	for d := range slowly {
		n++
		if d.err != nil || d.took > d.limit {
			t.Errorf("%s: open for %s, at most %s wanted: %q %v", d.what, d.took, d.limit, d.line, d.err)
		}
		if strings.Contains(d.line, " 200 ") || strings.Contains(d.line, " 204 ") {
			t.Errorf("%s: answered %q", d.what, d.line)
		}
	}
	if n < 12 {
		t.Errorf("only %d connections were tried", n)
	}
}
