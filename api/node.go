package api

import (
	"time"

	"holdfast/format/id"
)

// Endpoints of a node. Blob bodies are raw bytes, so that these are described
// here and handled by hand; docs/protocol.md has the whole story.
var (
	PutBlob = Info{ID: "putBlob", Method: "POST", Path: "/blobs", MaxBody: 8 << 20, Timeout: 10 * time.Minute,
		Summary: "Store a blob and hand it on. Headers: version, ticket, blob, chain, copies. Answers with events.",
		Codes:   append([]Code{BlobMismatch, ReadOnly, NodeIO, ForwardFailed, TicketSpent}, ticketCodes...)}
	GetBlob = Info{ID: "getBlob", Method: "GET", Path: "/blobs/{name}", Timeout: 10 * time.Minute,
		Summary: "Query: v, upload, ticket, and offset and length for a part. Whole blobs are raw bytes, parts are slices with proof.",
		Codes:   append([]Code{BlobUnknown, RangeInvalid, NodeIO}, ticketCodes...)}
	ForwardBlobs = Info{ID: "forwardBlobs", Method: "POST", Path: "/forward", MaxBody: 64 << 10, Timeout: 10 * time.Minute,
		Summary: "Blobs that this node has already: hand them on until enough copies have receipts. Answers with events.",
		Codes:   append([]Code{BlobUnknown, ForwardFailed}, ticketCodes...)}
	ListReceipts = Endpoint[ListReceiptsRequest, ListReceiptsResponse]{Info{ID: "listReceipts", Method: "POST", Path: "/receipts", MaxBody: 64 << 10, Timeout: callTimeout,
		Summary: "Which blobs of this upload do you have? For resuming.",
		Codes:   ticketCodes}}
	GetHealth = Endpoint[Empty, Health]{Info{ID: "getHealth", Method: "GET", Path: "/health", Timeout: callTimeout,
		Summary: "Whether this node serves and stores."}}
)

var ticketCodes = []Code{TicketInvalid, TicketExpired, TicketOtherNode}

// Event is one line of an answer to PutBlob or ForwardBlobs: one field is set, or
// none, which only tells that the node is still at work.
type Event struct {
	// Receipt is an envelope of type receipt; own first, then those of others.
	Receipt string `json:"receipt,omitempty"`
	// Failed names a node that could not be made to store; others are tried.
	Failed *NodeFailure `json:"failed,omitempty"`
	// Problem ends the answer: fewer copies than asked for were made.
	Problem *Problem `json:"problem,omitempty"`
}

// NodeFailure is a node that was tried in vain.
type NodeFailure struct {
	Node id.Node `json:"node"`
	Code Code    `json:"code"`
}

// ForwardRequest names blobs of the ticket's upload.
type ForwardRequest struct {
	Ticket string    `json:"ticket"`
	Chain  int       `json:"chain"`
	Copies int       `json:"copies"`
	Names  []id.Name `json:"names"`
}

// ListReceiptsRequest asks for what comes after a name in byte order.
type ListReceiptsRequest struct {
	Ticket string  `json:"ticket"`
	After  id.Name `json:"after,omitzero"`
}

// ListReceiptsResponse has receipts for up to 1,024 blobs; Next is the name to
// go on after, zero at the end. Used is what the upload takes of its budget here.
type ListReceiptsResponse struct {
	Receipts []string `json:"receipts"`
	Next     id.Name  `json:"next,omitzero"`
	Used     int64    `json:"used"`
}

// Health of a node.
type Health struct {
	Node id.Node `json:"node"`
	// Declaration is the node's own envelope of type declaration: another node
	// takes the key from it with which it checks receipts, if the id fits.
	Declaration string `json:"declaration"`
	// State: serving or read-only, with the reason.
	State    string `json:"state"`
	Reason   string `json:"reason,omitempty"`
	Used     int64  `json:"used"`
	Capacity int64  `json:"capacity"`
	Software string `json:"software"`
}
