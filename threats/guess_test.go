package threats

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/transfer"
	"holdfast/format/id"
	"holdfast/format/link"
)

// look is one guess at a link, without our client.
func look(t *testing.T, handle string, auth id.Bytes32) (int, http.Header, []byte) {
	t.Helper()
	raw, err := json.Marshal(api.LinkAuth{Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest("POST", service.real+"/api/v1/links/"+handle+"/look", bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(api.HeaderVersion, api.Version)
	req.Header.Set("Content-Type", api.TypeJSON)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	res.Header.Del("Date")
	return res.StatusCode, res.Header, body.Bytes()
}

func codeOf(t *testing.T, body []byte) api.Code {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return p.Code
}

// TestThreat18NothingWithoutTheKey: who has the handle only, and who has the
// fragment but not the password, get one constant answer that holds nothing of
// the link.
func TestThreat18NothingWithoutTheKey(t *testing.T) {
	one := sendOne(t, small, 40, "correct horse")
	other := sendOne(t, medium, 41, "")
	unprotected := link.Link{Handle: one.link.Handle, Secret: one.link.Secret}
	without, err := unprotected.Keys("")
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := one.link.Keys("another horse")
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	var firstHeader http.Header
	for what, try := range map[string]struct {
		s    *specimen
		auth id.Bytes32
	}{
		"fragment without password": {one, id.Bytes32(without.Auth)}, "fragment, wrong password": {one, id.Bytes32(wrong.Auth)},
		"the secret itself": {one, id.Bytes32(one.link.Secret)}, "zeros": {one, id.Bytes32{}}, "random": {other, id.New32()},
	} {
		status, header, body := look(t, try.s.link.Handle.String(), try.auth)
		if status != http.StatusForbidden || codeOf(t, body) != api.WrongKey {
			t.Errorf("%s: %d %s", what, status, body)
		}
		if first == nil {
			first, firstHeader = body, header
		}
		if !bytes.Equal(body, first) || len(header) != len(firstHeader) || header.Get("Content-Length") != firstHeader.Get("Content-Length") {
			t.Errorf("%s is answered otherwise than another: %v\n%s\n%s", what, header, body, first)
		}
	}
	c, _ := newClient(t)
	if _, err := c.Open(limited(t), one.link, transfer.OpenOptions{Password: "another horse"}); !errors.Is(err, api.WrongKey) {
		t.Errorf("opened with a wrong password: %v", err)
	}
	for _, path := range []string{"/revisions", "/extents"} { // no session, no bytes
		raw := []byte(`{"session":"` + id.Bytes32(id.New32()).String() + `"`)
		if path == "/extents" {
			raw = append(raw, `,"revision":"`+one.head.ID.String()+`","from":0,"count":1`...)
		}
		status, body := post(t, service.real+"/api/v1/links/"+one.link.Handle.String()+path, append(raw, '}'))
		if code := codeOf(t, body); status < 400 || code != api.SessionInvalid {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func post(t *testing.T, url string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(api.HeaderVersion, api.Version)
	req.Header.Set("Content-Type", api.TypeJSON)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out.Bytes()
}

// TestThreat18Limited: ten wrong tries, then none for a while, the right key
// included; other links are not touched, and time heals.
func TestThreat18Limited(t *testing.T) {
	s := sendOne(t, small, 42, "")
	other := sendOne(t, small, 43, "")
	handle := s.link.Handle.String()
	for n := range 10 {
		if status, _, body := look(t, handle, id.New32()); codeOf(t, body) != api.WrongKey {
			t.Fatalf("try %d: %d %s", n, status, body)
		}
	}
	keys, err := s.link.Keys("")
	if err != nil {
		t.Fatal(err)
	}
	for what, auth := range map[string]id.Bytes32{"wrong": id.New32(), "right": id.Bytes32(keys.Auth)} {
		status, header, body := look(t, handle, auth)
		if status != http.StatusTooManyRequests || codeOf(t, body) != api.RateLimited || header.Get("Retry-After") == "" {
			t.Errorf("%s key after ten failures: %d, Retry-After %q: %s", what, status, header.Get("Retry-After"), body)
		}
	}
	other.whole(t)
	defer service.offset.Store(service.offset.Load())
	service.offset.Add(int64(11 * time.Second))
	if status, _, body := look(t, handle, id.Bytes32(keys.Auth)); status != http.StatusOK {
		t.Fatalf("the right key, once it waited: %d %s", status, body)
	}
	if _, _, body := look(t, handle, id.New32()); codeOf(t, body) != api.WrongKey {
		t.Errorf("the eleventh try: %s", body)
	}
	if _, _, body := look(t, handle, id.New32()); codeOf(t, body) != api.RateLimited {
		t.Errorf("the twelfth try at once: %s", body)
	}
	service.offset.Add(int64(11 * time.Second))
	s.whole(t)
}
