package httpapi

import (
	"strings"
	"testing"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/keys"
)

// TestMessagesOverHTTP: a message is its recipient's alone, and goes with the account.
func TestMessagesOverHTTP(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	ada, bob := r.signedUp("ada", "password one"), r.signedUp("bob", "password two")
	sealed := text(ada.root.Send(bob.root.Identity(), "sharing", []byte("hello")))
	one := api.SendMessageRequest{To: bob.root.Account, Message: id.New[id.Message](), Sealed: sealed}
	for range 2 { // the answer was lost
		_, err := api.SendMessage.Call(ctx, r.call, ada.args(), one)
		r.must(err)
	}
	list, err := api.ListMessages.Call(ctx, r.call, bob.args(), api.Empty{})
	r.must(err)
	if len(list.Messages) != 1 || list.Messages[0].Message != one.Message || list.Messages[0].Sealed != sealed || list.Messages[0].Day != r.clock.Now().Unix()/86400 {
		t.Fatalf("%+v", list)
	}
	if mine, err := api.ListMessages.Call(ctx, r.call, ada.args(), api.Empty{}); err != nil || len(mine.Messages) != 0 {
		t.Errorf("the sender's: %+v, %v", mine, err)
	}
	drop := func(p *person) {
		t.Helper()
		_, err := api.DropMessage.Call(ctx, r.call, api.Args{Secret: p.token.String(), Path: map[string]string{"message": one.Message.String()}}, api.Empty{})
		r.must(err)
	}
	drop(ada) // not ada's: harmless
	if list, err = api.ListMessages.Call(ctx, r.call, bob.args(), api.Empty{}); err != nil || len(list.Messages) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	drop(bob)
	drop(bob)
	if list, err = api.ListMessages.Call(ctx, r.call, bob.args(), api.Empty{}); err != nil || len(list.Messages) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	stranger := one
	stranger.To = id.New[id.Account]()
	_, err = api.SendMessage.Call(ctx, r.call, ada.args(), stranger)
	r.want(err, api.NotFound)
	for range 57 {
		_, err = api.SendMessage.Call(ctx, r.call, ada.args(), one)
		r.must(err)
	}
	_, err = api.SendMessage.Call(ctx, r.call, ada.args(), one)
	r.want(err, api.RateLimited)
}

// TestIdentityOverHTTP: whoever is logged in gets an identity by its handle, and nobody else.
func TestIdentityOverHTTP(t *testing.T) {
	r := newRig(t)
	ada, bob := r.signedUp("ada", "password one"), r.signedUp("bob", "password two")
	ask := func(who *person, of id.Account) (api.IdentityView, error) {
		return api.GetIdentity.Call(t.Context(), r.call, api.Args{Secret: who.token.String(), Path: map[string]string{"account": of.String()}}, api.Empty{})
	}
	got, err := ask(ada, bob.root.Account)
	r.must(err)
	raw, err := decoded(r, got.Identity)
	r.must(err)
	identity, err := keys.ParseIdentity(raw)
	r.must(err)
	r.must(bob.root.Identity().Contact().Check(identity))
	_, err = ask(ada, id.New[id.Account]())
	r.want(err, api.NotFound)
	_, err = ask(&person{token: id.New32()}, bob.root.Account)
	r.want(err, api.AccountSessionOver)
}

func TestHostileMessages(t *testing.T) {
	r := newRig(t)
	ada := r.signedUp("ada", "password one")
	body := func(to, message, sealed string) string {
		return `{"to":"` + to + `","message":"` + message + `","sealed":"` + sealed + `"}`
	}
	to, one := ada.root.Account.String(), id.New[id.Message]().String()
	r.refuses(ada.token.String(), map[string]hostile{
		"an empty message":         {"POST", "/api/v1/messages", body(to, one, ""), api.BadRequest},
		"nothing":                  {"POST", "/api/v1/messages", `{}`, api.BadRequest},
		"null":                     {"POST", "/api/v1/messages", `null`, api.BadRequest},
		"8 KiB and a byte":         {"POST", "/api/v1/messages", body(to, one, text(make([]byte, 8<<10+1))), api.BadRequest},
		"a body too large":         {"POST", "/api/v1/messages", body(to, one, strings.Repeat("A", 16<<10)), api.BodyTooLarge},
		"no base64url":             {"POST", "/api/v1/messages", body(to, one, "a+b/"), api.BadRequest},
		"a line end in base64url":  {"POST", "/api/v1/messages", body(to, one, `AAAA\nAAAA`), api.BadRequest},
		"trailing bits":            {"POST", "/api/v1/messages", body(to, one, "AB"), api.BadRequest},
		"without an id":            {"POST", "/api/v1/messages", `{"to":"` + to + `","sealed":"AAAA"}`, api.BadRequest},
		"an id of another length":  {"POST", "/api/v1/messages", body(to, one+"A", "AAAA"), api.BadRequest},
		"a recipient that is none": {"POST", "/api/v1/messages", body("ada", one, "AAAA"), api.BadRequest},
		"to nobody":                {"POST", "/api/v1/messages", body(id.New[id.Account]().String(), one, "AAAA"), api.NotFound},
		"dropping what has no id":  {"DELETE", "/api/v1/messages/x", "", api.NotFound},
		"the identity of no id":    {"GET", "/api/v1/accounts/x/identity", "", api.NotFound},
		"the identity of a path":   {"GET", "/api/v1/accounts/" + to + "%2f/identity", "", api.NotFound},
	})
	if _, code, _ := r.raw("POST", "/api/v1/messages", "not a token", body(to, one, "AAAA")); code != api.AccountSessionOver {
		t.Errorf("without a session: %q", code)
	}
	list, err := api.ListMessages.Call(t.Context(), r.call, ada.args(), api.Empty{})
	r.must(err)
	if len(list.Messages) != 0 {
		t.Errorf("%d were taken", len(list.Messages))
	}
}
