package api

import "holdfast/format/id"

// Endpoints of links to what is in a drive.
var (
	ShareDrive = Endpoint[DriveLinkSpec, DriveLinkMade]{Info{
		ID: "shareDrive", Method: "POST", Path: "/api/v1/drive/links", Auth: AuthAccount, MaxBody: maxDriveLink, Timeout: callTimeout,
		Summary: "Make a link to a file or folder of a drive. The same link again is kept once.",
		Codes:   []Code{AccountSessionOver, NotFound, RoleTooLow, RevisionUnknown, GrantInvalid, LinkExists, OverLimit}}}
	ListDriveLinks = Endpoint[Empty, DriveLinks]{Info{
		ID: "listDriveLinks", Method: "GET", Path: "/api/v1/drive/links", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "The links that the account made and that have not ended.",
		Codes:   []Code{AccountSessionOver}}}
	UnlinkDrive = Endpoint[Empty, Empty]{Info{
		ID: "unlinkDrive", Method: "DELETE", Path: "/api/v1/drive/links/{handle}", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "Revoke a link that the account made. Repeating is harmless.",
		Codes:   []Code{AccountSessionOver, NotFound}}}
	LinkFolders = Endpoint[LinkFoldersRequest, ReadFoldersResponse]{Info{
		ID: "linkFolders", Method: "POST", Path: "/api/v1/links/{handle}/folders", MaxBody: smallBody, MaxEntries: MaxFolders, Timeout: pageTimeout,
		Summary: "What readFolders gives, for a session of a folder's link: the folder and all below it.",
		Codes:   append([]Code{SessionInvalid}, linkCodes...)}}
	LinkCheckpoint = Endpoint[LinkCheckpointRequest, CheckpointPages]{Info{
		ID: "linkCheckpoint", Method: "POST", Path: "/api/v1/links/{handle}/folders/{folder}/checkpoint", MaxBody: smallBody, MaxEntries: MaxCheckpointPages, Timeout: pageTimeout,
		Summary: "What readCheckpoint gives, for a session of a folder's link.",
		Codes:   append([]Code{SessionInvalid}, linkCodes...)}}
)

// maxDriveLink is a record of 64 KiB as text, a grant, and what the owner keeps.
const maxDriveLink = 128 << 10

// DriveLinkSpec is a link to be made: of revisions that a folder holds, or of the whole
// folder.
type DriveLinkSpec struct {
	Handle id.Handle `json:"handle"`
	// AuthHash: docs/format.md §11.
	AuthHash id.Bytes32 `json:"authHash"`
	// Record is the sealed link record, base64url.
	Record string    `json:"record"`
	Folder id.Folder `json:"folder"`
	// Revisions are the file's, 1 to 16; none for a link to the folder.
	Revisions []id.Revision `json:"revisions,omitempty"`
	// Grant, for a link to the folder alone: an envelope that grants it to the handle.
	Grant string `json:"grant,omitempty"`
	// Expires in Unix seconds, 0 for never. Downloads is the limit, 0 for none.
	Expires   int64 `json:"expires"`
	Downloads int64 `json:"downloads"`
	// Own is what the owner wants to know of the link later, sealed: 4 KiB at most.
	Own string `json:"own"`
}

// DriveLinkMade tells when the link ends: 0 for never.
type DriveLinkMade struct {
	Expires int64 `json:"expires"`
}

// DriveLinks are at most 4,096, the newest first.
type DriveLinks struct {
	Links []DriveLink `json:"links"`
}

// DriveLink is one of the account's links.
type DriveLink struct {
	Handle    id.Handle `json:"handle"`
	Folder    id.Folder `json:"folder"`
	Own       string    `json:"own"`
	Expires   int64     `json:"expires"`
	Downloads int64     `json:"downloads"`
	Limit     int64     `json:"limit"`
}

// LinkFoldersRequest is ReadFoldersRequest with a link's session.
type LinkFoldersRequest struct {
	Session string        `json:"session"`
	Folders []FolderPoint `json:"folders"`
}

// LinkCheckpointRequest is ReadCheckpointRequest with a link's session.
type LinkCheckpointRequest struct {
	Session string       `json:"session"`
	Pages   []id.Bytes32 `json:"pages"`
}
