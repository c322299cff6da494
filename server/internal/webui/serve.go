package webui

import (
	"bytes"
	"compress/gzip"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// fleetMeta is where a page learns for which fleet its policy was made.
const (
	fleetMetaStart = `<meta name="holdfast-fleet" content="`
	fleetMeta      = fleetMetaStart + `"`
)

// page answers with a page or the service worker: made for the policy of this
// moment, and asked for again each time.
func (h *handler) page(w http.ResponseWriter, r *http.Request, p policy, a *asset) {
	status := http.StatusOK
	if a.name != workerFile {
		status = h.status
	}
	w.Header().Set("Cache-Control", "no-cache")
	send(w, r, status, h.rendered(a, p), p.tag)
}

// rendered is the page for a policy. That of the last policy is kept.
func (h *handler) rendered(a *asset, p policy) variant {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, made := h.pages[a]; made && h.last.tag == p.tag {
		return v
	}
	v := variant{kind: a.kind, tag: a.tag}
	if a.name == workerFile {
		// A browser that finds the same script keeps the worker that it has, with the
		// policy under which that was installed: to reach new nodes it must differ.
		v.plain = append(bytes.Clone(a.plain), "\n// fleet "+p.version+"\n"...)
	} else {
		v.plain = bytes.Replace(a.plain, []byte(fleetMeta), []byte(fleetMetaStart+html.EscapeString(p.version)+`"`), 1)
	}
	v.gzip = compress(v.plain)
	if h.last.tag == p.tag {
		h.pages[a] = v
	}
	return v
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
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
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
