package threats

import (
	"context"
	"net/http"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/format/blob"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/link"
	"holdfast/format/seal"
	"holdfast/format/ticket"
	"holdfast/format/wire"
)

// sender is somebody who sends by the protocol, but not with our client: files
// and commits may be such as no client of ours makes.
type sender struct {
	t         testing.TB
	caller    api.Caller
	grant     api.UploadGrant
	link      link.Link
	keys      link.Keys
	pack      []byte
	revisions []api.RevisionEntry
	receipts  []string
}

func newSender(t testing.TB) *sender {
	t.Helper()
	h := &sender{t: t, caller: api.Caller{Base: service.real, HTTP: http.DefaultClient}, link: link.New(0)}
	var err error
	if h.keys, err = h.link.Keys(""); err != nil {
		t.Fatal(err)
	}
	h.grant, err = api.OpenUpload.Call(t.Context(), h.caller, api.Args{}, api.OpenUploadRequest{Bytes: 8 << 20, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *sender) args() api.Args {
	return api.Args{Path: map[string]string{"upload": h.grant.Upload.String()}, Secret: h.grant.Secret}
}

// abandon ends an upload that was not committed; one that was stays.
func (h *sender) abandon() {
	_, _ = api.AbandonUpload.Call(context.Background(), h.caller, h.args(), api.Empty{})
}

// add seals a small file into the pack.
func (h *sender) add(plain []byte, path string) descriptor.Descriptor {
	h.t.Helper()
	keys, params := seal.NewKeys(id.New[id.File]()), seal.NewParams()
	from := len(h.pack)
	packed, content, err := seal.Seal(h.pack, keys, params, plain)
	if err != nil {
		h.t.Fatal(err)
	}
	h.pack = packed
	length := int64(len(packed) - from)
	h.revisions = append(h.revisions, api.RevisionEntry{
		RevisionHead: api.RevisionHead{
			ID: keys.Revision, ReleaseKey: keys.R, Commitment: content.Commitment, Root: content.Root,
			Salt: params.Salt, Prefix: id.Encoding.EncodeToString(params.Prefix[:]), Length: length,
		},
		Extents: []api.Extent{{0, int64(from), length}},
	})
	c := descriptor.Content{
		File: keys.File, Revision: keys.Revision, Key: descriptor.Key(keys.K),
		Commitment: content.Commitment, Root: content.Root, Size: int64(len(plain)),
	}
	return descriptor.Descriptor{Path: path, Kind: descriptor.File, Content: &c}
}

// store brings the pack to two nodes.
func (h *sender) store() {
	h.t.Helper()
	grant, err := blobs.OpenGrant(h.grant, true, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	name := blob.Name(h.pack)
	receipts := blobs.NewReceipts(h.grant.Upload, nil, nil)
	up := &blobs.Uploader{HTTP: http.DefaultClient, Receipts: receipts}
	up.Start(grant)
	if err := up.Put(limited(h.t), name, h.pack); err != nil {
		h.t.Fatal(err)
	}
	h.receipts, _, _ = receipts.Proof([]id.Name{name})
}

// request is an honest commit; record is sealed already.
func (h *sender) request(record []byte, listing id.Revision) api.CommitRequest {
	return api.CommitRequest{
		Page: api.Page{
			Blobs:    []api.BlobEntry{{Name: blob.Name(h.pack), Size: int64(len(h.pack))}},
			Receipts: h.receipts, Revisions: h.revisions,
		},
		Link: api.LinkSpec{
			Handle: h.link.Handle, AuthHash: link.AuthHash(h.keys.Auth), ManageHash: link.ManageHash(h.link.Handle, link.NewSecret()),
			Record: id.Encoding.EncodeToString(record), Listing: listing, Expires: service.now().Add(24 * time.Hour).Unix(),
		},
	}
}

func (h *sender) commit(req api.CommitRequest) error {
	_, err := api.CommitUpload.Call(h.t.Context(), h.caller, h.args(), req)
	return err
}

func (h *sender) mustCommit(req api.CommitRequest) {
	h.t.Helper()
	if err := h.commit(req); err != nil {
		h.t.Fatal(err)
	}
}

// record seals anything as the link's record.
func (h *sender) record(plain any) []byte {
	return seal.SealRecord(h.keys.Record, "link", h.link.Handle[:], wire.Marshal(plain))
}

// publishForged makes a link to one file whose record and server's record both
// say c.
func (h *sender) publishForged(t testing.TB, d descriptor.Descriptor, c descriptor.Content) link.Link {
	t.Helper()
	h.store()
	r := &h.revisions[len(h.revisions)-1]
	r.Commitment, r.Root = c.Commitment, c.Root
	h.mustCommit(h.request(h.record(map[uint64]any{1: link.OneFile, 2: d}), id.Revision{}))
	return h.link
}

// publishBundle makes a link to what the list says, whatever it says.
func (h *sender) publishBundle(entries []descriptor.Descriptor, title string) string {
	h.t.Helper()
	list := descriptor.Bundle{Entries: entries, Title: title}
	files, sum, err := list.Totals()
	if err != nil {
		h.t.Fatal(err)
	}
	content := *h.add(wire.Marshal(list), "").Content
	h.store()
	record := h.record(map[uint64]any{1: link.Bundle, 3: content, 4: files, 5: sum})
	h.mustCommit(h.request(record, content.Revision))
	return h.link.URL(service.front.url)
}

// receipt is what the node with that key would sign.
func receipt(t testing.TB, m *member, upload id.Upload, stored ...ticket.Stored) string {
	t.Helper()
	text, err := ticket.SignText(m.key, ticket.Receipt{Upload: upload, Node: m.id(), Day: ticket.Day(time.Now()), Blobs: stored})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
