package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type question struct {
	Text string `json:"text"`
}

type answer struct {
	Text string `json:"text"`
}

var ask = Endpoint[question, answer]{Info{ID: "ask", Method: "POST", Path: "/ask/{who}", Auth: AuthUpload, MaxBody: 100, Timeout: time.Second}}
var poke = Endpoint[Empty, Empty]{Info{ID: "poke", Method: "DELETE", Path: "/poke", Timeout: time.Second}}

// serve answers ask and poke with h and tells which errors came up.
func serve(t *testing.T, h func(context.Context, Request, question) (answer, error)) (Caller, *[]error) {
	t.Helper()
	var failed []error
	note := func(_ string, err error) { failed = append(failed, err) }
	mux := http.NewServeMux()
	ask.Handle(mux, note, h)
	poke.Handle(mux, note, func(context.Context, Request, Empty) (Empty, error) { return Empty{}, nil })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return Caller{Base: server.URL, HTTP: server.Client()}, &failed
}

var args = Args{Path: map[string]string{"who": "a/b c?d"}, Secret: "secret"}

func TestCallAndHandle(t *testing.T) {
	c, failed := serve(t, func(ctx context.Context, r Request, q question) (answer, error) {
		if r.PathValue("who") != "a/b c?d" || r.Secret != "secret" {
			t.Errorf("path %q, secret %q", r.PathValue("who"), r.Secret)
		}
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no deadline")
		}
		return answer{q.Text + "!"}, nil
	})
	res, err := ask.Call(t.Context(), c, args, question{"hello"})
	if err != nil || res.Text != "hello!" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := poke.Call(t.Context(), c, Args{}, Empty{}); err != nil {
		t.Error(err)
	}
	if len(*failed) > 0 {
		t.Error(*failed)
	}
}

// TestProblemsAreOneLine: what the other side says cannot steer a terminal, nor
// pass for a line of this program; the name of the call is for logs.
func TestProblemsAreOneLine(t *testing.T) {
	c, _ := serve(t, func(context.Context, Request, question) (answer, error) {
		return answer{}, &Problem{Title: "T\x1b[2J", Detail: "D\n" + strings.Repeat("é", maxShown), Status: 400, Code: "c\r"}
	})
	_, err := ask.Call(t.Context(), c, args, question{})
	var call *CallError
	if !errors.As(err, &call) || call.Operation != "ask" {
		t.Fatalf("have %#v", err)
	}
	if text := err.Error(); !strings.HasPrefix(text, `T\u{1B}[2J: D\u{0A}é`) || !strings.HasSuffix(text, `é… (c\u{0D})`) || len(text) > maxShown+50 {
		t.Errorf("have %q", text)
	}
}

func TestProblemsComeThrough(t *testing.T) {
	c, failed := serve(t, func(context.Context, Request, question) (answer, error) {
		p := NewProblem(RateLimited, "Wait.")
		p.RetryAfter = 7
		return answer{}, p
	})
	_, err := ask.Call(t.Context(), c, args, question{})
	var p *Problem
	if !errors.As(err, &p) || p.Code != RateLimited || p.Status != 429 || p.RetryAfter != 7 || p.Detail != "Wait." || !errors.Is(err, RateLimited) {
		t.Errorf("have %+v", err)
	}
	if errors.Is(err, NotFound) || errors.Is(err, ErrUnreachable) {
		t.Error("it is something else too")
	}
	if len(*failed) > 0 {
		t.Error("a problem was noted as a fault")
	}
}

func TestFaultsAreNotedAndNotTold(t *testing.T) {
	fault := errors.New("secret detail")
	c, failed := serve(t, func(context.Context, Request, question) (answer, error) { return answer{}, fault })
	_, err := ask.Call(t.Context(), c, args, question{})
	if !errors.Is(err, Internal) || strings.Contains(err.Error(), "secret detail") {
		t.Errorf("have %v", err)
	}
	if len(*failed) != 1 || !errors.Is((*failed)[0], fault) {
		t.Errorf("noted %v", *failed)
	}
}

func TestNoAnswer(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, err := ask.Call(t.Context(), Caller{Base: gone.URL, HTTP: http.DefaultClient}, args, question{})
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("have %v", err)
	}
	if strings.Contains(err.Error(), gone.URL) {
		t.Errorf("the URL is in %v", err)
	}
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // until then the server does not see that the caller went away
		<-r.Context().Done()
	}))
	defer slow.Close()
	quick := ask
	quick.Timeout = 20 * time.Millisecond
	if _, err := quick.Call(t.Context(), Caller{Base: slow.URL, HTTP: slow.Client()}, args, question{}); !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("have %v", err)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		kind, body string
		want       error
	}{
		"a page of a proxy":       {502, "text/html", "<h1>Bad gateway</h1>", Unavailable},
		"unavailable":             {503, "text/plain", "", Unavailable},
		"another server":          {404, "text/plain", "404", NotFound},
		"a problem without code":  {400, TypeProblem, `{}`, Internal},
		"a cut problem":           {400, TypeProblem, `{"code":`, Internal},
		"a problem of huge size":  {400, TypeProblem, `{"code":"` + strings.Repeat("x", smallBody) + `"}`, Internal},
		"an answer of other kind": {200, "text/html", "<h1>Sign in to the Wi-Fi</h1>", ErrUnreachable},
		"a redirect to nowhere":   {300, "text/html", "", Internal},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer server.Close()
			if _, err := ask.Call(t.Context(), Caller{Base: server.URL, HTTP: server.Client()}, args, question{}); !errors.Is(err, c.want) {
				t.Errorf("have %v, want %v", err, c.want)
			}
		})
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	c, _ := serve(t, func(context.Context, Request, question) (answer, error) { return answer{"x"}, nil })
	for name, x := range map[string]struct {
		version, kind, auth, body string
		want                      Code
	}{
		"good":               {"1", "application/json; charset=utf-8", "Bearer s", `{"text":"x"}`, ""},
		"no version":         {"", TypeJSON, "Bearer s", `{}`, UnknownVersion},
		"another version":    {"2", TypeJSON, "Bearer s", `{}`, UnknownVersion},
		"no secret":          {"1", TypeJSON, "", `{}`, Unauthorized},
		"empty secret":       {"1", TypeJSON, "Bearer ", `{}`, Unauthorized},
		"another scheme":     {"1", TypeJSON, "Basic s", `{}`, Unauthorized},
		"no content type":    {"1", "", "Bearer s", `{}`, BadRequest},
		"text":               {"1", "text/plain", "Bearer s", `{}`, BadRequest},
		"unknown field":      {"1", TypeJSON, "Bearer s", `{"other":1}`, BadRequest},
		"two values":         {"1", TypeJSON, "Bearer s", `{}{}`, BadRequest},
		"something after it": {"1", TypeJSON, "Bearer s", `{} x`, BadRequest},
		"empty":              {"1", TypeJSON, "Bearer s", ``, BadRequest},
		"too large":          {"1", TypeJSON, "Bearer s", `{"text":"` + strings.Repeat("x", 100) + `"}`, BodyTooLarge},
		"too large after it": {"1", TypeJSON, "Bearer s", `{}` + strings.Repeat(" ", 100), BodyTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "POST", c.Base+"/ask/x", strings.NewReader(x.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(HeaderVersion, x.version)
			req.Header.Set("Content-Type", x.kind)
			req.Header.Set("Authorization", x.auth)
			res, err := c.HTTP.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if x.want == "" {
				if res.StatusCode != 200 || res.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("status %d, headers %v", res.StatusCode, res.Header)
				}
				return
			}
			if p := ReadProblem(res); p.Code != x.want || p.Status != res.StatusCode {
				t.Errorf("have %+v, want %s", p, x.want)
			}
		})
	}
}

// TestSlowBody: who sends a body byte by byte is not waited for for ever.
func TestSlowBody(t *testing.T) {
	quick := ask
	quick.Timeout = 50 * time.Millisecond
	mux := http.NewServeMux()
	quick.Handle(mux, func(string, error) {}, func(context.Context, Request, question) (answer, error) { return answer{}, nil })
	server := httptest.NewServer(mux)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /ask/x HTTP/1.1\r\nHost: x\r\nHoldfast-Version: 1\r\nAuthorization: Bearer s\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	raw, err := io.ReadAll(conn) // the server ends the connection
	if err != nil || !bytes.Contains(raw, []byte("HTTP/1.1 4")) {
		t.Errorf("answer %q, %v", raw, err)
	}
}

func TestVersionInTheQuery(t *testing.T) {
	if err := CheckVersion(httptest.NewRequest("GET", "/x?v=1", nil)); err != nil {
		t.Error(err)
	}
	if err := CheckVersion(httptest.NewRequest("GET", "/x?v=2", nil)); !errors.Is(err, UnknownVersion) {
		t.Errorf("have %v", err)
	}
}

func TestProblemsOfUnknownCodes(t *testing.T) {
	if p := NewProblem("nonsense", "x"); p.Code != Internal || p.Status != 500 {
		t.Errorf("have %+v", p)
	}
	for code := range statuses {
		if p := NewProblem(code, ""); p.Code != code || p.Status < 400 || p.Title == "" || p.Type != "urn:holdfast:problem:"+string(code) {
			t.Errorf("have %+v", p)
		}
	}
}

func TestExtentHasThreeNumbers(t *testing.T) {
	var e Extent
	if err := json.Unmarshal([]byte(`[1,2,3]`), &e); err != nil || e != (Extent{1, 2, 3}) {
		t.Errorf("%v, %v", e, err)
	}
	for _, text := range []string{`[]`, `[1,2]`, `[1,2,3,4]`, `null`, `{}`, `[1,2,"3"]`, `[1,2,9223372036854775808]`} {
		if err := json.Unmarshal([]byte(text), &e); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
