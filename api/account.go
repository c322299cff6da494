package api

import "holdfast/format/id"

// Endpoints of accounts. Byte strings are base64url text without padding.
var (
	BeginSignUp = Endpoint[BeginSignUpRequest, SignUpChallenge]{Info{
		ID: "beginSignUp", Method: "POST", Path: "/api/v1/accounts/begin", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Begin to sign up: OPAQUE's registration, and work to prove."}}
	SignUp = Endpoint[SignUpRequest, Empty]{Info{
		ID: "signUp", Method: "POST", Path: "/api/v1/accounts", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Make the account and its first session.",
		Codes:   []Code{NameTaken, WorkInvalid, StepInvalid}}}
	BeginLogin = Endpoint[BeginLoginRequest, LoginChallenge]{Info{
		ID: "beginLogin", Method: "POST", Path: "/api/v1/logins/begin", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Begin to log in: OPAQUE's KE1 for KE2. A name that nobody has gets an answer like any other.",
		Codes:   []Code{RateLimited}}}
	Login = Endpoint[LoginRequest, AccountAccess]{Info{
		ID: "login", Method: "POST", Path: "/api/v1/logins", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "End a login with KE3: the session begins, and the password's wrap is released.",
		Codes:   []Code{LoginFailed, StepInvalid}}}
	BeginRecovery = Endpoint[BeginRecoveryRequest, RecoveryChallenge]{Info{
		ID: "beginRecovery", Method: "POST", Path: "/api/v1/recoveries/begin", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Release the phrase's wrap against the phrase's auth value, and register a new password.",
		Codes:   []Code{LoginFailed, RateLimited}}}
	Recover = Endpoint[RecoverRequest, Empty]{Info{
		ID: "recover", Method: "POST", Path: "/api/v1/recoveries", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Set the new password: all sessions end, and one begins.",
		Codes:   []Code{LoginFailed, StepInvalid}}}
	GetAccount = Endpoint[Empty, AccountView]{Info{
		ID: "getAccount", Method: "GET", Path: "/api/v1/account", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "The session's account, and all of its sessions.",
		Codes:   []Code{AccountSessionOver}}}
	EndSession = Endpoint[Empty, Empty]{Info{
		ID: "endSession", Method: "DELETE", Path: "/api/v1/account/sessions/{session}", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "End one of the account's sessions.",
		Codes:   []Code{AccountSessionOver, NotFound}}}
	BeginPassword = Endpoint[BeginPasswordRequest, PasswordChallenge]{Info{
		ID: "beginPassword", Method: "POST", Path: "/api/v1/account/password/begin", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Begin to change the password.",
		Codes:   []Code{AccountSessionOver}}}
	ChangePassword = Endpoint[ChangePasswordRequest, Empty]{Info{
		ID: "changePassword", Method: "POST", Path: "/api/v1/account/password", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Change the password, and end all other sessions if asked.",
		Codes:   []Code{AccountSessionOver, StepInvalid}}}
	EraseAccount = Endpoint[EraseAccountRequest, Empty]{Info{
		ID: "eraseAccount", Method: "POST", Path: "/api/v1/account/erase", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Remove the account for good. It is named once more, so that nobody does it by mistake.",
		Codes:   []Code{AccountSessionOver}}}
)

// BeginSignUpRequest names an account to be, with OPAQUE's registration request.
type BeginSignUpRequest struct {
	Name    string `json:"name"`
	Request string `json:"request"`
}

// SignUpChallenge is OPAQUE's response, and what SHA-256 of challenge and nonce has to
// begin with: so many zero bits (docs/format.md §17).
type SignUpChallenge struct {
	Response  string `json:"response"`
	Challenge string `json:"challenge"`
	Bits      int    `json:"bits"`
}

// AccountCredential is what changes with the password: OPAQUE's record, and the root
// key of an identity epoch under its export key.
type AccountCredential struct {
	Record string `json:"record"`
	Wrap   string `json:"wrap"`
	Epoch  int64  `json:"epoch"`
}

// AccountSession is a session that begins: a token that the client drew, and a label
// by which people know it.
type AccountSession struct {
	Token id.Bytes32 `json:"token"`
	Label string     `json:"label"`
}

// SignUpRequest is all that the server will know of an account.
type SignUpRequest struct {
	Challenge string `json:"challenge"`
	// Nonce is the proof of work, below 2^53.
	Nonce      int64             `json:"nonce"`
	Account    id.Account        `json:"account"`
	Credential AccountCredential `json:"credential"`
	PhraseWrap string            `json:"phraseWrap"`
	// PhraseHash is the hash of the phrase's auth value.
	PhraseHash id.Bytes32     `json:"phraseHash"`
	Identity   string         `json:"identity"`
	Session    AccountSession `json:"session"`
}

// BeginLoginRequest is OPAQUE's KE1 for a name.
type BeginLoginRequest struct {
	Name string `json:"name"`
	KE1  string `json:"ke1"`
}

// LoginChallenge is KE2, and what the client gives back with KE3.
type LoginChallenge struct {
	KE2   string `json:"ke2"`
	State string `json:"state"`
}

// LoginRequest is KE3.
type LoginRequest struct {
	State   string         `json:"state"`
	KE3     string         `json:"ke3"`
	Session AccountSession `json:"session"`
}

// AccountAccess is what a login, or a phrase, releases.
type AccountAccess struct {
	Account  id.Account `json:"account"`
	Epoch    int64      `json:"epoch"`
	Wrap     string     `json:"wrap"`
	Identity string     `json:"identity"`
}

// BeginRecoveryRequest shows the phrase's auth value, with OPAQUE's registration
// request for a new password.
type BeginRecoveryRequest struct {
	Name    string     `json:"name"`
	Auth    id.Bytes32 `json:"auth"`
	Request string     `json:"request"`
}

// RecoveryChallenge is what the phrase opens, and OPAQUE's response.
type RecoveryChallenge struct {
	Access   AccountAccess `json:"access"`
	State    string        `json:"state"`
	Response string        `json:"response"`
}

// RecoverRequest is the new password.
type RecoverRequest struct {
	State      string            `json:"state"`
	Credential AccountCredential `json:"credential"`
	Session    AccountSession    `json:"session"`
}

// AccountView is what the server stores of an account, but for what only a login
// releases, and its sessions.
type AccountView struct {
	Account  id.Account         `json:"account"`
	Epoch    int64              `json:"epoch"`
	Identity string             `json:"identity"`
	Day      int64              `json:"day"`
	Sessions []AccountSessionOf `json:"sessions"`
}

// AccountSessionOf is one session of an account. Its id is the hash of its token; days
// are since 1970-01-01 UTC.
type AccountSessionOf struct {
	ID      id.Bytes32 `json:"id"`
	Label   string     `json:"label"`
	Made    int64      `json:"made"`
	Used    int64      `json:"used"`
	Current bool       `json:"current"`
}

// BeginPasswordRequest is OPAQUE's registration request for a new password.
type BeginPasswordRequest struct {
	Request string `json:"request"`
}

// PasswordChallenge is OPAQUE's response, and what the client gives back.
type PasswordChallenge struct {
	Response string `json:"response"`
	State    string `json:"state"`
}

// ChangePasswordRequest is the new password.
type ChangePasswordRequest struct {
	State      string            `json:"state"`
	Credential AccountCredential `json:"credential"`
	EndOthers  bool              `json:"endOthers"`
}

// EraseAccountRequest names the account once more.
type EraseAccountRequest struct {
	Name string `json:"name"`
}
