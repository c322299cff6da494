package api

import "reflect"

// Party is who answers an endpoint.
type Party string

// Parties.
const (
	Server  Party = "server"
	Storage Party = "node"
)

// Described is an endpoint with what the generators need to know of it.
type Described struct {
	Info
	Party Party
	// Request and Response are nil where there is no body, or bytes.
	Request, Response reflect.Type
	// RequestType and ResponseType are content types, empty where there is no body.
	RequestType, ResponseType string
	// Headers and Query are what the endpoint reads besides Authorization.
	Headers, Query []Param
}

// Param is a header or a query parameter.
type Param struct {
	Name     string
	About    string
	Required bool
}

// All lists every endpoint of the protocol, in the order of docs/protocol.md.
func All() []Described {
	return []Described{
		GetInfo.describe(Server),
		OpenUpload.describe(Server), GetUpload.describe(Server), ExtendUpload.describe(Server),
		StagePage.describe(Server), CommitUpload.describe(Server), AbandonUpload.describe(Server),
		LookLink.describe(Server), StartSession.describe(Server), GetRevisions.describe(Server),
		GetExtents.describe(Server), LinkStatus.describe(Server), RevokeLink.describe(Server),
		BeginSignUp.describe(Server), SignUp.describe(Server), BeginLogin.describe(Server), Login.describe(Server),
		BeginRecovery.describe(Server), Recover.describe(Server), GetAccount.describe(Server), EndSession.describe(Server),
		EndOthers.describe(Server), BeginPassword.describe(Server), ChangePassword.describe(Server), RenameAccount.describe(Server),
		SetFactor.describe(Server), SetCodes.describe(Server), DropFactor.describe(Server), ExportAccount.describe(Server), EraseAccount.describe(Server),
		OpenDriveUpload.describe(Server), ReadFolders.describe(Server), ReadCheckpoint.describe(Server), KeepCheckpoint.describe(Server),
		CommitDrive.describe(Server), FolderRevisions.describe(Server), FolderExtents.describe(Server), GetDrive.describe(Server), FolderGrants.describe(Server),
		ShareDrive.describe(Server), ListDriveLinks.describe(Server), UnlinkDrive.describe(Server), LinkFolders.describe(Server), LinkCheckpoint.describe(Server),
		SendMessage.describe(Server), ListMessages.describe(Server), DropMessage.describe(Server), GetIdentity.describe(Server),
		JoinNode.describe(Server), Heartbeat.describe(Server),
		describePutBlob(), describeGetBlob(), describeForward(),
		ListReceipts.describe(Storage), GetHealth.describe(Storage),
	}
}

func (e Endpoint[Req, Res]) describe(party Party) Described {
	d := Described{Info: e.Info, Party: party, Headers: []Param{versionHeader}}
	if req := reflect.TypeFor[Req](); req != reflect.TypeFor[Empty]() {
		d.Request, d.RequestType = req, TypeJSON
	}
	if res := reflect.TypeFor[Res](); res != reflect.TypeFor[Empty]() {
		d.Response, d.ResponseType = res, TypeJSON
	}
	return d
}

var versionHeader = Param{Name: HeaderVersion, About: "The protocol's version: " + Version, Required: true}

func describePutBlob() Described {
	return Described{
		Info: PutBlob, Party: Storage, RequestType: TypeBytes,
		Response: reflect.TypeFor[Event](), ResponseType: TypeEvents,
		Headers: []Param{
			versionHeader,
			{Name: HeaderTicket, About: "Upload ticket", Required: true},
			{Name: HeaderBlob, About: "Name of the blob", Required: true},
			{Name: HeaderChain, About: "Index of the ticket's chain that is used", Required: true},
			{Name: HeaderCopies, About: "How many copies this node is to obtain, its own included", Required: true},
		},
	}
}

func describeGetBlob() Described {
	return Described{
		Info: GetBlob, Party: Storage, ResponseType: TypeBytes,
		Query: []Param{
			{Name: "v", About: "The protocol's version: " + Version, Required: true},
			{Name: "upload", About: "Id of the upload that brought the blob", Required: true},
			{Name: "ticket", About: "Read ticket", Required: true},
			{Name: "offset", About: "First byte of a part; with length, the answer is a slice with proof (" + TypeSlice + ")"},
			{Name: "length", About: "Bytes of a part"},
		},
	}
}

func describeForward() Described {
	return Described{
		Info: ForwardBlobs, Party: Storage,
		Request: reflect.TypeFor[ForwardRequest](), RequestType: TypeJSON,
		Response: reflect.TypeFor[Event](), ResponseType: TypeEvents,
		Headers: []Param{versionHeader},
	}
}
