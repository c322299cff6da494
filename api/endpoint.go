// Package api is the protocol between clients, server and nodes: every endpoint
// as a value with its request and response types, the stable error codes, and
// the call and handle functions that both ends share (docs/protocol.md). The
// OpenAPI document and the TypeScript types are generated from the same table.
// It knows HTTP and JSON, and nothing of storage, policy or keys.
package api

import "time"

// Version is the protocol's version, named by every request: in the header
// Holdfast-Version, or as query parameter v where a header would cost a
// preflight request.
const Version = "1"

// Headers of the protocol.
const (
	HeaderVersion = "Holdfast-Version"
	// HeaderTicket carries an upload ticket's text at POST /blobs.
	HeaderTicket = "Holdfast-Ticket"
	// HeaderBlob carries the blob's name at POST /blobs.
	HeaderBlob = "Holdfast-Blob"
	// HeaderChain is the index of the ticket's chain that the client uses.
	HeaderChain = "Holdfast-Chain"
	// HeaderCopies is how many copies this node is to obtain, its own included:
	// clients ask for 2, a forwarding node asks the next for 1.
	HeaderCopies = "Holdfast-Copies"
)

// Content types.
const (
	TypeJSON    = "application/json"
	TypeProblem = "application/problem+json"
	TypeEvents  = "application/x-ndjson"
	TypeBytes   = "application/octet-stream"
	// TypeSlice is a Bao slice with groups of 16 KiB (docs/format.md §5).
	TypeSlice = "application/vnd.holdfast.slice"
)

// Auth says what an endpoint wants in "Authorization: Bearer <text>".
type Auth int

// What may be wanted.
const (
	// AuthNone: nothing, or the capability is in the body or a ticket.
	AuthNone Auth = iota
	// AuthUpload: the upload's secret, given when it was opened.
	AuthUpload
	// AuthManage: the link's management secret.
	AuthManage
	// AuthAccount: the token of an account's session.
	AuthAccount
)

// String is the name in generated documents.
func (a Auth) String() string {
	return [...]string{AuthNone: "none", AuthUpload: "upload", AuthManage: "manage", AuthAccount: "account"}[a]
}

// Info describes one endpoint.
type Info struct {
	// ID is the operation's name in openapi.json and the generated types.
	ID string
	// Method and Path form a net/http pattern.
	Method, Path string
	Summary      string
	Auth         Auth
	// MaxBody is the greatest request body in bytes; 0 where there is none.
	MaxBody int64
	// MaxEntries is how many entries the body's lists may have together, those of
	// lists within them not counted; 0 stands for 4,096.
	MaxEntries int
	// Timeout bounds the whole call at both ends.
	Timeout time.Duration
	// Codes are the problems that a caller should expect besides the general ones.
	Codes []Code
}

// Endpoint is an endpoint with JSON request and response types. Empty is used
// for a side that carries no body.
type Endpoint[Req, Res any] struct{ Info }

// Empty is the absence of a body.
type Empty struct{}

// Pattern is the pattern for http.ServeMux.
func (i Info) Pattern() string { return i.Method + " " + i.Path }
