// Package read gives out blobs, whole or in parts with proof (docs/protocol.md,
// "Download"). It promises that nothing leaves without a ticket for exactly those
// bytes, and that a copy found to be damaged is taken out of use. Whole blobs are
// checked by who reads them, against the name.
package read

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"holdfast/api"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/node/gate"
	"holdfast/node/pace"
	"holdfast/node/store"
)

// Handler serves reads.
type Handler struct {
	Store store.Store
	Gate  *gate.Gate
	Log   *slog.Logger

	trees trees
}

// Register adds the endpoint to mux.
func (h *Handler) Register(mux *http.ServeMux) {
	h.trees.init()
	mux.HandleFunc(api.GetBlob.Pattern(), h.get)
}

// wanted is what a request asks for.
type wanted struct {
	key            store.Key
	ticket         string
	whole          bool
	offset, length int64
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) {
	if err := h.serve(w, r); err != nil {
		api.WriteProblem(w, err)
	}
}

// serve returns what is wrong before the answer has begun.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	want, err := parse(r)
	if err != nil {
		return err
	}
	blobReader, err := h.Store.Open(want.key)
	if errors.Is(err, store.ErrUnknown) {
		return h.unknown(want)
	}
	if err != nil {
		return h.failed(err)
	}
	defer blobReader.Close()
	size := blobReader.Size()
	if want.whole {
		want.length = max(size, 1)
	}
	if err := h.Gate.Read(want.ticket, want.key.Upload, want.key.Name, want.offset, want.length); err != nil {
		return err
	}
	if err := blob.CheckRange(size, want.offset, want.length); err != nil {
		// The ticket covers it, so that perhaps the file was cut short.
		if _, err := h.newTree(want.key, blobReader); err != nil {
			return err
		}
		return api.NewProblem(api.RangeInvalid, "The blob has %d bytes; %d from %d on are not within it.", size, want.length, want.offset)
	}
	if want.whole {
		head(w, api.TypeBytes, size)
		if r.Method != http.MethodHead {
			h.sendWhole(w, blobReader, want.key)
		}
		return nil
	}
	return h.slice(w, r, blobReader, want)
}

// unknown tells only those who may read the blob that it is not here.
func (h *Handler) unknown(want wanted) error {
	if want.whole {
		want.length = 1
	}
	if err := h.Gate.Read(want.ticket, want.key.Upload, want.key.Name, want.offset, want.length); err != nil {
		return err
	}
	return api.NewProblem(api.BlobUnknown, "This node does not have the blob; read another copy.")
}

func (h *Handler) failed(err error) error {
	if errors.Is(err, store.ErrBusy) {
		return api.NewProblem(api.Unavailable, "This node is out of file handles or memory; read another copy.")
	}
	h.Log.Error("read", "error", err)
	return api.NewProblem(api.NodeIO, "This node's disk failed; read another copy.")
}

func parse(r *http.Request) (want wanted, err error) {
	if err := api.CheckVersion(r); err != nil {
		return want, err
	}
	if want.key.Name, err = id.Parse32(r.PathValue("name")); err != nil {
		return want, api.NewProblem(api.BadRequest, "A blob's name is 43 characters of base64url.")
	}
	query := r.URL.Query()
	if want.key.Upload, err = id.Parse[id.Upload](query.Get("upload")); err != nil {
		return want, api.NewProblem(api.BadRequest, "upload must be an upload's id: 22 characters of base64url.")
	}
	want.ticket = query.Get("ticket")
	want.whole = !query.Has("offset") && !query.Has("length")
	if !want.whole {
		if want.offset, err = number(query, "offset", 0); err == nil {
			want.length, err = number(query, "length", 1)
		}
	}
	return want, err
}

func number(query url.Values, name string, least int64) (int64, error) {
	n, err := strconv.ParseInt(query.Get(name), 10, 64)
	if err != nil || n < least {
		return 0, api.NewProblem(api.RangeInvalid, "A part is named by offset and length together: numbers from 0 and from 1.")
	}
	return n, nil
}

func head(w http.ResponseWriter, kind string, size int64) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.Header().Set("Cache-Control", "no-store") // the address holds a ticket
}

// sendWhole lets the system copy from file to socket. When it breaks off, the
// answer is shorter than announced, which the server ends the connection for.
func (h *Handler) sendWhole(w http.ResponseWriter, r store.Reader, key store.Key) {
	out := pace.NewWriter(w)
	for left := r.Size(); left > 0; {
		out.Next()
		n, err := r.WriteNext(w, min(left, out.Step()))
		if left -= n; err != nil {
			h.Log.Debug("a read ended early", "upload", key.Upload, "blob", key.Name)
			return
		}
	}
}

func (h *Handler) slice(w http.ResponseWriter, r *http.Request, b store.Reader, want wanted) error {
	tree, err := h.trees.get(want.key, func() (blob.Outboard, error) {
		return h.newTree(want.key, b)
	})
	if err != nil {
		return err
	}
	head(w, api.TypeSlice, blob.SliceSize(b.Size(), want.offset, want.length))
	if r.Method == http.MethodHead {
		return nil
	}
	if err := blob.WriteSlice(pace.NewWriter(w), b, tree, want.offset, want.length); err != nil {
		h.Log.Debug("a read ended early", "upload", want.key.Upload, "blob", want.key.Name)
	}
	return nil
}

// newTree hashes the whole blob, which shows whether it still is what its name
// says. If not, no part of it can be proved: it is taken out of use, and its
// owner and the readers are told.
func (h *Handler) newTree(key store.Key, b store.Reader) (blob.Outboard, error) {
	tree, name, err := blob.NewOutboard(io.NewSectionReader(b, 0, b.Size()), b.Size())
	if err != nil && !errors.Is(err, blob.ErrExtent) {
		return nil, h.failed(err)
	}
	if err == nil && name == key.Name {
		return tree, nil
	}
	h.Log.Error("a blob is damaged on the disk; it is in quarantine now", "upload", key.Upload, "blob", key.Name)
	if err := h.Store.Quarantine(key); err != nil && !errors.Is(err, store.ErrUnknown) {
		h.Log.Error("quarantine", "error", err)
	}
	return nil, api.NewProblem(api.NodeIO, "This copy is damaged and was taken out of use; read another copy.")
}
