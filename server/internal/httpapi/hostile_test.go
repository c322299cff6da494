package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/server/internal/bucket"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/share"
	"holdfast/server/internal/store"
	"holdfast/server/internal/upload"
)

// TestEveryEndpointIsGuarded: version, body limit and form of every endpoint of
// the server, as the table has them.
func TestEveryEndpointIsGuarded(t *testing.T) {
	r := newRig(t)
	g := r.open(1000) // its secret lets bodies in
	some := g.Upload.String()
	token := r.signedUp("ada", "password one").token.String() // so does its token
	for _, e := range api.All() {
		if e.Party != api.Server {
			continue
		}
		path := strings.NewReplacer("{upload}", some, "{handle}", some, "{page}", "0", "{session}", token).Replace(e.Path)
		body, secret := "", g.Secret
		if e.Auth == api.AuthAccount {
			secret = token
		}
		if e.MaxBody > 0 {
			body = "{}"
		}
		check := func(what string, want api.Code, body string, change ...func(*http.Request)) {
			t.Helper()
			if _, code, text := r.raw(e.Method, path, secret, body, change...); code != want {
				t.Errorf("%s, %s: %q, want %q: %s", e.ID, what, code, want, text)
			}
		}
		check("no version", api.UnknownVersion, body, func(req *http.Request) { req.Header.Del(api.HeaderVersion) })
		check("another version", api.UnknownVersion, body, func(req *http.Request) { req.Header.Set(api.HeaderVersion, "2") })
		if e.Auth != api.AuthNone {
			check("no secret", api.Unauthorized, body, func(req *http.Request) { req.Header.Del("Authorization") })
			check("another scheme", api.Unauthorized, body, func(req *http.Request) { req.Header.Set("Authorization", "Basic eDp5") })
		}
		if e.MaxBody == 0 {
			continue
		}
		check("no type", api.BadRequest, body, func(req *http.Request) { req.Header.Del("Content-Type") })
		check("a form", api.BadRequest, body, func(req *http.Request) { req.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
		check("unknown field", api.BadRequest, `{"surely not a field": 1}`)
		check("two values", api.BadRequest, `{} {}`)
		check("cut", api.BadRequest, `{`)
		check("not an object", api.BadRequest, `[]`)
		check("too large", api.BodyTooLarge, strings.Repeat(" ", int(e.MaxBody))+"{}")
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	r := newRig(t)
	for path, methods := range map[string]map[string]api.Code{
		"/api/v1/nothing":         {"GET": api.NotFound, "POST": api.NotFound},
		"/api/v2/info":            {"GET": api.NotFound},
		"/api/":                   {"GET": api.NotFound},
		"/api/v1/info/":           {"GET": api.NotFound},
		"/api/v1/info":            {"POST": api.MethodNotAllowed, "DELETE": api.MethodNotAllowed, "PATCH": api.MethodNotAllowed, "OPTIONS": api.MethodNotAllowed},
		"/api/v1/uploads":         {"GET": api.MethodNotAllowed},
		"/api/v1/links/abc":       {"POST": api.MethodNotAllowed},
		"/api/v1/uploads/../info": {"GET": ""}, // the client cleans it
	} {
		for method, want := range methods {
			if _, code, _ := r.raw(method, path, "", ""); code != want {
				t.Errorf("%s %s: %q, want %q", method, path, code, want)
			}
		}
	}
	res := httptest.NewRecorder()
	New(Config{}).ServeHTTP(res, httptest.NewRequest("PUT", "/api/v1/links/abc", nil))
	if allow := res.Header().Values("Allow"); fmt.Sprint(allow) != "[GET DELETE]" {
		t.Errorf("allow %v", allow)
	}
}

// hostile is a body that JSON takes and the protocol does not, or JSON neither.
type hostile struct {
	method, path, body string
	want               api.Code
}

func (r *rig) refuses(secret string, all map[string]hostile) {
	for what, c := range all {
		r.Run(what, func(t *testing.T) {
			status, code, text := r.raw(c.method, c.path, secret, c.body)
			if code != c.want {
				t.Errorf("%d %q, want %q: %s", status, code, c.want, text)
			}
			if len(text) > 2000 {
				t.Errorf("an answer of %d bytes", len(text))
			}
		})
	}
}

func TestHostileUploads(t *testing.T) {
	r := newRig(t)
	g := r.open(1 << 20)
	uploadPath := "/api/v1/uploads/" + g.Upload.String()
	r.refuses(g.Secret, map[string]hostile{
		"bytes as text":         {"POST", "/api/v1/uploads", `{"bytes":"1","days":1}`, api.BadRequest},
		"bytes with a fraction": {"POST", "/api/v1/uploads", `{"bytes":1.5,"days":1}`, api.BadRequest},
		"bytes beyond 64 bits":  {"POST", "/api/v1/uploads", `{"bytes":9223372036854775808,"days":1}`, api.BadRequest},
		"greatest bytes":        {"POST", "/api/v1/uploads", `{"bytes":9223372036854775807,"days":1}`, api.OverLimit},
		"negative bytes":        {"POST", "/api/v1/uploads", `{"bytes":-1,"days":1}`, api.BadRequest},
		"huge days":             {"POST", "/api/v1/uploads", `{"bytes":1,"days":1000000000000}`, api.OverLimit},
		"negative budget":       {"POST", uploadPath + "/budget", `{"bytes":-5}`, api.BadRequest},
		"budget beyond limits":  {"POST", uploadPath + "/budget", `{"bytes":9007199254740993}`, api.OverLimit},
		"record of junk":        {"POST", uploadPath + "/commit", `{"link":{"record":"a b"}}`, api.BadRequest},
		"empty commit":          {"POST", uploadPath + "/commit", `{}`, api.RevisionInvalid},
		"null for everything":   {"POST", uploadPath + "/commit", `null`, api.RevisionInvalid},
		"upload that is none":   {"POST", "/api/v1/uploads/x/commit", `{}`, api.UploadUnknown},
	})
}

// revision is a page with a good revision, of which one field is exchanged.
func revision(field, value string) string {
	fields := map[string]string{
		"id": `"` + id.New[id.Revision]().String() + `"`, "prefix": `"AQIDBAUGBw"`, "length": "1080", "extents": "[[0,0,1080]]",
	}
	for _, f := range []string{"releaseKey", "commitment", "root", "salt"} {
		fields[f] = `"` + id.Bytes32(id.New32()).String() + `"`
	}
	fields[field] = value
	var parts []string
	for k, v := range fields {
		parts = append(parts, `"`+k+`":`+v)
	}
	return `{"revisions":[{` + strings.Join(parts, ",") + `}]}`
}

func TestHostilePages(t *testing.T) {
	r := newRig(t)
	g := r.open(1 << 20)
	uploadPath := "/api/v1/uploads/" + g.Upload.String()
	name := id.Bytes32(id.New32()).String()
	r.refuses(g.Secret, map[string]hostile{
		"page with a sign":       {"PUT", uploadPath + "/pages/+1", `{}`, api.BadRequest},
		"negative page":          {"PUT", uploadPath + "/pages/-1", `{}`, api.BadRequest},
		"page with zeros":        {"PUT", uploadPath + "/pages/01", `{}`, api.BadRequest},
		"page far away":          {"PUT", uploadPath + "/pages/99999", `{}`, api.BadRequest},
		"page beyond numbers":    {"PUT", uploadPath + "/pages/99999999999999999999", `{}`, api.BadRequest},
		"short name":             {"PUT", uploadPath + "/pages/0", `{"blobs":[{"name":"AAAA","size":1}]}`, api.BadRequest},
		"padded name":            {"PUT", uploadPath + "/pages/0", `{"blobs":[{"name":"` + name + `=","size":1}]}`, api.BadRequest},
		"empty blob":             {"PUT", uploadPath + "/pages/0", `{"blobs":[{"name":"` + name + `","size":0}]}`, api.BadRequest},
		"blob larger than 8 MiB": {"PUT", uploadPath + "/pages/0", `{"blobs":[{"name":"` + name + `","size":8388609}]}`, api.BadRequest},
		"blobs beyond budget":    {"PUT", uploadPath + "/pages/0", `{"blobs":[{"name":"` + name + `","size":1048577}]}`, api.OverLimit},
		"receipt of junk":        {"PUT", uploadPath + "/pages/0", `{"receipts":["!!!"]}`, api.ReceiptInvalid},
		"receipt with line end":  {"PUT", uploadPath + "/pages/0", `{"receipts":["AAAA\r\n"]}`, api.ReceiptInvalid},
		"huge receipt":           {"PUT", uploadPath + "/pages/0", `{"receipts":["` + strings.Repeat("A", 200_000) + `"]}`, api.ReceiptInvalid},
		"extent of two numbers":  {"PUT", uploadPath + "/pages/0", revision("extents", "[[0,1080]]"), api.BadRequest},
		"extent of four numbers": {"PUT", uploadPath + "/pages/0", revision("extents", "[[0,0,1080,7]]"), api.BadRequest},
		"no extents":             {"PUT", uploadPath + "/pages/0", revision("extents", "[]"), api.RevisionInvalid},
		"extent that overflows":  {"PUT", uploadPath + "/pages/0", revision("extents", "[[0,9223372036854775807,1080]]"), api.RevisionInvalid},
		"lengths that overflow":  {"PUT", uploadPath + "/pages/0", revision("extents", "[[0,0,9223372036854775807],[0,0,9223372036854775807],[0,0,1082]]"), api.RevisionInvalid},
		"negative extent":        {"PUT", uploadPath + "/pages/0", revision("extents", "[[0,0,-1080],[0,0,2160]]"), api.RevisionInvalid},
		"length of no stream":    {"PUT", uploadPath + "/pages/0", revision("length", "1081"), api.RevisionInvalid},
		"negative stream":        {"PUT", uploadPath + "/pages/0", revision("length", "-1080"), api.RevisionInvalid},
		"prefix too short":       {"PUT", uploadPath + "/pages/0", revision("prefix", `"AQIDBAUG"`), api.RevisionInvalid},
		"prefix too long":        {"PUT", uploadPath + "/pages/0", revision("prefix", `"AQIDBAUGBwg"`), api.RevisionInvalid},
		"prefix with loose bits": {"PUT", uploadPath + "/pages/0", revision("prefix", `"AQIDBAUGBx"`), api.BadRequest},
		"prefix in base64":       {"PUT", uploadPath + "/pages/0", revision("prefix", `"AQID+AUGBw=="`), api.BadRequest},
		"prefix with line end":   {"PUT", uploadPath + "/pages/0", revision("prefix", `"AQIDBAUGBw\n"`), api.BadRequest},
		"zero revision":          {"PUT", uploadPath + "/pages/0", revision("id", `"AAAAAAAAAAAAAAAAAAAAAA"`), api.RevisionInvalid},
	})
	if status, _, text := r.raw("PUT", uploadPath+"/pages/0", g.Secret, revision("length", "1080")); status != 204 {
		t.Errorf("a good page: %d %s", status, text)
	}
}

func TestHostileLinks(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 5000)
	token := id.Bytes32(id.New32()).String()
	_, err := api.StartSession.Call(t.Context(), r.call, linkArgs(send), api.LinkAuth{Auth: send.Auth, Session: token})
	r.must(err)
	linkPath := "/api/v1/links/" + send.Link.Handle.String()
	r.refuses("", map[string]hostile{
		"auth too short":      {"POST", linkPath + "/look", `{"auth":"AAAA"}`, api.BadRequest},
		"no auth":             {"POST", linkPath + "/look", `{}`, api.WrongKey},
		"no token":            {"POST", linkPath + "/sessions", `{"auth":"` + send.Auth.String() + `"}`, api.BadRequest},
		"a short token":       {"POST", linkPath + "/sessions", `{"auth":"` + send.Auth.String() + `","session":"AAAA"}`, api.BadRequest},
		"handle that is none": {"POST", "/api/v1/links/x/look", `{}`, api.NotFound},
		"huge from":           {"POST", linkPath + "/extents", `{"session":"` + token + `","from":9223372036854775807,"count":9223372036854775807}`, api.NotFound},
		"negative count":      {"POST", linkPath + "/extents", `{"session":"` + token + `","from":0,"count":-1}`, api.BadRequest},
		"cursor of junk":      {"POST", linkPath + "/revisions", `{"session":"` + token + `","cursor":"'; DROP TABLE link"}`, api.BadRequest},
		"session of junk":     {"POST", linkPath + "/revisions", `{"session":"` + strings.Repeat("x", 100_000) + `"}`, api.SessionInvalid},
		"deep nesting":        {"POST", linkPath + "/look", strings.Repeat("[", 10_000), api.BadRequest},
	})
}

// TestCodes: every error of the domains has a code, however it is wrapped.
func TestCodes(t *testing.T) {
	for want, all := range map[api.Code][]error{
		api.UploadUnknown: {upload.ErrUnknown}, api.UploadClosed: {upload.ErrClosed}, api.CommitConflict: {upload.ErrConflict},
		api.PageMissing: {upload.ErrPageMissing}, api.ReceiptInvalid: {upload.ErrReceipt}, api.ReceiptsMissing: {upload.ErrReceiptsMissing},
		api.RevisionInvalid: {upload.ErrRevision}, api.LinkExists: {upload.ErrLinkExists}, api.NoCapacity: {upload.ErrNoCapacity},
		api.NoPlacement: {placement.ErrNoPlacement}, api.OverLimit: {upload.ErrOverLimit, share.ErrOverLimit},
		api.BadRequest: {upload.ErrRequest, share.ErrRequest, share.ErrSpec}, api.Unauthorized: {upload.ErrSecret, share.ErrManage},
		api.NotFound: {share.ErrNotFound}, api.WrongKey: {share.ErrWrongKey}, api.LinkExpired: {share.ErrExpired},
		api.LinkUsedUp: {share.ErrUsedUp}, api.LinkRevoked: {share.ErrRevoked}, api.SessionInvalid: {share.ErrSession},
		api.RateLimited: {&bucket.LimitedError{Wait: 1500}}, api.Unavailable: {store.ErrBusy, context.DeadlineExceeded, context.Canceled},
		api.InviteInvalid: {fleet.ErrInvite}, api.DeclarationInvalid: {fleet.ErrDeclaration}, api.NodeUnknown: {fleet.ErrUnknownNode},
		api.HeartbeatInvalid: {fleet.ErrHeartbeat, fleet.ErrClock, fleet.ErrReplay, fleet.ErrRestored},
	} {
		for _, err := range all {
			wrapped := problem(fmt.Errorf("do something: %w", fmt.Errorf("part: %w", err)))
			if !errors.Is(wrapped, want) {
				t.Errorf("%v becomes %v, want %s", err, wrapped, want)
			}
		}
	}
	other := errors.New("something with /a/path in it")
	if problem(other) != other || problem(nil) != nil {
		t.Error("an error of no domain was changed")
	}
	var p *api.Problem
	if !errors.As(problem(&bucket.LimitedError{Wait: 1}), &p) || p.RetryAfter != 1 {
		t.Errorf("wait %+v", p)
	}
}

func TestDetails(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("look at link: %w", share.ErrRevoked), ""},
		{share.ErrRevoked, ""},
		{fmt.Errorf("stage page 3: %w: number 0: it is for upload x", upload.ErrReceipt), "Number 0: it is for upload x."},
		{fmt.Errorf("commit upload: page 1 of 3: %w", upload.ErrPageMissing), "Page 1 of 3."},
		{fmt.Errorf("commit upload: page 2: %w: revision x", upload.ErrRevision), "Page 2: revision x."},
		{fleet.ErrClock, "Clocks too far apart."},
	} {
		var p *api.Problem
		if !errors.As(problem(c.err), &p) || p.Detail != c.want {
			t.Errorf("%v: detail %q, want %q", c.err, p.Detail, c.want)
		}
	}
}

// TestFaultsTellNothing: what is wrong inside is logged and not told.
func TestFaultsTellNothing(t *testing.T) {
	r := newRig(t)
	r.nodes.fault = errors.New("disk /var/lib/secret is on fire")
	status, code, text := r.raw("GET", "/api/v1/info", "", "")
	if status != 500 || code != api.Internal || strings.Contains(text, "fire") {
		t.Errorf("%d %s: %s", status, code, text)
	}
	if !strings.Contains(r.log.String(), "on fire") || !strings.Contains(r.log.String(), "getInfo") {
		t.Errorf("log: %s", r.log)
	}
}

func TestPanics(t *testing.T) {
	r := newRig(t)
	r.nodes.panic = "planted secret"
	status, code, text := r.raw("POST", "/api/v1/nodes", "", "{}")
	if status != 500 || code != api.Internal || strings.Contains(text, "planted") {
		t.Errorf("%d %s: %s", status, code, text)
	}
	if log := r.log.String(); !strings.Contains(log, "panicked") || strings.Contains(log, "planted secret") {
		t.Errorf("log: %s", log)
	}
	r.nodes.panic = nil
	if status, _, _ := r.raw("POST", "/api/v1/nodes", "", "{}"); status != 200 {
		t.Error("the server does not go on")
	}
}

// TestNothingAboutCallersIsLogged plants secrets in every place of requests,
// good ones, refused ones and ones that fail inside, and searches the log.
func TestNothingAboutCallersIsLogged(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 5000)
	g := r.open(1000)
	r.nodes.fault = errors.New("fault")
	const planted = "PLANTED"
	for _, e := range api.All() {
		if e.Party != api.Server {
			continue
		}
		for _, handle := range []string{send.Link.Handle.String(), planted} {
			path := strings.NewReplacer("{upload}", g.Upload.String(), "{handle}", handle, "{page}", "0").Replace(e.Path) + "?q=" + planted
			body := ""
			if e.MaxBody > 0 {
				body = `{"auth":"` + send.Auth.String() + `","session":"` + planted + `","invite":"` + planted + `"}`
			}
			r.raw(e.Method, path, planted+g.Secret, body, func(req *http.Request) {
				req.Header.Set("User-Agent", planted)
				req.Header.Set("X-Forwarded-For", planted)
				req.Header.Set("Referer", "http://"+planted)
			})
		}
	}
	log := r.log.String()
	if !strings.Contains(log, "getInfo") {
		t.Fatal("nothing was logged: this test sees nothing")
	}
	for _, secret := range []string{planted, g.Secret, send.Auth.String(), "127.0.0.1", send.Link.Handle.String()} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log:\n%s", secret, log)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"blobs":[{"name":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","size":1}],"receipts":["AA"]}`))
	f.Add([]byte(`{"revisions":[{"id":"AAAAAAAAAAAAAAAAAAAAAA","prefix":"AQIDBAUGBw","length":1080,"extents":[[0,0,1080]]}]}`))
	f.Add([]byte(`{"revisions":[{"extents":null}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		req := httptest.NewRequest("PUT", "/", strings.NewReader(string(body)))
		req.Header.Set("Content-Type", api.TypeJSON)
		var in api.Page
		if api.ReadJSON(httptest.NewRecorder(), req, api.MaxPage, &in) != nil {
			return
		}
		p, err := toPage(in)
		if err != nil {
			var problem *api.Problem
			if !errors.As(err, &problem) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		again, err := json.Marshal(page(*p))
		if err != nil {
			t.Fatal(err)
		}
		var out api.Page
		if err := json.Unmarshal(again, &out); err != nil || len(out.Revisions) != len(in.Revisions) || len(out.Blobs) != len(in.Blobs) {
			t.Fatalf("%s became %s: %v", body, again, err)
		}
	})
}
