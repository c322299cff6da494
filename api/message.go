package api

import "holdfast/format/id"

// Endpoints of messages between accounts.
var (
	SendMessage = Endpoint[SendMessageRequest, Empty]{Info{
		ID: "sendMessage", Method: "POST", Path: "/api/v1/messages", Auth: AuthAccount, MaxBody: smallBody, Timeout: callTimeout,
		Summary: "Leave a sealed message for an account, by its handle.",
		Codes:   []Code{AccountSessionOver, NotFound, RateLimited, OverLimit}}}
	ListMessages = Endpoint[Empty, MessageList]{Info{
		ID: "listMessages", Method: "GET", Path: "/api/v1/messages", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "The messages that wait for the caller, the oldest first.",
		Codes:   []Code{AccountSessionOver}}}
	DropMessage = Endpoint[Empty, Empty]{Info{
		ID: "dropMessage", Method: "DELETE", Path: "/api/v1/messages/{message}", Auth: AuthAccount, Timeout: callTimeout,
		Summary: "Forget a message. Repeating is harmless.",
		Codes:   []Code{AccountSessionOver}}}
)

// SendMessageRequest is a message sealed to its recipient and signed within by its sender
// (docs/format.md §15): who sent it is nothing that the server tells.
type SendMessageRequest struct {
	To id.Account `json:"to"`
	// Message is the id, drawn by the sender: the same one again is kept once.
	Message id.Message `json:"message"`
	// Sealed is the envelope, 8 KiB at most: an invitation takes less than 3 KiB.
	Sealed string `json:"sealed"`
}

// MessageList has at most 100: an account keeps no more at a time.
type MessageList struct {
	Messages []WaitingMessage `json:"messages"`
}

// WaitingMessage is a message, and the day on which it came, since 1970-01-01 UTC.
type WaitingMessage struct {
	Message id.Message `json:"message"`
	Sealed  string     `json:"sealed"`
	Day     int64      `json:"day"`
}
