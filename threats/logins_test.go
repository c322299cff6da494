package threats

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/format/id"
	"holdfast/format/keys"
	"holdfast/format/opaque"
)

// signedUp is an account of the service, and its phrase.
func signedUp(t *testing.T, name, password string) (account.Access, keys.Phrase) {
	t.Helper()
	phrase := keys.NewPhrase()
	a, err := people().SignUp(limited(t), name, password, "", phrase)
	if err != nil {
		t.Fatal(err)
	}
	return a, phrase
}

// later moves the server's clock on, so that a name gets tries back, until the test
// ends; not so far that it would find the nodes' clocks wrong.
func later(t *testing.T) {
	t.Helper()
	before := service.offset.Load()
	service.offset.Add(int64(10 * time.Second))
	t.Cleanup(func() { service.offset.Store(before) })
}

// TestThreat02MutatedLogins: a server that changes KE2 in any way, or has another
// record, learns nothing: each of 50 logins with the real stretching ends alike, in words
// and in requests. 10,000 with a cheap one are in format/opaque.
func TestThreat02MutatedLogins(t *testing.T) {
	signedUp(t, "threat two", "correct horse battery")
	c := people()
	random := rand.New(rand.NewPCG(2, 2))
	change := func(b []byte) []byte { return b }
	requests := 0
	play(t, evil{answer: func(x *exchange) {
		requests++
		if x.status == 200 && x.is(api.BeginLogin.Info) {
			x.body = altered(t, x.body, "ke2", change)
		}
	}})
	other := make([]byte, opaque.KE2Size)
	for n := range 50 {
		switch n % 5 {
		case 0, 1, 2: // one bit, wherever
			at := random.IntN(opaque.KE2Size * 8)
			change = func(b []byte) []byte { b[at/8] ^= 1 << (at % 8); return b }
		case 3: // the part of another login
			from := random.IntN(opaque.KE2Size)
			change = func(b []byte) []byte {
				mixed := append(bytes.Clone(b[:from]), other[from:]...)
				copy(other, b)
				return mixed
			}
		case 4: // another length
			change = func(b []byte) []byte { return b[:random.IntN(len(b))] }
		}
		later(t)
		requests = 0
		a, err := c.LogIn(limited(t), "threat two", "correct horse battery", "")
		if !errors.Is(err, account.ErrLogin) || err.Error() != account.ErrLogin.Error() || requests != 1 || a != (account.Access{}) {
			t.Fatalf("login %d: %v after %d requests", n, err, requests)
		}
	}
	change = func(b []byte) []byte { return b }
	later(t)
	requests = 0
	if _, err := c.LogIn(limited(t), "threat two", "wrong horse", ""); !errors.Is(err, account.ErrLogin) || err.Error() != account.ErrLogin.Error() || requests != 1 {
		t.Errorf("a wrong password: %v after %d requests", err, requests)
	}
	later(t)
	if _, err := c.LogIn(limited(t), "threat two", "correct horse battery", ""); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

// allocated is what f allocates: stretching a password takes 64 MiB.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

const stretched = 48 << 20

// TestThreat07Parameters: no answer has a place for parameters, and those that a server
// puts there are not looked at: what is stretched is stretched as it is compiled in. A
// message of another suite, which has other lengths, is refused before anything is.
func TestThreat07Parameters(t *testing.T) {
	_, phrase := signedUp(t, "threat seven", "correct horse battery")
	c := people()
	var add map[string]any
	requests := 0
	play(t, evil{answer: func(x *exchange) {
		requests++
		if x.status != 200 || !x.is(api.BeginLogin.Info) && !x.is(api.BeginSignUp.Info) && !x.is(api.BeginRecovery.Info) {
			return
		}
		var answer map[string]any
		if err := json.Unmarshal(x.body, &answer); err != nil {
			t.Error(err)
		}
		maps.Copy(answer, add)
		x.body, _ = json.Marshal(answer) // of what was decoded
	}})
	logIn := func() error { _, err := c.LogIn(limited(t), "threat seven", "correct horse battery", ""); return err }
	for name, lanes := range map[string]any{"weak": 1, "huge": 255} {
		memory := map[string]any{"weak": 8, "huge": 8 << 20}[name]
		stretching := map[string]any{"iterations": 1, "memory": memory, "parallelism": lanes}
		add = map[string]any{"version": 0, "suite": 7, "ksf": "identity", "kdf": stretching, "argon2id": stretching, "parameters": []any{1, memory, lanes}}
		took := allocated(func() {
			if err := logIn(); err != nil {
				t.Errorf("%s parameters that no message has: %v", name, err)
			}
		})
		if took < stretched || took > 4*stretched {
			t.Errorf("with %s parameters a login allocated %d MiB", name, took>>20)
		}
	}
	other := func(n int) string { return id.Encoding.EncodeToString(noise(n, 7)) }
	for _, n := range []int{0, 1, 32, opaque.ResponseSize - 1, opaque.ResponseSize + 1, 65, 67, 130, opaque.KE2Size - 1, opaque.KE2Size + 1, 322, 4096} {
		add = map[string]any{"ke2": other(n), "response": other(n)}
		for name, do := range map[string]func() error{
			"login": logIn,
			"sign-up": func() error {
				_, err := c.SignUp(limited(t), "threat seven b", "correct horse battery", "", phrase)
				return err
			},
		} {
			requests = 0
			var err error
			took := allocated(func() { err = do() })
			want := map[string]error{"login": account.ErrLogin, "sign-up": account.ErrAnswer}[name]
			if took > stretched || !errors.Is(err, want) || requests != 1 {
				t.Errorf("%s, a message of %d bytes: %v after %d requests; %d MiB were allocated", name, n, err, requests, took>>20)
			}
		}
	}
}

// shape is what of an answer could tell one name from another.
func shape(x *exchange) string {
	var answer map[string]any
	if err := json.Unmarshal(x.body, &answer); err != nil {
		return err.Error()
	}
	lengths := map[string]int{}
	for name, v := range answer {
		lengths[name] = len(fmt.Sprint(v))
	}
	header := x.header.Clone()
	header.Del("Date")
	return fmt.Sprint(x.status, header, len(x.body), lengths)
}

// TestThreat19Names: what the wire shows of a login or recovery with a name that
// somebody has, that somebody has with a second factor, and that nobody has, is the same,
// and the same again. Nobody is found by a name but at the end of a sign-up.
func TestThreat19Names(t *testing.T) {
	a, _ := signedUp(t, "threat nineteen a", "correct horse battery")
	b, _ := signedUp(t, "threat nineteen b", "correct horse battery")
	c := people()
	secret := account.NewFactorSecret()
	code, err := totp.GenerateCode(secret.Text(), service.now())
	if err == nil {
		_, err = c.SetFactor(limited(t), account.Owner{Access: b, Name: "threat nineteen b", Password: "correct horse battery"}, secret, code)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Code = nil
	first := map[string]string{}
	for range 3 {
		for _, name := range []string{"threat nineteen a", "threat nineteen b", "threat nineteen c"} {
			tp := taped(t)
			if _, err := c.LogIn(limited(t), name, "wrong horse battery", ""); !errors.Is(err, account.ErrLogin) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := c.Recover(limited(t), name, keys.NewPhrase(), "wrong horse battery", ""); !errors.Is(err, account.ErrLogin) {
				t.Errorf("%s: %v", name, err)
			}
			all := tp.ofClients()
			if len(all) != 2 {
				t.Fatalf("%s: %d requests", name, len(all))
			}
			for _, x := range all {
				path := x.req.URL.Path
				if have := shape(x); first[path] == "" {
					first[path] = have
				} else if have != first[path] {
					t.Errorf("%s, %s:\n%s\ninstead of\n%s", name, path, have, first[path])
				}
			}
		}
	}
	// What one and the same guess is evaluated to stays the same too.
	_, ke1, err := opaque.NewLogin([]byte("a guess"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"threat nineteen a", "threat nineteen c"} {
		var evaluated []string
		for range 3 {
			got, err := api.BeginLogin.Call(limited(t), api.Caller{Base: service.real, HTTP: http.DefaultClient}, api.Args{}, api.BeginLoginRequest{Name: name, KE1: id.Encoding.EncodeToString(ke1)})
			if err != nil {
				t.Fatal(err)
			}
			evaluated = append(evaluated, string(decoded(t, got.KE2)[:32]))
		}
		if evaluated[0] != evaluated[1] || evaluated[0] != evaluated[2] {
			t.Errorf("%s is evaluated otherwise each time", name)
		}
	}
	if a.Root.Account == b.Root.Account {
		t.Error("two accounts are one")
	}
}

// TestThreat27Accounts: a thief of the database finds no name, password, phrase, key,
// token, code or secret of an account, nor a hash of a name or password that costs less
// to guess than stretching.
func TestThreat27Accounts(t *testing.T) {
	const name, password = "planted twenty seven", "planted-password-27"
	made, phrase := signedUp(t, name, password)
	c := people()
	owner := account.Owner{Access: made, Name: name, Password: password}
	secret := account.NewFactorSecret()
	code, err := totp.GenerateCode(secret.Text(), service.now())
	if err != nil {
		t.Fatal(err)
	}
	codes, err := c.SetFactor(limited(t), owner, secret, code)
	if err != nil {
		t.Fatal(err)
	}
	auth := phrase.Auth()
	root := made.Root.RootFolder()
	all := []planted{
		{"the token", made.Token[:]}, {"the token's text", []byte(made.Token.String())}, {"the root key", made.Root.Key[:]}, {"the phrase", phrase[:]},
		{"the phrase's auth value", auth[:]}, {"words of the phrase", []byte(strings.Join(phrase.Words()[:3], " "))}, {"the second factor", secret[:]},
		{"the second factor's text", []byte(secret.Text())}, {"a recovery code", []byte(codes[0])}, {"the signing key", made.Root.SigningKey().Seed()},
		{"the root folder's key", root.Read[:]},
	}
	all = append(all, with("the name", []byte(name))...)
	all = append(all, with("the password", []byte(password))...)
	for _, one := range codes {
		all = append(all, with("a recovery code", []byte(strings.ReplaceAll(one, "-", "")))...)
	}
	stolen := dump(t)
	newFinder(all).search(t, "dump", stolen)
	if hash := keys.HashAuth(auth); !bytes.Contains(stolen, hash[:]) || !bytes.Contains(stolen, made.Root.Identity().Envelope()) {
		t.Fatal("the account is not in the dump: this test sees nothing")
	}
	if sum := sha256.Sum256([]byte(name)); bytes.Contains(stolen, sum[:]) {
		t.Error("names can be guessed in the dump")
	}
}
