package api

import (
	"fmt"
	"strings"

	"holdfast/format/descriptor"
)

// Code is the stable name of a problem. Codes are never reused for another meaning.
type Code string

// Codes. Each has its HTTP status in the table below.
const (
	BadRequest         Code = "bad-request"
	BodyTooLarge       Code = "body-too-large"
	UnknownVersion     Code = "unknown-version"
	NotFound           Code = "not-found"
	MethodNotAllowed   Code = "method-not-allowed"
	Unauthorized       Code = "unauthorized"
	RateLimited        Code = "rate-limited"
	Unavailable        Code = "unavailable"
	Internal           Code = "internal"
	OverLimit          Code = "over-limit"
	NoCapacity         Code = "no-capacity"
	NoPlacement        Code = "no-placement"
	UploadUnknown      Code = "upload-unknown"
	UploadClosed       Code = "upload-closed"
	CommitConflict     Code = "commit-conflict"
	PageMissing        Code = "page-missing"
	ReceiptInvalid     Code = "receipt-invalid"
	ReceiptsMissing    Code = "receipts-missing"
	RevisionInvalid    Code = "revision-invalid"
	LinkExists         Code = "link-exists"
	WrongKey           Code = "wrong-key"
	LinkExpired        Code = "link-expired"
	LinkUsedUp         Code = "link-used-up"
	LinkRevoked        Code = "link-revoked"
	SessionInvalid     Code = "session-invalid"
	NameTaken          Code = "name-taken"
	WorkInvalid        Code = "work-invalid"
	StepInvalid        Code = "step-invalid"
	LoginFailed        Code = "login-failed"
	AccountSessionOver Code = "account-session-over"
	CodeNeeded         Code = "code-needed"
	CodeWrong          Code = "code-wrong"
	NewCodeWrong       Code = "new-code-wrong"
	NoFactor           Code = "no-factor"
	OverQuota          Code = "over-quota"
	HeadMoved          Code = "head-moved"
	EntryInvalid       Code = "entry-invalid"
	GrantInvalid       Code = "grant-invalid"
	RoleTooLow         Code = "role-too-low"
	RevisionUnknown    Code = "revision-unknown"
	FolderExists       Code = "folder-exists"
	FolderMisplaced    Code = "folder-misplaced"
	InviteInvalid      Code = "invite-invalid"
	DeclarationInvalid Code = "declaration-invalid"
	NodeUnknown        Code = "node-unknown"
	HeartbeatInvalid   Code = "heartbeat-invalid"
	TicketInvalid      Code = "ticket-invalid"
	TicketExpired      Code = "ticket-expired"
	TicketOtherNode    Code = "ticket-other-node"
	TicketSpent        Code = "ticket-spent"
	BlobUnknown        Code = "blob-unknown"
	BlobMismatch       Code = "blob-mismatch"
	RangeInvalid       Code = "range-invalid"
	ReadOnly           Code = "read-only"
	NodeIO             Code = "node-io"
	ForwardFailed      Code = "forward-failed"
)

// statuses is the one table from codes to HTTP status and title.
var statuses = map[Code]struct {
	status int
	title  string
}{
	BadRequest:         {400, "The request is not understood"},
	BodyTooLarge:       {413, "The request body is too large"},
	UnknownVersion:     {400, "This protocol version is not spoken here"},
	NotFound:           {404, "There is no such thing"},
	MethodNotAllowed:   {405, "This address does not take that method"},
	Unauthorized:       {401, "The secret is missing or wrong"},
	RateLimited:        {429, "Too many tries; wait a little"},
	Unavailable:        {503, "The service cannot answer now"},
	Internal:           {500, "Something failed here"},
	OverLimit:          {422, "More than this service allows"},
	NoCapacity:         {507, "The service has no room for this now"},
	NoPlacement:        {503, "Too few independent nodes are there to keep two copies"},
	UploadUnknown:      {404, "There is no such upload"},
	UploadClosed:       {409, "This upload is closed"},
	CommitConflict:     {409, "This upload was committed with other content"},
	PageMissing:        {409, "A staged page is missing"},
	ReceiptInvalid:     {422, "A receipt does not hold"},
	ReceiptsMissing:    {422, "Not every blob has receipts from two independent nodes"},
	RevisionInvalid:    {422, "A revision does not hold together"},
	LinkExists:         {409, "A link with this handle exists"},
	WrongKey:           {403, "The key or password is wrong"},
	LinkExpired:        {410, "This link has expired"},
	LinkUsedUp:         {410, "This link's downloads are used up"},
	LinkRevoked:        {410, "The sender has revoked this link"},
	SessionInvalid:     {403, "This download session is over"},
	NameTaken:          {409, "Somebody has this name"},
	WorkInvalid:        {403, "The proof of work is wrong"},
	StepInvalid:        {409, "This step is no longer good; begin again"},
	LoginFailed:        {403, "Wrong name or password"},
	AccountSessionOver: {401, "The session has ended; log in again"},
	CodeNeeded:         {403, "A code of the second factor is needed"},
	CodeWrong:          {403, "The code is wrong, or was used already"},
	NewCodeWrong:       {403, "The code is none of the new second factor"},
	NoFactor:           {409, "The account has no second factor"},
	OverQuota:          {507, "This is more than the account may store"},
	HeadMoved:          {409, "A folder was changed meanwhile"},
	EntryInvalid:       {422, "A journal entry does not hold"},
	GrantInvalid:       {422, "A grant does not hold"},
	RoleTooLow:         {403, "Your role in this folder does not allow this"},
	RevisionUnknown:    {422, "A revision is neither new nor in a folder that you may read"},
	FolderExists:       {409, "There is a folder of this id"},
	FolderMisplaced:    {422, "A folder would lie nowhere, twice, or in somebody else's drive"},
	InviteInvalid:      {403, "The invite is unknown, used or expired"},
	DeclarationInvalid: {422, "The node's declaration does not hold"},
	NodeUnknown:        {403, "This node is not a member"},
	HeartbeatInvalid:   {422, "The heartbeat does not hold"},
	TicketInvalid:      {403, "The ticket does not hold"},
	TicketExpired:      {403, "The ticket has expired"},
	TicketOtherNode:    {403, "The ticket is for another node"},
	TicketSpent:        {403, "The ticket's bytes are spent"},
	BlobUnknown:        {404, "This node does not have that blob"},
	BlobMismatch:       {422, "The bytes do not match the blob's name"},
	RangeInvalid:       {416, "That range is not within the blob"},
	ReadOnly:           {507, "This node takes no more data"},
	NodeIO:             {500, "This node's disk failed"},
	ForwardFailed:      {502, "No other node could be made to store the blob"},
}

// Problem is an RFC 9457 problem document with a stable code.
type Problem struct {
	// Type is urn:holdfast:problem:<code>.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong and what to do, without secrets.
	Detail string `json:"detail,omitempty"`
	Code   Code   `json:"code"`
	// RetryAfter in seconds, where waiting helps.
	RetryAfter int `json:"retryAfter,omitempty"`
}

// NewProblem makes the problem for a code.
func NewProblem(code Code, format string, args ...any) *Problem {
	row, known := statuses[code]
	if !known {
		row, code = statuses[Internal], Internal
	}
	return &Problem{
		Type: "urn:holdfast:problem:" + string(code), Title: row.title, Status: row.status,
		Detail: fmt.Sprintf(format, args...), Code: code,
	}
}

// maxShown bounds how much of a problem's text Error shows, in bytes.
const maxShown = 1000

// Error is the problem in one line. All of it is the other side's word, which
// may be hostile: what could steer a terminal or begin a line is escaped.
func (p *Problem) Error() string {
	text := fmt.Sprintf("%s: %s", p.Title, p.Detail)
	if p.Detail == "" {
		text = p.Title
	}
	return fmt.Sprintf("%s (%s)", shown(text), shown(string(p.Code)))
}

func shown(text string) string {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return descriptor.Display(text)
}

// Is lets errors.Is(err, api.LinkExpired) work.
func (p *Problem) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == p.Code
}

// Error makes a Code usable as a target of errors.Is.
func (c Code) Error() string { return string(c) }
