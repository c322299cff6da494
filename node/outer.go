package node

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"holdfast/api"
	"holdfast/node/pace"
)

// methods are the paths and what they take, for preflights and refusals.
var methods = []struct{ pattern, allow string }{
	{api.PutBlob.Path, "POST"}, {api.GetBlob.Path, "GET, HEAD"}, {api.ForwardBlobs.Path, "POST"},
	{api.ListReceipts.Path, "POST"}, {api.GetHealth.Path, "GET, HEAD"},
}

// allowHeaders are what pages send with uploads.
var allowHeaders = strings.Join([]string{api.HeaderVersion, api.HeaderTicket, api.HeaderBlob, api.HeaderChain, api.HeaderCopies, "Content-Type"}, ", ")

// outer answers preflights and unknown paths, and says what holds for every
// answer: any origin may read it, since the ticket is the right and there are no
// cookies; and nothing in it is ever to be run.
func (n *Node) outer(mux *http.ServeMux) http.Handler {
	for _, m := range methods {
		mux.HandleFunc(m.pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions {
				preflight(w, m.allow)
				return
			}
			w.Header().Set("Allow", m.allow)
			api.WriteProblem(w, api.NewProblem(api.MethodNotAllowed, "This address takes %s.", m.allow))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		api.WriteProblem(w, api.NewProblem(api.NotFound, "A storage node has no such address."))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.requests.Add(1)
		defer n.requests.Done()
		defer recovered(n.cfg.Log)
		// For answers at once; those that take longer go on at their pace. What an
		// earlier request on this connection set would end this one.
		pace.NewWriter(w).Next()
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Access-Control-Expose-Headers", "Retry-After")
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
		header.Set("Referrer-Policy", "no-referrer")
		if n.behind.Load() && r.URL.Path != api.GetHealth.Path && r.Method != http.MethodOptions {
			p := api.NewProblem(api.Unavailable, "This node has just started and first does what it missed; try again in a moment.")
			p.RetryAfter = 1
			api.WriteProblem(w, p)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func preflight(w http.ResponseWriter, allow string) {
	header := w.Header()
	header.Set("Access-Control-Allow-Methods", allow)
	header.Set("Access-Control-Allow-Headers", allowHeaders)
	header.Set("Access-Control-Max-Age", "7200") // the longest that browsers keep
	w.WriteHeader(http.StatusNoContent)
}

// recovered logs a fault of this program without the address that net/http would
// add, and ends the connection.
func recovered(log *slog.Logger) {
	fault := recover()
	if fault == nil {
		return
	}
	if fault != http.ErrAbortHandler {
		log.Error("a request failed badly", "fault", fault, "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}
