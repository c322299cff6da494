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
		Codes:   []Code{LoginFailed, StepInvalid, CodeNeeded, CodeWrong, RateLimited}}}
	BeginRecovery = Endpoint[BeginRecoveryRequest, RecoveryChallenge]{Info{
		ID: "beginRecovery", Method: "POST", Path: "/api/v1/recoveries/begin", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Release the phrase's wrap against the phrase's auth value, and register a new password.",
		Codes:   []Code{LoginFailed, CodeNeeded, CodeWrong, RateLimited}}}
	Recover = Endpoint[RecoverRequest, Empty]{Info{
		ID: "recover", Method: "POST", Path: "/api/v1/recoveries", MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Set the new password: all sessions end, and one begins.",
		Codes:   []Code{LoginFailed, StepInvalid}}}
	GetAccount = Endpoint[Empty, AccountView]{Info{
		ID: "getAccount", Method: "GET", Path: "/api/v1/account", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "The session's account, and all of its sessions.",
		Codes:   []Code{AccountSessionOver}}}
	GetIdentity = Endpoint[Empty, IdentityView]{Info{
		ID: "getIdentity", Method: "GET", Path: "/api/v1/accounts/{account}/identity", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "The signed public identity of an account, by its handle. Whoever asks holds it against a contact code or a pin.",
		Codes:   []Code{AccountSessionOver, NotFound}}}
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
		Summary: "Change the password, for who proves the old one, and end all other sessions if asked.",
		Codes:   proofCodes}}
	RenameAccount = Endpoint[RenameAccountRequest, Empty]{Info{
		ID: "renameAccount", Method: "POST", Path: "/api/v1/account/name", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Change the name, for who proves the password: with a sign-up's challenge and work for the new one.",
		Codes:   append([]Code{NameTaken, WorkInvalid}, proofCodes...)}}
	EndOthers = Endpoint[Empty, SessionsEnded]{Info{
		ID: "endOthers", Method: "DELETE", Path: "/api/v1/account/sessions", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "End all of the account's sessions but the caller's.",
		Codes:   []Code{AccountSessionOver}}}
	SetFactor = Endpoint[SetFactorRequest, RecoveryCodes]{Info{
		ID: "setFactor", Method: "POST", Path: "/api/v1/account/factor", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Set a second factor, of which one code is shown, and get recovery codes.",
		Codes:   append([]Code{NewCodeWrong}, proofCodes...)}}
	SetCodes = Endpoint[AccountProofRequest, RecoveryCodes]{Info{
		ID: "setCodes", Method: "POST", Path: "/api/v1/account/factor/codes", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Get other recovery codes; the old ones end.",
		Codes:   append([]Code{NoFactor}, proofCodes...)}}
	DropFactor = Endpoint[AccountProofRequest, Empty]{Info{
		ID: "dropFactor", Method: "POST", Path: "/api/v1/account/factor/drop", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Take the second factor away.",
		Codes:   proofCodes}}
	ExportAccount = Endpoint[AccountProofRequest, AccountExport]{Info{
		ID: "exportAccount", Method: "POST", Path: "/api/v1/account/export", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "All that the server keeps of the account.",
		Codes:   proofCodes}}
	EraseAccount = Endpoint[EraseAccountRequest, Empty]{Info{
		ID: "eraseAccount", Method: "POST", Path: "/api/v1/account/erase", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Remove the account for good, for who proves the password. It is named once more, so that nobody does it by mistake.",
		Codes:   proofCodes}}
)

var proofCodes = []Code{AccountSessionOver, LoginFailed, StepInvalid, CodeNeeded, CodeWrong, RateLimited}

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
	// Time is the server's clock in Unix seconds: codes of a second factor go by it.
	Time int64 `json:"time"`
}

// AccountProof shows that the caller knows the password now: a login that begins no
// session, with a code where there is a second factor.
type AccountProof struct {
	State string `json:"state"`
	KE3   string `json:"ke3"`
	Code  string `json:"code,omitempty"`
}

// LoginRequest is KE3. Without a code, or with a wrong one, it may be sent again.
type LoginRequest struct {
	AccountProof
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
	Name string     `json:"name"`
	Auth id.Bytes32 `json:"auth"`
	// Code of the second factor, where there is one.
	Code    string `json:"code,omitempty"`
	Request string `json:"request"`
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
	Account  id.Account `json:"account"`
	Epoch    int64      `json:"epoch"`
	Identity string     `json:"identity"`
	Day      int64      `json:"day"`
	// Factor tells whether there is a second factor, CodesLeft how many of its recovery
	// codes were not used.
	Factor    bool               `json:"factor"`
	CodesLeft int                `json:"codesLeft"`
	Sessions  []AccountSessionOf `json:"sessions"`
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
	Proof      AccountProof      `json:"proof"`
	State      string            `json:"state"`
	Credential AccountCredential `json:"credential"`
	EndOthers  bool              `json:"endOthers"`
}

// RenameAccountRequest is the password under another name.
type RenameAccountRequest struct {
	Proof     AccountProof `json:"proof"`
	Challenge string       `json:"challenge"`
	// Nonce is the proof of work, below 2^53.
	Nonce      int64             `json:"nonce"`
	Credential AccountCredential `json:"credential"`
}

// SetFactorRequest sets a second factor (TOTP, RFC 6238: SHA-1, six digits, 30 seconds).
type SetFactorRequest struct {
	Proof AccountProof `json:"proof"`
	// Secret is 20 random bytes that the client drew, Code what the device shows.
	Secret string `json:"secret"`
	Code   string `json:"code"`
}

// RecoveryCodes are shown once.
type RecoveryCodes struct {
	Codes []string `json:"codes"`
}

// AccountProofRequest is for what needs a proof and nothing else.
type AccountProofRequest struct {
	Proof AccountProof `json:"proof"`
}

// SessionsEnded is how many sessions were ended.
type SessionsEnded struct {
	Ended int `json:"ended"`
}

// AccountExport is all that the server keeps of an account. The secret of a second
// factor it keeps sealed, and gives to nobody.
type AccountExport struct {
	AccountView
	// Name is the keyed hash that is kept of the name.
	Name       id.Bytes32        `json:"name"`
	Credential AccountCredential `json:"credential"`
	PhraseWrap string            `json:"phraseWrap"`
	PhraseHash id.Bytes32        `json:"phraseHash"`
}

// EraseAccountRequest names the account once more.
type EraseAccountRequest struct {
	Proof AccountProof `json:"proof"`
	Name  string       `json:"name"`
}

// IdentityView is an account's public identity, an envelope (docs/format.md §14).
type IdentityView struct {
	Identity string `json:"identity"`
}
