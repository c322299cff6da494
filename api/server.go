package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"holdfast/format/id"
)

// Limits of bodies and pages.
const (
	// MaxPage is the greatest body of a staged page and of a response page.
	MaxPage = 4 << 20
	// maxPageEntries: the shortest, a blob, takes 62 bytes of text.
	maxPageEntries = 1 << 16
	// smallBody is enough for every request without lists: the greatest is a
	// node's declaration.
	smallBody = 16 << 10
	// maxRevisions and maxRevisionsBody are for requests by id, of 25 bytes each.
	maxRevisions     = 16384
	maxRevisionsBody = 512 << 10
	// maxHeartbeat is enough for 1,024 receipts of orders, of some 300 bytes each.
	maxHeartbeat = 512 << 10
	// PageExtents is how many extents one response carries at most.
	PageExtents = 2048
	callTimeout = 30 * time.Second
	pageTimeout = 60 * time.Second
)

// Endpoints of the server.
var (
	GetInfo = Endpoint[Empty, ServiceInfo]{Info{
		ID: "getInfo", Method: "GET", Path: "/api/v1/info", Timeout: callTimeout,
		Summary: "What this service allows: greatest size, days, and what is free."}}

	OpenUpload = Endpoint[OpenUploadRequest, UploadGrant]{Info{
		ID: "openUpload", Method: "POST", Path: "/api/v1/uploads", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Reserve bytes and get a ticket to store blobs.",
		Codes:   []Code{OverLimit, NoCapacity, NoPlacement, RateLimited}}}
	GetUpload = Endpoint[Empty, UploadGrant]{Info{
		ID: "getUpload", Method: "GET", Path: "/api/v1/uploads/{upload}", Auth: AuthUpload, Timeout: callTimeout,
		Summary: "An open upload's state with a fresh ticket: to resume, or when the ticket runs out.",
		Codes:   []Code{UploadUnknown, UploadClosed, NoPlacement}}}
	ExtendUpload = Endpoint[ExtendUploadRequest, UploadGrant]{Info{
		ID: "extendUpload", Method: "POST", Path: "/api/v1/uploads/{upload}/budget", Auth: AuthUpload, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Raise the byte budget of an open upload.",
		Codes:   []Code{UploadUnknown, UploadClosed, OverLimit, OverQuota, NoCapacity, NoPlacement}}}
	StagePage = Endpoint[Page, Empty]{Info{
		ID: "stagePage", Method: "PUT", Path: "/api/v1/uploads/{upload}/pages/{page}", Auth: AuthUpload, MaxBody: MaxPage, MaxEntries: maxPageEntries, Timeout: pageTimeout,
		Summary: "Stage one page of blobs, receipts and revisions. Pages are numbered from 0; the same page may be sent again.",
		Codes:   []Code{UploadUnknown, UploadClosed, ReceiptInvalid, RevisionInvalid, OverLimit, NoCapacity}}}
	CommitUpload = Endpoint[CommitRequest, CommitResponse]{Info{
		ID: "commitUpload", Method: "POST", Path: "/api/v1/uploads/{upload}/commit", Auth: AuthUpload, MaxBody: MaxPage, MaxEntries: maxPageEntries, Timeout: pageTimeout,
		Summary: "Make everything visible in one transaction. The same request sent again gets the same answer.",
		Codes:   []Code{UploadUnknown, UploadClosed, CommitConflict, PageMissing, ReceiptInvalid, ReceiptsMissing, RevisionInvalid, OverLimit, LinkExists}}}
	AbandonUpload = Endpoint[Empty, Empty]{Info{
		ID: "abandonUpload", Method: "DELETE", Path: "/api/v1/uploads/{upload}", Auth: AuthUpload, Timeout: callTimeout,
		Summary: "Give an open upload up; its blobs are ordered away.",
		Codes:   []Code{UploadUnknown, UploadClosed}}}

	LookLink = Endpoint[LinkAuth, LinkLook]{Info{
		ID: "lookLink", Method: "POST", Path: "/api/v1/links/{handle}/look", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "The link's sealed record, and for a bundle its listing. Not counted as a download.",
		Codes:   linkCodes}}
	StartSession = Endpoint[LinkAuth, LinkSession]{Info{
		ID: "startSession", Method: "POST", Path: "/api/v1/links/{handle}/sessions", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Start a download: counted once, good for 24 hours.",
		Codes:   linkCodes}}
	GetRevisions = Endpoint[RevisionsRequest, RevisionsPage]{Info{
		ID: "getRevisions", Method: "POST", Path: "/api/v1/links/{handle}/revisions", MaxBody: maxRevisionsBody, MaxEntries: maxRevisions, Timeout: pageTimeout,
		Summary: "Revision records with release keys, places and read tickets.",
		Codes:   append([]Code{SessionInvalid}, linkCodes...)}}
	GetExtents = Endpoint[ExtentsRequest, ExtentsPage]{Info{
		ID: "getExtents", Method: "POST", Path: "/api/v1/links/{handle}/extents", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "More extents of one revision, or fresh tickets for them.",
		Codes:   append([]Code{SessionInvalid}, linkCodes...)}}
	LinkStatus = Endpoint[Empty, LinkState]{Info{
		ID: "linkStatus", Method: "GET", Path: "/api/v1/links/{handle}", Auth: AuthManage, Timeout: callTimeout,
		Summary: "For the sender: expiry, downloads, copies.",
		Codes:   []Code{NotFound, Unauthorized}}}
	RevokeLink = Endpoint[Empty, Empty]{Info{
		ID: "revokeLink", Method: "DELETE", Path: "/api/v1/links/{handle}", Auth: AuthManage, Timeout: callTimeout,
		Summary: "Revoke a link for good: its release keys are destroyed and its blobs ordered away. Repeating is harmless.",
		Codes:   []Code{NotFound, Unauthorized}}}

	JoinNode = Endpoint[JoinRequest, JoinResponse]{Info{
		ID: "joinNode", Method: "POST", Path: "/api/v1/nodes", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Join the fleet with an invite and a signed declaration. A member's declaration may be renewed without one.",
		Codes:   []Code{InviteInvalid, DeclarationInvalid}}}
	Heartbeat = Endpoint[HeartbeatRequest, HeartbeatResponse]{Info{
		ID: "heartbeat", Method: "POST", Path: "/api/v1/nodes/heartbeat", MaxBody: maxHeartbeat, Timeout: callTimeout,
		Summary: "A node reports itself, hands in receipts of orders and takes new ones.",
		Codes:   []Code{NodeUnknown, HeartbeatInvalid}}}
)

var linkCodes = []Code{NotFound, WrongKey, RateLimited, LinkExpired, LinkUsedUp, LinkRevoked}

// ServiceInfo is what anyone may know.
type ServiceInfo struct {
	// Protocol is Version; Software the program's version.
	Protocol string `json:"protocol"`
	Software string `json:"software"`
	Limits   Limits `json:"limits"`
	// Fleet changes when the set of nodes does. A page whose own value differs
	// may be forbidden by its content security policy to reach a node.
	Fleet string `json:"fleet"`
	// Nodes are those that serve now.
	Nodes []Node `json:"nodes"`
	// Accepting tells whether uploads find enough disjoint nodes now.
	Accepting bool `json:"accepting"`
}

// Limits of sends without an account.
type Limits struct {
	MaxUploadBytes int64 `json:"maxUploadBytes"`
	DefaultDays    int   `json:"defaultDays"`
	MaxDays        int   `json:"maxDays"`
	MaxDownloads   int64 `json:"maxDownloads"`
	// FreeBytes is what can be reserved at this moment.
	FreeBytes int64 `json:"freeBytes"`
}

// Node is a node as clients see it. Operator and jurisdiction are inside the
// declaration, an envelope that the node signed: a client checks it, and that
// the node's id is the key id of the public key in it, and believes nothing else.
type Node struct {
	ID          id.Node `json:"id"`
	URL         string  `json:"url"`
	Declaration string  `json:"declaration"`
}

// OpenUploadRequest asks to store Bytes bytes of ciphertext. Zero is allowed
// where the length is not known yet.
type OpenUploadRequest struct {
	Bytes int64 `json:"bytes"`
	// Days is the life that the link shall have; limits are checked before byte 1.
	Days int `json:"days"`
}

// UploadGrant is an open upload: the ticket, and who the nodes in it are.
type UploadGrant struct {
	Upload id.Upload `json:"upload"`
	// Secret authorises every later call for this upload; only OpenUpload returns it.
	Secret string `json:"secret,omitempty"`
	// Ticket is an envelope of type upload-ticket.
	Ticket  string `json:"ticket"`
	Nodes   []Node `json:"nodes"`
	Budget  int64  `json:"budget"`
	Expires int64  `json:"expires"` // of the ticket, Unix seconds
	Closes  int64  `json:"closes"`  // of the upload, Unix seconds
	Limits  Limits `json:"limits"`
	Fleet   string `json:"fleet"`
}

// ExtendUploadRequest asks for a budget of Bytes in all.
type ExtendUploadRequest struct {
	Bytes int64 `json:"bytes"`
}

// Page is part of what an upload brings. Blobs are numbered through all pages of
// the upload in order, from 0; extents refer to those numbers, also of other pages.
type Page struct {
	Blobs []BlobEntry `json:"blobs,omitempty"`
	// Receipts are envelopes of type receipt, for blobs of this page or others.
	Receipts  []string        `json:"receipts,omitempty"`
	Revisions []RevisionEntry `json:"revisions,omitempty"`
}

// BlobEntry is a blob that the upload stored.
type BlobEntry struct {
	Name id.Name `json:"name"`
	Size int64   `json:"size"`
}

// RevisionEntry is a revision to be committed.
type RevisionEntry struct {
	RevisionHead
	// Extents: [number of the blob, offset, length].
	Extents []Extent `json:"extents"`
}

// RevisionHead is what the server keeps of a revision besides its places.
type RevisionHead struct {
	ID         id.Revision `json:"id"`
	ReleaseKey id.Bytes32  `json:"releaseKey"`
	Commitment id.Bytes32  `json:"commitment"`
	Root       id.Bytes32  `json:"root"`
	Salt       id.Bytes32  `json:"salt"`
	// Prefix is the stream's nonce prefix: 7 bytes, base64url.
	Prefix string `json:"prefix"`
	// Length of the stream in bytes.
	Length int64 `json:"length"`
}

// Extent is a part of a blob: the blob's number, offset, length. JSON has an
// array of exactly three numbers.
type Extent [3]int64

// UnmarshalJSON refuses what encoding/json would fill up or cut.
func (e *Extent) UnmarshalJSON(raw []byte) error {
	if n := bytes.Count(raw, []byte{','}) + 1; n > len(e) {
		return fmt.Errorf("an extent has %d numbers, not %d", len(e), n)
	}
	var numbers []int64
	if err := json.Unmarshal(raw, &numbers); err != nil {
		return err
	}
	if len(numbers) != len(e) {
		return fmt.Errorf("an extent has %d numbers, not %d", len(e), len(numbers))
	}
	*e = Extent(numbers)
	return nil
}

// CommitRequest closes an upload. Pages is the number of staged pages; Page, the
// last one, may ride along.
type CommitRequest struct {
	Pages int      `json:"pages"`
	Page  Page     `json:"page"`
	Link  LinkSpec `json:"link"`
}

// LinkSpec is the link that a send makes. Every revision of the upload belongs to it.
type LinkSpec struct {
	Handle id.Handle `json:"handle"`
	// AuthHash and ManageHash: docs/format.md §11.
	AuthHash   id.Bytes32 `json:"authHash"`
	ManageHash id.Bytes32 `json:"manageHash"`
	// Record is the sealed link record, base64url.
	Record string `json:"record"`
	// Listing is the bundle's own revision, given out when looking.
	Listing id.Revision `json:"listing,omitzero"`
	// Expires in Unix seconds; the server rounds it up (docs/protocol.md).
	Expires int64 `json:"expires"`
	// Downloads is the limit, 0 for none.
	Downloads int64 `json:"downloads"`
}

// CommitResponse tells what now stands.
type CommitResponse struct {
	Expires int64  `json:"expires"`
	Copies  []Node `json:"copies"`
}

// LinkAuth carries the link's auth value (docs/format.md §11).
type LinkAuth struct {
	Auth id.Bytes32 `json:"auth"`
	// Session is the session's token: 32 random bytes as text, drawn by the client.
	// StartSession needs it, and with a token of a session that lives it counts
	// nothing and starts nothing new. LookLink takes it to let whoever started a
	// download look again when no downloads are left.
	Session string `json:"session,omitempty"`
}

// LinkLook is what looking shows.
type LinkLook struct {
	Record  string `json:"record"`
	Expires int64  `json:"expires"`
	// DownloadsLeft is absent where there is no limit.
	DownloadsLeft *int64 `json:"downloadsLeft,omitempty"`
	// Listing is the bundle's own revision with release key and tickets.
	Listing *RevisionsPage `json:"listing,omitempty"`
	// Copies are the nodes that hold the link's blobs.
	Copies []Node `json:"copies"`
}

// LinkSession is a started download.
type LinkSession struct {
	Expires       int64  `json:"expires"`
	DownloadsLeft *int64 `json:"downloadsLeft,omitempty"`
}

// RevisionsRequest asks for revisions by id (at most 16,384), or for all. When
// the answer's Next is not empty, the same request with it as Cursor goes on.
type RevisionsRequest struct {
	Session   string        `json:"session"`
	Revisions []id.Revision `json:"revisions,omitempty"`
	Cursor    string        `json:"cursor,omitempty"`
}

// RevisionsPage holds revisions and where their bytes are. At most PageExtents
// extents come in one answer; Next is not empty where more revisions follow.
type RevisionsPage struct {
	Places
	Revisions []PlacedRevision `json:"revisions"`
	Next      string           `json:"next,omitempty"`
}

// PlacedRevision is a revision with the first of its extents.
type PlacedRevision struct {
	RevisionHead
	// Extents: [index into Places.Blobs, offset, length]; ExtentCount is how many
	// the revision has in all, the rest comes from GetExtents.
	Extents     []Extent `json:"extents"`
	ExtentCount int      `json:"extentCount"`
}

// ExtentsRequest asks for Count extents of a revision from number From on.
type ExtentsRequest struct {
	// Session, or for a bundle's listing Auth instead.
	Session  string      `json:"session,omitempty"`
	Auth     id.Bytes32  `json:"auth,omitzero"`
	Revision id.Revision `json:"revision"`
	From     int         `json:"from"`
	Count    int         `json:"count"`
}

// ExtentsPage answers it: [index into Places.Blobs, offset, length].
type ExtentsPage struct {
	Places
	Extents     []Extent `json:"extents"`
	ExtentCount int      `json:"extentCount"`
}

// Places tells where blobs are and carries the right to read them.
type Places struct {
	Nodes   []Node        `json:"nodes"`
	Blobs   []PlacedBlob  `json:"blobs"`
	Tickets []PlaceTicket `json:"tickets"`
}

// PlacedBlob is a blob with its copies in order of health. Where an answer needs
// very many parts of one blob, it is listed several times, each with a ticket for
// some of them. Nodes is empty, and Ticket means nothing, when no node of the
// fleet has it any more.
type PlacedBlob struct {
	Upload id.Upload `json:"upload"`
	Name   id.Name   `json:"name"`
	Size   int64     `json:"size"`
	// Nodes are indexes into Places.Nodes, Ticket one into Places.Tickets.
	Nodes  []int `json:"nodes"`
	Ticket int   `json:"ticket"`
}

// PlaceTicket is an envelope of type read-ticket and its expiry in Unix seconds.
type PlaceTicket struct {
	Ticket  string `json:"ticket"`
	Expires int64  `json:"expires"`
}

// LinkState is what the sender may know.
type LinkState struct {
	// State: live, expired, used-up or revoked. Of a link that has ended nothing
	// else is known, and the numbers are 0.
	State     string `json:"state"`
	Expires   int64  `json:"expires"`
	Downloads int64  `json:"downloads"`
	Limit     int64  `json:"limit"`
	Bytes     int64  `json:"bytes"`
	Copies    []Node `json:"copies"`
}

// JoinRequest asks to become a member. Invite may be empty for a member.
type JoinRequest struct {
	Invite      string `json:"invite,omitempty"`
	Declaration string `json:"declaration"`
}

// JoinResponse gives the node what it pins: the keys of tickets and orders
// (Ed25519 public keys, base64url) and the database epoch.
type JoinResponse struct {
	Node      id.Node    `json:"node"`
	TicketKey id.Bytes32 `json:"ticketKey"`
	OrderKey  id.Bytes32 `json:"orderKey"`
	Epoch     int64      `json:"epoch"`
}

// HeartbeatRequest carries an envelope of type heartbeat and order receipts.
type HeartbeatRequest struct {
	Heartbeat string   `json:"heartbeat"`
	Receipts  []string `json:"receipts,omitempty"`
}

// HeartbeatResponse carries orders in the sequence of their numbers.
type HeartbeatResponse struct {
	Epoch  int64    `json:"epoch"`
	Orders []string `json:"orders,omitempty"`
	// More tells that further orders wait: come back at once.
	More bool `json:"more,omitempty"`
	// Time is the server's clock in Unix seconds, for the node's own warning.
	Time int64 `json:"time"`
}
