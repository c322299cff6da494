package webui

import (
	"bytes"
	"compress/gzip"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// Where a page learns for which fleet its policy was made, and from which build
// the service worker must come that it talks to.
const (
	fleetMetaStart  = `<meta name="holdfast-fleet" content="`
	workerMetaStart = `<meta name="holdfast-worker" content="`
)

// page answers with a page: made for the policy of this moment, and asked for
// again each time.
func (h *handler) page(w http.ResponseWriter, r *http.Request, p policy, a *asset) {
	w.Header().Set("Cache-Control", "no-cache")
	send(w, r, h.status, h.rendered(a, p), p.tag)
}

// rendered is the page for a policy. That of the last policy is kept.
func (h *handler) rendered(a *asset, p policy) variant {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, made := h.pages[a]; made && h.last.tag == p.tag {
		return v
	}
	v := variant{kind: a.kind, tag: a.tag, plain: fill(a.plain, fleetMetaStart, p.version)}
	if h.worker != nil {
		v.plain = fill(v.plain, workerMetaStart, h.worker.tag)
		v.tag += "." + h.worker.tag
	}
	v.gzip = compress(v.plain)
	if h.last.tag == p.tag {
		h.pages[a] = v
	}
	return v
}

// fill puts a value where a page's empty meta element waits for it.
func fill(page []byte, start, value string) []byte {
	return bytes.Replace(page, []byte(start+`"`), []byte(start+html.EscapeString(value)+`"`), 1)
}

// compress returns nil where it gains nothing. Writing to memory does not fail.
func compress(plain []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(plain)
	z.Close()
	if b.Len() >= len(plain) {
		return nil
	}
	return b.Bytes()
}

// The service worker stands at /sw/VERSION/sw.js, whose scope is /sw/VERSION/.
// Browsers replace a worker whose script changed, and end the downloads that it
// serves: Firefox then calls the part a whole file. And a worker is bound for
// life by the policy that came with its script. So a version is one script under
// one policy, under an address that never gives anything else; a new version is
// another worker beside the old one (docs/decisions/0006-browser-streams.md).
const (
	workerRoot    = "/sw/"
	workerNow     = workerRoot + "version" // which version is the one of now, as text
	workerAddress = "/" + workerFile       // behind the version
)

// workerVersion changes with the script and with the policy.
func (h *handler) workerVersion(p policy) string { return h.worker.tag + "." + p.tag }

// serveWorker answers what stands under workerRoot.
func (h *handler) serveWorker(w http.ResponseWriter, r *http.Request, p policy) {
	if h.worker == nil {
		h.fail(w, r, http.StatusNotFound)
		return
	}
	switch version := h.workerVersion(p); r.URL.Path {
	case workerNow:
		w.Header().Set("Cache-Control", "no-store")
		send(w, r, http.StatusOK, variant{kind: kinds[".txt"], plain: []byte(version)}, "")
	case workerRoot + version + workerAddress:
		w.Header().Set("Cache-Control", immutable)
		send(w, r, http.StatusOK, h.worker.variant, "")
	default:
		h.fail(w, r, http.StatusNotFound)
	}
}

// immutable is what a browser may keep for ever.
const immutable = "public, max-age=31536000, immutable"

// asset answers with a file. What is named after its content may be kept for
// ever, but not where it starts a worker: a worker is bound by the policy that
// came with its own script, so that one that is kept would never reach nodes
// that joined later.
func (h *handler) asset(w http.ResponseWriter, r *http.Request, p policy, a *asset) {
	tag := p.tag
	if strings.HasSuffix(a.name, ".js") {
		w.Header().Add("Vary", "Sec-Fetch-Dest")
	}
	if a.hashed && !startsWorker(r) {
		w.Header().Set("Cache-Control", immutable)
		tag = ""
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	send(w, r, http.StatusOK, a.variant, tag)
}

func startsWorker(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "worker", "sharedworker", "serviceworker":
		return true
	}
	return false
}

// send answers in the best encoding, or with 304 if the browser has it.
// policyTag is part of the entity tag where a new policy makes a new answer.
func send(w http.ResponseWriter, r *http.Request, status int, v variant, policyTag string) {
	body, encoding := v.choose(r.Header.Get("Accept-Encoding"))
	head := w.Header()
	if v.gzip != nil || v.brotli != nil {
		head.Add("Vary", "Accept-Encoding")
	}
	if v.tag != "" && status == http.StatusOK {
		etag := `"` + strings.Trim(strings.Join([]string{v.tag, policyTag, encoding}, "."), ".") + `"`
		head.Set("ETag", etag)
		if matches(r.Header.Get("If-None-Match"), etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if encoding != "" {
		head.Set("Content-Encoding", encoding)
	}
	head.Set("Content-Type", v.kind)
	head.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body) // a browser that went away cannot be told
	}
}

// choose takes the smallest encoding that there is and that is accepted.
func (v variant) choose(accept string) (body []byte, encoding string) {
	if v.brotli != nil && accepts(accept, "br") {
		return v.brotli, "br"
	}
	if v.gzip != nil && accepts(accept, "gzip") {
		return v.gzip, "gzip"
	}
	return v.plain, ""
}

// accepts tells whether an Accept-Encoding header takes a coding (RFC 9110 §12.5.3).
func accepts(header, coding string) bool {
	star := false
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != coding && name != "*" {
			continue
		}
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(parameters, " ", "")), "q="); ok {
			var err error
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				weight = 0
			}
		}
		if name == coding {
			return weight > 0
		}
		star = weight > 0
	}
	return star
}

// matches tells whether an If-None-Match header names the entity tag. It
// compares weakly, as RFC 9110 §13.1.2 wants.
func matches(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == etag || part == "*" {
			return true
		}
	}
	return false
}
