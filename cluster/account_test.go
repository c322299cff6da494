package cluster

import (
	"errors"
	"testing"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/transfer"
)

// TestAccountJourney: sign-up, login from another machine, a new password, recovery by
// phrase, sessions and the end, over HTTP against a real server.
func TestAccountJourney(t *testing.T) {
	c := Start(t, Config{})
	ctx := t.Context()
	people := account.New(c.URL, transfer.NewHTTP(nil))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	laptop, phrase, err := people.SignUp(ctx, "correct horse", "battery staple one", "laptop")
	must(err)
	if _, _, err := people.SignUp(ctx, "Correct Horse", "another password", "x"); !errors.Is(err, api.NameTaken) {
		t.Errorf("a name that is taken: %v", err)
	}
	for _, wrong := range [][2]string{{"correct horse", "battery staple two"}, {"nobody here", "battery staple one"}} {
		if _, err := people.LogIn(ctx, wrong[0], wrong[1], "x"); !errors.Is(err, account.ErrLogin) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	phone, err := people.LogIn(ctx, "correct horse", "battery staple one", "phone")
	must(err)
	if phone.Root != laptop.Root || phone.Token == laptop.Token {
		t.Error("another account, or the same session")
	}
	view, err := people.View(ctx, phone)
	must(err)
	if len(view.Sessions) != 2 || view.Account != laptop.Root.Account || view.Sessions[0].Current == view.Sessions[1].Current {
		t.Errorf("%+v", view)
	}
	must(people.ChangePassword(ctx, laptop, "a better password", true))
	if _, err := people.View(ctx, phone); !errors.Is(err, api.AccountSessionOver) {
		t.Errorf("another session after a change: %v", err)
	}
	tablet, err := people.Recover(ctx, "correct horse", phrase, "the third password", "tablet")
	must(err)
	if tablet.Root != laptop.Root {
		t.Error("another root key")
	}
	if _, err := people.View(ctx, laptop); !errors.Is(err, api.AccountSessionOver) {
		t.Errorf("a session from before the recovery: %v", err)
	}
	phone, err = people.LogIn(ctx, "correct horse", "the third password", "phone")
	must(err)
	view, err = people.View(ctx, tablet)
	must(err)
	for _, s := range view.Sessions {
		if !s.Current {
			must(people.EndSession(ctx, tablet, s.ID))
		}
	}
	if _, err := people.View(ctx, phone); !errors.Is(err, api.AccountSessionOver) {
		t.Errorf("an ended session: %v", err)
	}
	must(people.Erase(ctx, tablet, "Correct Horse"))
	if _, err := people.LogIn(ctx, "correct horse", "the third password", "x"); !errors.Is(err, account.ErrLogin) {
		t.Errorf("an erased account: %v", err)
	}
}
