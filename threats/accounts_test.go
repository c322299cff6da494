package threats

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"holdfast/client/account"
	"holdfast/client/transfer"
	"holdfast/format/keys"
)

// people is a client that talks to the server through the front.
func people() *account.Client { return account.New(service.front.url, transfer.NewHTTP(nil)) }

// altered changes the bytes of one field of an answer, wherever it stands in it.
func altered(t *testing.T, body []byte, field string, change func(b []byte) []byte) []byte {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Error(err)
		return body
	}
	in := answer
	if inner, ok := answer["access"].(map[string]any); ok {
		in = inner
	}
	text, _ := in[field].(string)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || text == "" {
		t.Errorf("%s is not in %s", field, body)
	}
	in[field] = base64.RawURLEncoding.EncodeToString(change(b))
	out, err := json.Marshal(answer)
	if err != nil {
		t.Error(err)
	}
	return out
}

// TestThreat01WrapsFromTheServer: the server changes each byte of the password's wrap:
// the login fails alike every time, after as many requests, and nothing else is asked.
func TestThreat01WrapsFromTheServer(t *testing.T) {
	ctx := t.Context()
	c := people()
	made, phrase, err := c.SignUp(ctx, "threat one", "correct horse battery", "")
	if err != nil {
		t.Fatal(err)
	}
	changed, requests := 0, 0
	field := "wrap"
	play(t, evil{answer: func(x *exchange) {
		requests++
		if x.status == 200 && (x.req.URL.Path == "/api/v1/logins" || x.req.URL.Path == "/api/v1/recoveries/begin") {
			x.body = altered(t, x.body, field, func(b []byte) []byte {
				if changed < 0 {
					return b
				}
				b[changed] ^= 1
				return b
			})
		}
	}})
	for changed = range keys.WrapSize {
		requests = 0
		a, err := c.LogIn(ctx, "threat one", "correct horse battery", "")
		if !errors.Is(err, account.ErrLogin) || err.Error() != account.ErrLogin.Error() || a.Root != (keys.Root{}) || requests != 2 {
			t.Fatalf("byte %d: %v, %d requests", changed, err, requests)
		}
	}
	for changed = 0; changed < keys.WrapSize; changed += 12 {
		requests = 0
		if _, err := c.Recover(ctx, "threat one", phrase, "another password", ""); !errors.Is(err, account.ErrLogin) || requests != 1 {
			t.Fatalf("the phrase's wrap, byte %d: %v, %d requests", changed, err, requests)
		}
	}
	// Another account's handle, which everything is bound to.
	field, changed = "account", 3
	if _, err := c.LogIn(ctx, "threat one", "correct horse battery", ""); !errors.Is(err, account.ErrLogin) {
		t.Errorf("another account: %v", err)
	}
	changed = -1
	a, err := c.LogIn(ctx, "threat one", "correct horse battery", "")
	if err != nil || a.Root != made.Root {
		t.Errorf("unchanged: %v", err)
	}
}

// TestThreat17AccountSecretsStay: no request holds a password, a phrase, a root key or
// what follows from one, in any of the forms in which they could stand.
func TestThreat17AccountSecretsStay(t *testing.T) {
	ctx := t.Context()
	var mu sync.Mutex
	var sent bytes.Buffer
	play(t, evil{answer: func(x *exchange) {
		mu.Lock()
		defer mu.Unlock()
		sent.WriteString(x.req.URL.String())
		for name, values := range x.req.Header {
			sent.WriteString(name + strings.Join(values, " "))
		}
		sent.Write(x.sent)
	}})
	c := people()
	made, phrase, err := c.SignUp(ctx, "threat seventeen", "pass-phrase-of-somebody", "my laptop")
	if err == nil {
		_, err = c.LogIn(ctx, "threat seventeen", "pass-phrase-of-somebody", "")
	}
	if err == nil {
		err = c.ChangePassword(ctx, made, "second-pass-phrase", false)
	}
	if err == nil {
		_, err = c.Recover(ctx, "threat seventeen", phrase, "third-pass-phrase", "")
	}
	if err != nil {
		t.Fatal(err)
	}
	root, settings := made.Root.RootFolder(), made.Root.Settings()
	secrets := map[string][]byte{
		"the first password": []byte("pass-phrase-of-somebody"), "the second": []byte("second-pass-phrase"), "the third": []byte("third-pass-phrase"),
		"the phrase's words": []byte(strings.Join(phrase.Words()[:3], " ")), "the phrase": phrase[:], "the root key": made.Root.Key[:],
		"the signing key": made.Root.SigningKey().Seed(), "the root folder's key": root.Read[:], "its write key": root.WriteSeed[:], "the settings' key": settings[:],
	}
	for what, secret := range secrets {
		for form, text := range map[string]string{
			"raw": string(secret), "hex": hex.EncodeToString(secret), "base64": base64.StdEncoding.EncodeToString(secret)[:len(secret)], "base64url": base64.RawURLEncoding.EncodeToString(secret),
		} {
			if strings.Contains(sent.String(), text) {
				t.Errorf("%s was sent (%s)", what, form)
			}
		}
	}
	if !strings.Contains(sent.String(), made.Token.String()) || !strings.Contains(sent.String(), "my laptop") {
		t.Error("what was sent was not looked at")
	}
}
