// Package webui serves the web app: the built pages, scripts and styles, with
// the security policy that the fleet of the moment makes.
//
// It promises that every answer, also an error, carries the security headers;
// that only files of the build are served, by names known when the program
// started; and that whatever a browser keeps with an old policy is asked for
// again. It knows nothing of links and handles: a share page is the same for
// all of them, and what stands behind the # never comes here.
package webui

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"
)

// Config is what a handler needs. Files and Fleet are required.
type Config struct {
	// Files is the built web app, or a folder with placeholder.html alone.
	Files fs.FS
	// Fleet returns the fleet's version and its nodes' origins, as https://host:port.
	Fleet func(context.Context) (version string, origins []string, err error)
	// Zones are sources such as https://*.nodes.example, which take the place of
	// the nodes' origins when these are more than fit into a policy.
	Zones []string
	Log   *slog.Logger
}

// The files of the build that have places of their own.
const (
	homeFile        = "index.html"
	shareFile       = "share.html"
	workerFile      = "sw.js"
	placeholderFile = "placeholder.html"
)

type handler struct {
	cfg    Config
	assets map[string]*asset // by URL path
	home   *asset
	share  *asset
	worker *asset // the service worker; nil where the app is not built
	status int    // of the pages: the placeholder is no success

	mu    sync.Mutex
	last  policy             // guarded by mu; the last one that the fleet gave
	pages map[*asset]variant // guarded by mu; rendered for the last policy
}

// Handler makes the handler of everything that no API pattern takes. It reads
// all files at once; they are a few hundred kilobytes.
func Handler(cfg Config) (http.Handler, error) {
	if cfg.Files == nil || cfg.Fleet == nil {
		return nil, errors.New("webui: files and fleet are needed")
	}
	if err := checkZones(cfg.Zones); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	files, err := load(cfg.Files)
	if err != nil {
		return nil, err
	}
	h := &handler{cfg: cfg, assets: files, home: files["/"+homeFile], share: files["/"+shareFile], status: http.StatusOK, pages: map[*asset]variant{}}
	if h.home == nil || h.share == nil {
		placeholder := files["/"+placeholderFile]
		if placeholder == nil {
			return nil, errors.New("webui: neither the pages nor " + placeholderFile + " are there; run: go run ./dev web")
		}
		h.home, h.share, h.status = placeholder, placeholder, http.StatusServiceUnavailable
	}
	if h.worker = files["/"+workerFile]; h.worker != nil && h.worker.gzip == nil {
		h.worker.gzip = compress(h.worker.plain)
	}
	for _, name := range []string{homeFile, shareFile, placeholderFile, workerFile} {
		delete(files, "/"+name)
	}
	h.last = makePolicy("", nil, nil)
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := h.policy(r.Context())
	p.write(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.fail(w, r, http.StatusMethodNotAllowed)
		return
	}
	switch a := h.assets[r.URL.Path]; {
	case r.URL.Path == "/":
		h.page(w, r, p, h.home)
	case isShare(r.URL.Path):
		h.page(w, r, p, h.share)
	case strings.HasPrefix(r.URL.Path, workerRoot):
		h.serveWorker(w, r, p)
	case a == nil:
		h.fail(w, r, http.StatusNotFound)
	default:
		h.asset(w, r, p, a)
	}
}

// isShare tells whether the share page answers: for any handle, whole or cut,
// because that page is the one that can tell people what is wrong with a link.
func isShare(path string) bool {
	const longest = 256
	handle, ok := strings.CutPrefix(path, "/s/")
	if !ok || len(handle) > longest {
		return path == "/s"
	}
	return strings.Trim(handle, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// policy is that of the fleet now, or the last one if the fleet cannot be read:
// pages and the nodes known so far go on working.
func (h *handler) policy(ctx context.Context) policy {
	version, origins, err := h.cfg.Fleet(ctx)
	if err != nil {
		h.cfg.Log.Error("the pages' policy stays as it was, for the fleet cannot be read", "error", err)
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.last
	}
	p := makePolicy(version, origins, h.cfg.Zones)
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.tag != h.last.tag {
		h.last = p
		clear(h.pages)
		if p.left > 0 {
			h.cfg.Log.Warn("the pages' policy names no more nodes than fit; set node zones", "left_out", p.left)
		}
	}
	return p
}

// fail answers with a small page of its own.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, status int) {
	body := notFound
	if status == http.StatusMethodNotAllowed {
		body = notAllowed
	}
	w.Header().Set("Cache-Control", "no-store")
	send(w, r, status, variant{kind: "text/html; charset=utf-8", plain: []byte(body)}, "")
}

const notFound = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast – nothing here</title>
<h1>There is nothing here</h1>
<p>A link to files looks like /s/ and 22 characters, then # and the key. If yours was cut, ask for it again.</p>
<p><a href="/">To the first page</a></p>
</html>
`

const notAllowed = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Holdfast – pages are only read</title>
<h1>Pages are only read</h1>
<p><a href="/">To the first page</a></p>
</html>
`
