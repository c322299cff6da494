package webui

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"holdfast/web"
)

const handlePath = "/s/AAECAwQFBgcICQoLDA0ODw"

// built is a build with every kind of file.
func built() fstest.MapFS {
	file := func(body string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(body)} }
	return fstest.MapFS{
		"index.html":                          file(`<html><meta name="holdfast-fleet" content="" /><meta name="holdfast-worker" content="" /><title>home</title>` + strings.Repeat(" ", 500)),
		"share.html":                          file(`<html><meta name="holdfast-fleet" content=""><title>share</title>`),
		"placeholder.html":                    file(`<html><title>not built</title>`),
		"sw.js":                               file(`self.x = 1`),
		"favicon.svg":                         file(`<svg/>`),
		"assets/index-oAmmxc6F.js":            file(`import "x"`),
		"assets/index-oAmmxc6F.js.gz":         file("gzipped script"),
		"assets/index-oAmmxc6F.js.br":         file("brotli script"),
		"assets/send.worker-CsnWJD5F.js":      file(`onmessage = 1`),
		"assets/style-Cka2dk_r.css":           file(`p{}`),
		"assets/style-Cka2dk_r.css.gz":        file("gzipped style"),
		"assets/module-AAAAAAAA.wasm":         file("\x00asm"),
		"assets/strange-AAAAAAAA.unknown":     file("?"),
		"assets/unhashed.js":                  file(`1`),
		"assets/deep/er/picture-AAAAAAAA.png": file("png"),
	}
}

// site is a handler with a fleet that tests change.
type site struct {
	http.Handler
	version string
	origins []string
	err     error
	log     bytes.Buffer
}

func newSite(t *testing.T, files fstest.MapFS, zones ...string) *site {
	t.Helper()
	s := &site{version: "v1", origins: []string{"https://a.example", "http://127.0.0.1:9001"}}
	var err error
	s.Handler, err = Handler(Config{
		Files: files, Zones: zones, Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		Fleet: func(context.Context) (string, []string, error) { return s.version, s.origins, s.err },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) do(method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080/", nil)
	r.URL.Path = target
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func (s *site) get(target string, header ...string) *http.Response {
	return s.do(http.MethodGet, target, header...)
}

// worker is where the service worker of now stands.
func (s *site) worker(t *testing.T) string {
	t.Helper()
	return "/sw/" + text(t, s.get("/sw/version")) + "/sw.js"
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const wantPolicy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self' https://a.example http://127.0.0.1:9001; worker-src 'self'; frame-src 'self'; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html holdfast"

func TestSecurityHeadersOnEveryAnswer(t *testing.T) {
	s := newSite(t, built())
	want := map[string]string{
		"Content-Security-Policy": wantPolicy, "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	}
	etag := s.get("/").Header.Get("ETag")
	for name, res := range map[string]*http.Response{
		"home": s.get("/"), "share": s.get(handlePath), "script": s.get("/assets/index-oAmmxc6F.js"), "worker": s.get(s.worker(t)),
		"version": s.get("/sw/version"), "another worker": s.get("/sw/another/sw.js"),
		"picture": s.get("/favicon.svg"), "nothing": s.get("/nothing"), "post": s.do("POST", "/"), "options": s.do("OPTIONS", "/"),
		"head": s.do("HEAD", "/"), "not modified": s.get("/", "If-None-Match", etag),
	} {
		for header, value := range want {
			if got := res.Header.Get(header); got != value {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
		if got := res.Header.Get("Permissions-Policy"); !strings.Contains(got, "camera=()") || !strings.Contains(got, "geolocation=()") {
			t.Errorf("%s: Permissions-Policy is %q", name, got)
		}
		if len(res.Cookies()) != 0 {
			t.Errorf("%s sets cookies", name)
		}
	}
}

func TestRoutes(t *testing.T) {
	s := newSite(t, built())
	for target, want := range map[string]struct {
		status     int
		kind, body string
	}{
		"/":                                    {200, "text/html; charset=utf-8", "<title>home"},
		handlePath:                             {200, "text/html; charset=utf-8", "<title>share"},
		"/s/cut":                               {200, "text/html; charset=utf-8", "<title>share"},
		"/s/":                                  {200, "text/html; charset=utf-8", "<title>share"},
		"/s":                                   {200, "text/html; charset=utf-8", "<title>share"},
		s.worker(t):                            {200, "text/javascript; charset=utf-8", "self.x"},
		"/sw/version":                          {200, "text/plain; charset=utf-8", "."},
		"/favicon.svg":                         {200, "image/svg+xml", "<svg/>"},
		"/assets/index-oAmmxc6F.js":            {200, "text/javascript; charset=utf-8", "import"},
		"/assets/style-Cka2dk_r.css":           {200, "text/css; charset=utf-8", "p{}"},
		"/assets/module-AAAAAAAA.wasm":         {200, "application/wasm", "asm"},
		"/assets/strange-AAAAAAAA.unknown":     {200, "application/octet-stream", "?"},
		"/assets/deep/er/picture-AAAAAAAA.png": {200, "image/png", "png"},
	} {
		res := s.get(target)
		if body := text(t, res); res.StatusCode != want.status || res.Header.Get("Content-Type") != want.kind || !strings.Contains(body, want.body) ||
			res.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("%s: %d %q, %q", target, res.StatusCode, res.Header.Get("Content-Type"), body)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	s := newSite(t, built())
	for _, target := range []string{
		"/nothing", "/index.html", "/share.html", "/placeholder.html", "/assets", "/assets/", "/assets/index-oAmmxc6F.js.gz", "/assets/index-oAmmxc6F.js.br",
		"/s/a/b", "/s/" + strings.Repeat("a", 257), "/s/..", "/s/%2e%2e", "/s/a\x00b", "/s/<script>", "/S/abc", "/share", "",
		"/../webui.go", "/assets/../../embed.go", "/assets/..%2f..%2fembed.go", "/..\\..\\embed.go", "//etc/passwd", "/./sw.js", "/sw.js/", "/assets//index-oAmmxc6F.js",
		"/sw.js", "/sw", "/sw/", "/sw/sw.js", "/sw/version/", "/sw//sw.js", "/sw/x/sw.js", "/sw/../sw.js", s.worker(t) + "/", s.worker(t)[:30] + "/sw.js",
		strings.TrimSuffix(s.worker(t), "sw.js"), strings.TrimSuffix(s.worker(t), "sw.js") + "download/AAAAAAAAAAAAAAAAAAAAAA",
	} {
		res := s.get(target)
		body := text(t, res)
		if res.StatusCode != http.StatusNotFound || !strings.Contains(body, "nothing here") || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("ETag") != "" {
			t.Errorf("%q: %d %q", target, res.StatusCode, body)
		}
		if target != "" && strings.Contains(body, target) {
			t.Errorf("%q: the page repeats what was asked for", target)
		}
	}
}

func TestMethods(t *testing.T) {
	s := newSite(t, built())
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
		for _, target := range []string{"/", "/nothing", s.worker(t)} {
			if res := s.do(method, target); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, %q", method, target, res.StatusCode, res.Header.Get("Allow"))
			}
		}
	}
	for _, target := range []string{"/", handlePath, s.worker(t), "/assets/index-oAmmxc6F.js", "/nothing"} {
		get, head := s.get(target, "Accept-Encoding", "br, gzip"), s.do("HEAD", target, "Accept-Encoding", "br, gzip")
		if body := text(t, head); body != "" {
			t.Errorf("HEAD %s has a body: %q", target, body)
		}
		if get.StatusCode != head.StatusCode || fmt.Sprint(get.Header) != fmt.Sprint(head.Header) {
			t.Errorf("HEAD %s differs: %d %v, %d %v", target, get.StatusCode, get.Header, head.StatusCode, head.Header)
		}
	}
}

func TestCaching(t *testing.T) {
	s := newSite(t, built())
	const ever, ask = "public, max-age=31536000, immutable", "no-cache"
	for _, c := range []struct {
		target, dest, want string
	}{
		{"/", "document", ask}, {handlePath, "document", ask}, {s.worker(t), "serviceworker", ever}, {"/sw/version", "", "no-store"}, {"/favicon.svg", "image", ask},
		{"/assets/index-oAmmxc6F.js", "script", ever}, {"/assets/index-oAmmxc6F.js", "", ever}, {"/assets/style-Cka2dk_r.css", "style", ever},
		{"/assets/send.worker-CsnWJD5F.js", "worker", ask}, {"/assets/send.worker-CsnWJD5F.js", "sharedworker", ask}, {"/assets/unhashed.js", "script", ask},
	} {
		if got := s.get(c.target, "Sec-Fetch-Dest", c.dest).Header.Get("Cache-Control"); got != c.want {
			t.Errorf("%s for a %s: %q", c.target, c.dest, got)
		}
	}
	if got := s.get("/assets/index-oAmmxc6F.js").Header.Values("Vary"); !slices.Contains(got, "Sec-Fetch-Dest") {
		t.Errorf("Vary is %q", got)
	}
	for _, target := range []string{"/", s.worker(t)} {
		if got := s.get(target).Header.Get("Service-Worker-Allowed"); got != "" {
			t.Errorf("%s: Service-Worker-Allowed is %q, and widens the scope", target, got)
		}
	}
}

// What a browser keeps is good until the file changes or, where the policy came
// with it, the fleet.
func TestEntityTags(t *testing.T) {
	s := newSite(t, built())
	for _, c := range []struct {
		target, dest string
		changes      bool // with the fleet
	}{
		{"/", "document", true}, {handlePath, "document", true}, {"/favicon.svg", "image", true},
		{"/assets/send.worker-CsnWJD5F.js", "worker", true}, {"/assets/send.worker-CsnWJD5F.js", "script", false}, {"/assets/index-oAmmxc6F.js", "script", false},
	} {
		s.version, s.origins = "v1", []string{"https://a.example"}
		ask := func(etag string) *http.Response {
			return s.get(c.target, "Sec-Fetch-Dest", c.dest, "If-None-Match", etag)
		}
		first := ask("")
		etag := first.Header.Get("ETag")
		again := ask(etag)
		if etag == "" || again.StatusCode != http.StatusNotModified || text(t, again) != "" || again.Header.Get("ETag") != etag || again.Header.Get("Cache-Control") != first.Header.Get("Cache-Control") {
			t.Errorf("%s: %q, then %d", c.target, etag, again.StatusCode)
		}
		for _, known := range []string{"W/" + etag, `"x", ` + etag, "*"} {
			if res := ask(known); res.StatusCode != http.StatusNotModified {
				t.Errorf("%s with %s: %d", c.target, known, res.StatusCode)
			}
		}
		if res := ask(`"other"`); res.StatusCode != http.StatusOK {
			t.Errorf("%s with another tag: %d", c.target, res.StatusCode)
		}
		s.version, s.origins = "v2", []string{"https://a.example", "https://b.example"}
		if res := ask(etag); (res.StatusCode == http.StatusOK) != c.changes {
			t.Errorf("%s after the fleet changed: %d", c.target, res.StatusCode)
		}
	}
	tags := map[string]bool{}
	for _, encoding := range []string{"", "gzip", "br"} {
		tags[s.get("/assets/index-oAmmxc6F.js", "Accept-Encoding", encoding).Header.Get("ETag")] = true
	}
	if len(tags) != 3 {
		t.Errorf("three encodings have the tags %v", tags)
	}
}

func TestFleetInThePage(t *testing.T) {
	s := newSite(t, built())
	for _, target := range []string{"/", handlePath} {
		for _, version := range []string{"v1", "v2", `"><script>`} {
			s.version = version
			body := text(t, s.get(target))
			want := map[string]string{"v1": "v1", "v2": "v2", `"><script>`: "&#34;&gt;&lt;script&gt;"}[version]
			if !strings.Contains(body, `<meta name="holdfast-fleet" content="`+want+`"`) || strings.Contains(body, `content=""`) {
				t.Errorf("%s: %.120s", target, body)
			}
		}
	}
}

// One address of the service worker gives one script under one policy, ever:
// browsers replace a worker whose script changed, and the downloads that it
// serves end with it.
func TestWorkerOfAVersion(t *testing.T) {
	s := newSite(t, built())
	type answer struct{ version, address, body, policy string }
	read := func(s *site) answer {
		address := s.worker(t)
		res := s.get(address)
		version := text(t, s.get("/sw/version"))
		return answer{version, address, text(t, res), res.Header.Get("Content-Security-Policy")}
	}
	first := read(s)
	if first.body != "self.x = 1" || first.address != "/sw/"+first.version+"/sw.js" || read(s) != first {
		t.Errorf("the worker is %+v", first)
	}
	build, _, _ := strings.Cut(first.version, ".")
	if page := text(t, s.get("/")); !strings.Contains(page, `<meta name="holdfast-worker" content="`+build+`"`) {
		t.Errorf("the page does not know its worker's build: %s", page)
	}
	files := built()
	files["sw.js"] = &fstest.MapFile{Data: []byte("self.x = 2")}
	released, zoned, joined := newSite(t, files), newSite(t, built()), newSite(t, built())
	zoned.origins = []string{"https://elsewhere.example"}
	joined.version = "v2"
	for name, other := range map[string]*site{"another script": released, "another policy": zoned, "another fleet": joined} {
		got := read(other)
		if got.address == first.address || got.version == first.version {
			t.Errorf("%s stands at the same address", name)
		}
		if res := other.get(first.address); res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the old address gives %d", name, res.StatusCode)
		}
		if same := strings.HasPrefix(got.version, build+"."); same != (name != "another script") {
			t.Errorf("%s: build %q became version %q", name, build, got.version)
		}
	}
	if one, two := s.get(handlePath).Header.Get("ETag"), released.get(handlePath).Header.Get("ETag"); one == two {
		t.Error("a page that names another build has the same tag")
	}
}

func TestEncodings(t *testing.T) {
	s := newSite(t, built())
	for _, c := range []struct{ target, accept, encoding, body string }{
		{"/assets/index-oAmmxc6F.js", "", "", `import "x"`},
		{"/assets/index-oAmmxc6F.js", "gzip, deflate, br, zstd", "br", "brotli script"},
		{"/assets/index-oAmmxc6F.js", "gzip", "gzip", "gzipped script"},
		{"/assets/index-oAmmxc6F.js", "GZIP;Q=1.0", "gzip", "gzipped script"},
		{"/assets/index-oAmmxc6F.js", "br;q=0, gzip;q=0.5", "gzip", "gzipped script"},
		{"/assets/index-oAmmxc6F.js", "br; q=0, *", "gzip", "gzipped script"},
		{"/assets/index-oAmmxc6F.js", "*;q=0", "", `import "x"`},
		{"/assets/index-oAmmxc6F.js", "gzip;q=zero", "", `import "x"`},
		{"/assets/index-oAmmxc6F.js", "identity, brotli", "", `import "x"`},
		{"/assets/style-Cka2dk_r.css", "br, gzip", "gzip", "gzipped style"},
		{"/assets/unhashed.js", "br, gzip", "", "1"},
	} {
		res := s.get(c.target, "Accept-Encoding", c.accept)
		if body := text(t, res); res.Header.Get("Content-Encoding") != c.encoding || body != c.body {
			t.Errorf("%s with %q: %q, %q", c.target, c.accept, res.Header.Get("Content-Encoding"), body)
		}
		if vary := slices.Contains(res.Header.Values("Vary"), "Accept-Encoding"); vary != !strings.Contains(c.target, "unhashed") {
			t.Errorf("%s: Vary is %q", c.target, res.Header.Values("Vary"))
		}
	}
	res := s.get("/", "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(z); err != nil || !strings.Contains(string(body), `content="v1"`) {
		t.Errorf("the page, unpacked: %q, %v", body, err)
	}
	if res := s.get(handlePath, "Accept-Encoding", "gzip"); res.Header.Get("Content-Encoding") != "" {
		t.Error("a page that would not shrink is packed")
	}
}

func TestPlaceholder(t *testing.T) {
	files := fstest.MapFS{"placeholder.html": built()["placeholder.html"]}
	s := newSite(t, files)
	for _, target := range []string{"/", handlePath} {
		res := s.get(target)
		if body := text(t, res); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "not built") || res.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d %q", target, res.StatusCode, body)
		}
	}
	for _, target := range []string{"/sw/version", "/sw.js", "/sw//sw.js"} {
		if res := s.get(target); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", target, res.StatusCode)
		}
	}
	files["index.html"] = built()["index.html"] // half a build is none
	if res := newSite(t, files).get("/"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("half a build: %d", res.StatusCode)
	}
}

// The page that is committed works under its own policy: it has no scripts and
// no styles, and says what to do.
func TestCommittedPlaceholder(t *testing.T) {
	files := web.Dist()
	s := &site{}
	h, err := Handler(Config{Files: files, Fleet: func(context.Context) (string, []string, error) { return "", nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	s.Handler = h
	if res := s.get("/"); res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the embedded page: %d", res.StatusCode)
	}
	raw, err := files.Open("placeholder.html")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	page, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"<script", "<style", "style=", "://"} {
		if strings.Contains(string(page), not) {
			t.Errorf("it has %q", not)
		}
	}
	if !strings.Contains(string(page), "go run ./dev") {
		t.Error("it does not say how to build the page")
	}
}

func TestBuildsRefused(t *testing.T) {
	fleet := func(context.Context) (string, []string, error) { return "", nil, nil }
	orphan := built()
	orphan["assets/gone-AAAAAAAA.js.gz"] = orphan["sw.js"]
	for name, cfg := range map[string]Config{
		"no files": {Fleet: fleet}, "no fleet": {Files: built()}, "an empty folder": {Files: fstest.MapFS{}, Fleet: fleet},
		"an encoding of nothing": {Files: orphan, Fleet: fleet}, "a zone with a space": {Files: built(), Fleet: fleet, Zones: []string{"https://*.a.example", "https://no zone"}},
		"a zone of everything": {Files: built(), Fleet: fleet, Zones: []string{"https://*"}},
	} {
		if h, err := Handler(cfg); err == nil || h != nil {
			t.Errorf("%s: made", name)
		}
	}
}

func TestPolicyOfLargeFleets(t *testing.T) {
	var many []string
	for i := range 70 {
		many = append(many, fmt.Sprintf("https://n%d.example", i))
	}
	connect := func(s *site) []string {
		_, rest, _ := strings.Cut(s.get("/").Header.Get("Content-Security-Policy"), "connect-src ")
		list, _, _ := strings.Cut(rest, ";")
		return strings.Fields(list)
	}
	s := newSite(t, built())
	s.version, s.origins = "v64", many[:64]
	if got := connect(s); len(got) != 65 || got[0] != "'self'" || got[64] != many[63] {
		t.Errorf("64 nodes: %v", got)
	}
	if s.log.Len() != 0 {
		t.Errorf("64 nodes: %s", &s.log)
	}
	s.version, s.origins = "v70", many
	for range 3 {
		if got := connect(s); len(got) != 65 || got[64] != many[63] {
			t.Errorf("70 nodes: %v", got)
		}
	}
	if n := strings.Count(s.log.String(), "left_out=6"); n != 1 {
		t.Errorf("what is left out is logged %d times", n)
	}
	zoned := newSite(t, built(), "https://*.example", "https://*.other.example:8443")
	zoned.version, zoned.origins = "v70", many
	if got := strings.Join(connect(zoned), " "); got != "'self' https://*.example https://*.other.example:8443" {
		t.Errorf("with zones: %v", got)
	}
	zoned.version, zoned.origins = "v2", many[:2]
	if got := strings.Join(connect(zoned), " "); got != "'self' https://n0.example https://n1.example" {
		t.Errorf("a small fleet with zones: %v", got)
	}
}

func TestNoOriginChangesThePolicy(t *testing.T) {
	s := newSite(t, built())
	s.origins = []string{
		"https://a.example", "https://a.example", "https://b.example; script-src *", "https://c.example 'unsafe-inline'", "data:", "*", "https:", "https://*.example",
		"https://d.example\r\nX-Evil: 1", "https://d.example/path", "https://E.example", "wss://f.example", "", "http://[::1]:9001", "https://user@g.example", "http://127.0.0.1:9001",
	}
	s.version = "hostile"
	want := strings.Replace(wantPolicy, "connect-src 'self' https://a.example ", "connect-src 'self' https://a.example http://[::1]:9001 ", 1)
	if got := s.get("/").Header.Get("Content-Security-Policy"); got != want {
		t.Errorf("%s", got)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add("https://a.example", "https://*.example")
	f.Add("https://a.example;x", "https://*")
	f.Fuzz(func(t *testing.T, origin, zone string) {
		many := []string{origin}
		for i := range maxOrigins {
			many = append(many, fmt.Sprintf("https://n%d.example", i))
		}
		zones := []string{"https://*.example"}
		if checkZones([]string{zone}) == nil {
			zones = append(zones, zone)
		}
		for _, p := range []policy{makePolicy("", []string{origin}, nil), makePolicy("", many, zones)} {
			if strings.Count(p.csp, ";") != 12 || strings.Count(p.csp, "'self'") != 7 || strings.ContainsAny(p.csp, "\r\n,") || strings.Count(p.csp, "'") != 2*13 {
				t.Errorf("%q, %q make %q", origin, zone, p.csp)
			}
		}
	})
}

// When the fleet cannot be read, pages go on with what was known.
func TestFleetThatCannotBeRead(t *testing.T) {
	s := newSite(t, built())
	s.err = errors.New("disk on fire")
	if got := s.get("/").Header.Get("Content-Security-Policy"); !strings.Contains(got, "connect-src 'self';") {
		t.Errorf("before anything was known: %s", got)
	}
	s.err = nil
	s.get("/")
	s.err = errors.New("disk on fire")
	res := s.get("/")
	if got := res.Header.Get("Content-Security-Policy"); got != wantPolicy || !strings.Contains(text(t, res), `content="v1"`) {
		t.Errorf("afterwards: %s", got)
	}
	if !strings.Contains(s.log.String(), "disk on fire") {
		t.Error("not logged")
	}
}

func FuzzAcceptEncoding(f *testing.F) {
	f.Add("gzip;q=0.5, br;q=0, *")
	f.Fuzz(func(t *testing.T, header string) {
		if accepts(header, "gzip") && !strings.Contains(strings.ToLower(header), "gzip") && !strings.Contains(header, "*") {
			t.Errorf("%q takes gzip", header)
		}
	})
}

func FuzzPath(f *testing.F) {
	files := built()
	h, err := Handler(Config{Files: files, Fleet: func(context.Context) (string, []string, error) { return "", nil, nil }})
	if err != nil {
		f.Fatal(err)
	}
	s := &site{Handler: h}
	for _, seed := range []string{"/", handlePath, "/../x", "/assets/index-oAmmxc6F.js"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		res := s.get(target)
		_, file := files[strings.TrimPrefix(target, "/")]
		known := target == "/" || target == "/sw/version" || target == "/s" || strings.HasPrefix(target, "/s/") && !strings.ContainsAny(target[3:], "/.%\\") || file && strings.HasPrefix(target, "/") && target != "/sw.js"
		if res.StatusCode == http.StatusOK && !known || res.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%q: %d", target, res.StatusCode)
		}
	})
}
