package api

import "holdfast/format/id"

const (
	// maxDriveCommit is the greatest body of a commit: an entry of 4 MiB as text,
	// heads beside it, and the last page of an upload.
	maxDriveCommit = 12 << 20
	// maxDriveEntries are the parts of a commit: entries, grants, heads and what a page has.
	maxDriveEntries = 1 << 17
	// MaxFolders is how many folders one request names at most.
	MaxFolders = 256
	// FolderBytes is how much of entries one answer carries at most, beyond the first.
	FolderBytes = 6 << 20
	// MaxCheckpointPages is how many pages one request keeps or asks for.
	MaxCheckpointPages = 4
)

// Endpoints of the drive. Envelopes and sealed records are base64url text without padding.
var (
	OpenDriveUpload = Endpoint[OpenDriveUploadRequest, UploadGrant]{Info{
		ID: "openDriveUpload", Method: "POST", Path: "/api/v1/drive/uploads", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Reserve bytes for files of the drive. What openUpload's other calls do, they do for this one; commitDrive closes it.",
		Codes:   []Code{AccountSessionOver, OverLimit, OverQuota, NoCapacity, NoPlacement, RateLimited}}}
	ReadFolders = Endpoint[ReadFoldersRequest, ReadFoldersResponse]{Info{
		ID: "readFolders", Method: "POST", Path: "/api/v1/drive/folders", Auth: AuthAccount, MaxBody: smallBody, MaxEntries: MaxFolders, Timeout: pageTimeout,
		Summary: "Heads of folders, and what their journals have beyond what the caller knows.",
		Codes:   []Code{AccountSessionOver}}}
	ReadCheckpoint = Endpoint[ReadCheckpointRequest, CheckpointPages]{Info{
		ID: "readCheckpoint", Method: "POST", Path: "/api/v1/drive/folders/{folder}/checkpoint", Auth: AuthAccount, MaxBody: smallBody, MaxEntries: MaxCheckpointPages, Timeout: pageTimeout,
		Summary: "Pages of a folder's newest checkpoint, by their hashes.",
		Codes:   []Code{AccountSessionOver, NotFound}}}
	KeepCheckpoint = Endpoint[CheckpointPages, Empty]{Info{
		ID: "keepCheckpoint", Method: "PUT", Path: "/api/v1/drive/folders/{folder}/checkpoint", Auth: AuthAccount, MaxBody: maxDriveCommit, MaxEntries: MaxCheckpointPages, Timeout: pageTimeout,
		Summary: "Keep pages for a checkpoint that an entry is going to name; a day at most without one.",
		Codes:   []Code{AccountSessionOver, NotFound, RoleTooLow, OverLimit}}}
	CommitDrive = Endpoint[CommitDriveRequest, CommitDriveResponse]{Info{
		ID: "commitDrive", Method: "POST", Path: "/api/v1/drive/commits", Auth: AuthAccount, MaxBody: maxDriveCommit, MaxEntries: maxDriveEntries, Timeout: pageTimeout,
		Summary: "Append to the journals of several folders, with the upload that they refer to and grants, at once or not at all. The same request sent again gets the same answer.",
		Codes: []Code{AccountSessionOver, HeadMoved, EntryInvalid, GrantInvalid, RoleTooLow, NotFound, RevisionUnknown, FolderExists, FolderMisplaced, PageMissing, OverLimit, OverQuota,
			CommitConflict, UploadUnknown, UploadClosed, ReceiptInvalid, ReceiptsMissing, RevisionInvalid,
			SessionInvalid, LinkExpired, LinkUsedUp, LinkRevoked}}}
	FolderRevisions = Endpoint[FolderRevisionsRequest, RevisionsPage]{Info{
		ID: "folderRevisions", Method: "POST", Path: "/api/v1/drive/folders/{folder}/revisions", Auth: AuthAccount, MaxBody: maxRevisionsBody, MaxEntries: maxRevisions, Timeout: pageTimeout,
		Summary: "Revisions that a folder holds, with release keys, places and read tickets.",
		Codes:   []Code{AccountSessionOver, NotFound}}}
	FolderExtents = Endpoint[FolderExtentsRequest, ExtentsPage]{Info{
		ID: "folderExtents", Method: "POST", Path: "/api/v1/drive/folders/{folder}/extents", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "More extents of one revision, or fresh tickets for them.",
		Codes:   []Code{AccountSessionOver, NotFound}}}
	GetDrive = Endpoint[Empty, DriveView]{Info{
		ID: "getDrive", Method: "GET", Path: "/api/v1/drive", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "What the account takes and may take, and the folders of others that it was granted.",
		Codes:   []Code{AccountSessionOver}}}
	FolderGrants = Endpoint[Empty, FolderGrantsResponse]{Info{
		ID: "folderGrants", Method: "GET", Path: "/api/v1/drive/folders/{folder}/grants", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "The grants that stand on a folder itself, for those who may read it.",
		Codes:   []Code{AccountSessionOver, NotFound}}}
)

// OpenDriveUploadRequest asks to store Bytes bytes of ciphertext; 0 where that is not
// known yet.
type OpenDriveUploadRequest struct {
	Bytes int64 `json:"bytes"`
}

// ReadFoldersRequest names folders, none twice.
type ReadFoldersRequest struct {
	Folders []FolderPoint `json:"folders"`
}

// FolderPoint is a folder and the seq of the last entry that the caller has, 0 for none.
type FolderPoint struct {
	Folder id.Folder `json:"folder"`
	After  int64     `json:"after"`
}

// ReadFoldersResponse has a part for each folder named, in their order.
type ReadFoldersResponse struct {
	Folders []FolderPart `json:"folders"`
}

// FolderPart is what a server gives of one folder's journal. It is believed in nothing:
// entries are verified, and the head is held against pins (docs/format.md §21, §26).
type FolderPart struct {
	Folder id.Folder `json:"folder"`
	// Missing: there is no such folder, or the caller may not read it. Nothing else is set.
	Missing bool `json:"missing,omitempty"`
	// Seq, Hash and Epoch are those of the journal's last entry.
	Seq   int64      `json:"seq,omitempty"`
	Hash  id.Bytes32 `json:"hash,omitzero"`
	Epoch int64      `json:"epoch,omitempty"`
	// Role of the caller: reader, writer or admin.
	Role string `json:"role,omitempty"`
	// Pages are the hashes of the newest checkpoint, where After was 0 and there is
	// one; the first of Entries is then the entry that names them.
	Pages []id.Bytes32 `json:"pages,omitempty"`
	// Entries are envelopes in sequence: those after After, or from the checkpoint on.
	// More tells that others follow: the caller asks again from the last one on.
	Entries []string `json:"entries,omitempty"`
	More    bool     `json:"more,omitempty"`
}

// ReadCheckpointRequest asks for pages by their hashes.
type ReadCheckpointRequest struct {
	Pages []id.Bytes32 `json:"pages"`
}

// CheckpointPages are sealed pages, in the order in which they were asked for.
type CheckpointPages struct {
	Pages []string `json:"pages"`
}

// CommitDriveRequest is one change of the drive.
type CommitDriveRequest struct {
	// Key tells this commit from others: 16 random bytes as text. A request with a key
	// that was used is answered as then, or refused with CommitConflict if it differs.
	Key id.Commit `json:"key"`
	// Unchanged are heads of folders that this commit takes for granted.
	Unchanged []FolderHead `json:"unchanged,omitempty"`
	// Entries are envelopes, those of one folder in their sequence. Roots are the ids of
	// new folders among them that lie in no other: they become the caller's own.
	Entries []string    `json:"entries"`
	Roots   []id.Folder `json:"roots,omitempty"`
	// Grants are envelopes; they are signed in the epochs in which the entries leave the folders.
	Grants []string `json:"grants,omitempty"`
	// From are sessions of links whose revisions entries refer to: what is saved to a
	// drive from a link.
	From []LinkSource `json:"from,omitempty"`
	// Upload brings the revisions that entries refer to and no folder holds yet.
	Upload *DriveUpload `json:"upload,omitempty"`
}

// LinkSource is a link with a session of it that is alive.
type LinkSource struct {
	Handle  id.Handle `json:"handle"`
	Session string    `json:"session"`
}

// FolderHead is the last entry of a folder's journal.
type FolderHead struct {
	Folder id.Folder  `json:"folder"`
	Seq    int64      `json:"seq"`
	Hash   id.Bytes32 `json:"hash"`
}

// DriveUpload closes an upload of openDriveUpload: Pages staged pages, and Page, the last.
type DriveUpload struct {
	Upload id.Upload `json:"upload"`
	Secret string    `json:"secret"`
	Pages  int       `json:"pages"`
	Page   Page      `json:"page"`
}

// CommitDriveResponse tells where the upload's blobs stand, if there was one.
type CommitDriveResponse struct {
	Copies []Node `json:"copies"`
}

// FolderRevisionsRequest asks for revisions by id. When the answer's Next is not empty,
// the same request with it as Cursor goes on.
type FolderRevisionsRequest struct {
	Revisions []id.Revision `json:"revisions"`
	Cursor    string        `json:"cursor,omitempty"`
}

// FolderExtentsRequest asks for Count extents of a revision from number From on.
type FolderExtentsRequest struct {
	Revision id.Revision `json:"revision"`
	From     int         `json:"from"`
	Count    int         `json:"count"`
}

// DriveView is what the server counts of an account's drive.
type DriveView struct {
	// Bytes that the account's folders hold, padded and sealed, each revision once; and
	// the most that they may. Reserved are those of open uploads.
	Bytes    int64 `json:"bytes"`
	Reserved int64 `json:"reserved"`
	Quota    int64 `json:"quota"`
	// Granted are folders of others, by the grant itself and not by one above.
	Granted []GrantedFolder `json:"granted"`
}

// GrantedFolder is a folder of somebody else and the grant that opens it.
type GrantedFolder struct {
	Folder id.Folder `json:"folder"`
	Grant  string    `json:"grant"`
}

// FolderGrantsResponse has envelopes of grants, revoked ones left out.
type FolderGrantsResponse struct {
	Grants []string `json:"grants"`
}
