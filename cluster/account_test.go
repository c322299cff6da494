package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/transfer"
	"holdfast/format/keys"
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
	phrase := keys.NewPhrase()
	laptop, err := people.SignUp(ctx, "correct horse", "battery staple one", "laptop", phrase)
	must(err)
	if _, err := people.SignUp(ctx, "Correct Horse", "another password", "x", phrase); !errors.Is(err, api.NameTaken) {
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
	must(people.ChangePassword(ctx, account.Owner{Access: laptop, Name: "correct horse", Password: "battery staple one"}, "a better password", true))
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
	if err := people.ChangePassword(ctx, account.Owner{Access: tablet, Name: "correct horse", Password: "a better password"}, "x", false); !errors.Is(err, account.ErrLogin) {
		t.Errorf("changed with an old password: %v", err)
	}
	owner := account.Owner{Access: tablet, Name: "correct horse", Password: "the third password"}
	must(people.Rename(ctx, owner, "battery staple"))
	owner.Name = "battery staple"
	factors(t, people, owner)
	must(people.Erase(ctx, owner))
	for _, name := range []string{"correct horse", "battery staple"} {
		if _, err := people.LogIn(ctx, name, "the third password", "x"); !errors.Is(err, account.ErrLogin) {
			t.Errorf("an erased account: %v", err)
		}
	}
}

// factors sets a second factor, is asked for codes, and takes it away.
func factors(t *testing.T, people *account.Client, owner account.Owner) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	secret := account.NewFactorSecret()
	code, err := totp.GenerateCode(secret.Text(), time.Now())
	must(err)
	codes, err := people.SetFactor(ctx, owner, secret, code)
	must(err)
	if _, err := people.LogIn(ctx, owner.Name, owner.Password, "x"); !errors.Is(err, api.CodeNeeded) {
		t.Errorf("without a code: %v", err)
	}
	answers := []string{"000000", codes[0]}
	people.Code = func(_ context.Context, again bool) (string, error) {
		next := answers[0]
		if again != (len(answers) == 1) {
			t.Error("asked again the first time, or not the second")
		}
		answers = answers[1:]
		return next, nil
	}
	if _, err := people.LogIn(ctx, owner.Name, owner.Password, "x"); err != nil || len(answers) != 0 {
		t.Errorf("with a wrong code and a recovery code: %v, %v left", err, answers)
	}
	answers = []string{"000000", codes[1]}
	more, err := people.SetCodes(ctx, owner)
	must(err)
	answers = []string{"000000", more[0]}
	all, err := people.Export(ctx, owner)
	must(err)
	if !all.Factor || all.CodesLeft != 9 || all.Credential.Wrap == "" {
		t.Errorf("%+v", all.AccountView)
	}
	answers = []string{"000000", more[1]}
	must(people.DropFactor(ctx, owner))
	people.Code = nil
}
