package account

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/keys"
	"holdfast/format/opaque"
	"holdfast/format/password"
)

// answering is a server that gives one answer to the beginning of every login.
func answering(t *testing.T, answer api.LoginChallenge) (*Client, *int) {
	t.Helper()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", api.TypeJSON)
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return New(s.URL, s.Client()), &asked
}

// TestWrongClocksAreNamed: codes of a second factor and tickets go by them.
func TestWrongClocksAreNamed(t *testing.T) {
	here := time.Date(2031, 5, 14, 13, 27, 43, 0, time.UTC)
	for off, named := range map[time.Duration]bool{24 * time.Hour: true, -24 * time.Hour: true, 11 * time.Minute: true, 9 * time.Minute: false, -time.Minute: false} {
		c, _ := answering(t, api.LoginChallenge{Time: here.Add(off).Unix()})
		c.now = func() time.Time { return here }
		told := false
		c.Clock = func(mine, server time.Time) {
			told = true
			if !mine.Equal(here) || !server.Equal(here.Add(off)) {
				t.Errorf("told %s and %s", mine, server)
			}
		}
		if _, err := c.LogIn(t.Context(), "ada", "password", ""); !errors.Is(err, ErrLogin) || told != named {
			t.Errorf("%s off: told %v, %v", off, told, err)
		}
	}
}

// TestHostileAnswers: what is no answer of a login ends it before a proof leaves.
func TestHostileAnswers(t *testing.T) {
	for name, a := range map[string]struct {
		answer api.LoginChallenge
		want   error
	}{
		"no KE2":          {api.LoginChallenge{}, ErrLogin},
		"KE2 of zeros":    {api.LoginChallenge{KE2: text(make([]byte, opaque.KE2Size))}, ErrLogin},
		"KE2 of a record": {api.LoginChallenge{KE2: text(make([]byte, opaque.RecordSize))}, ErrLogin},
		"KE2 of letters":  {api.LoginChallenge{KE2: "not base64url!"}, ErrLogin},
	} {
		c, asked := answering(t, a.answer)
		if _, err := c.LogIn(t.Context(), "ada", "password", ""); !errors.Is(err, a.want) || *asked != 1 {
			t.Errorf("%s: %v after %d requests", name, err, *asked)
		}
	}
}

// TestBadInputIsNotSent: what cannot be a name or a password reaches no server.
func TestBadInputIsNotSent(t *testing.T) {
	c, asked := answering(t, api.LoginChallenge{})
	for _, bad := range []struct {
		name, pass string
		want       error
	}{{"", "password", keys.ErrName}, {"two  spaces", "password", keys.ErrName}, {"ada", "", password.ErrEmpty}, {"ada", "\x00", password.ErrCharacter}} {
		_, in := c.LogIn(t.Context(), bad.name, bad.pass, "")
		_, up := c.SignUp(t.Context(), bad.name, bad.pass, "", keys.Phrase{})
		_, back := c.Recover(t.Context(), bad.name, keys.Phrase{}, bad.pass, "")
		for _, err := range []error{in, up, back} {
			if !errors.Is(err, bad.want) {
				t.Errorf("%q, %q: %v", bad.name, bad.pass, err)
			}
		}
	}
	if *asked != 0 {
		t.Errorf("%d requests", *asked)
	}
}
