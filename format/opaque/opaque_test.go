package opaque

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// cheap is what tests stretch passwords by that log in thousands of times.
var cheap = stretch{[]uint64{1, 8, 1}}

func newServer(t testing.TB) *Server {
	t.Helper()
	s, err := NewServer(NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// enrol registers a password and returns its record and export key.
func enrol(t testing.TB, s *Server, credential, password string, by stretch) ([]byte, [ExportSize]byte) {
	t.Helper()
	r, request, err := register([]byte(password), by)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.Register(request, []byte(credential))
	if err != nil {
		t.Fatal(err)
	}
	record, export, err := r.Finish(response)
	if err != nil || s.CheckRecord(record) != nil {
		t.Fatal(err)
	}
	if len(request) != RequestSize || len(response) != ResponseSize || len(record) != RecordSize {
		t.Fatalf("messages of %d, %d and %d bytes", len(request), len(response), len(record))
	}
	return record, export
}

// try logs in, changing KE2 on its way if change is set. reached tells whether the
// client sent KE3.
func try(t testing.TB, s *Server, credential, password string, record []byte, by stretch, change func([]byte)) (export [ExportSize]byte, reached bool, err error) {
	t.Helper()
	l, ke1, err := login([]byte(password), by)
	if err != nil {
		t.Fatal(err)
	}
	ke2, expected, err := s.Begin(ke1, []byte(credential), record)
	if err != nil {
		t.Fatal(err)
	}
	if len(ke1) != KE1Size || len(ke2) != KE2Size || len(expected) != ExpectedSize {
		t.Fatalf("messages of %d, %d and %d bytes", len(ke1), len(ke2), len(expected))
	}
	if change != nil {
		change(ke2)
	}
	ke3, export, err := l.Finish(ke2)
	if err != nil {
		return export, false, err
	}
	if len(ke3) != KE3Size {
		t.Fatalf("KE3 of %d bytes", len(ke3))
	}
	return export, true, s.Finish(ke3, expected)
}

func TestLogin(t *testing.T) {
	s := newServer(t)
	record, export := enrol(t, s, "1", "correct horse", argon2id)
	got, _, err := try(t, s, "1", "correct horse", record, argon2id, nil)
	if err != nil || got != export || export == [ExportSize]byte{} {
		t.Fatalf("%x instead of %x: %v", got, export, err)
	}
}

// TestServersOfOneSecret are one server: an account logs in at any of them.
func TestServersOfOneSecret(t *testing.T) {
	secret := NewSecret()
	a, err := NewServer(secret)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewServer(secret)
	if err != nil {
		t.Fatal(err)
	}
	record, export := enrol(t, a, "1", "password", cheap)
	l, ke1, err := login([]byte("password"), cheap)
	if err != nil {
		t.Fatal(err)
	}
	ke2, expected, err := a.Begin(ke1, []byte("1"), record)
	if err != nil {
		t.Fatal(err)
	}
	ke3, got, err := l.Finish(ke2)
	if err != nil || got != export || b.Finish(ke3, expected) != nil {
		t.Fatal(err)
	}
}

func TestWrongLogins(t *testing.T) {
	s, other := newServer(t), newServer(t)
	record, _ := enrol(t, s, "1", "password", cheap)
	second, _ := enrol(t, s, "2", "password", cheap)
	for name, c := range map[string]struct {
		server               *Server
		credential, password string
		record               []byte
		by                   stretch
	}{
		"wrong password":          {s, "1", "Password", record, cheap},
		"no password":             {s, "1", "", record, cheap},
		"nobody's name":           {s, "3", "password", nil, cheap},
		"another's record":        {s, "1", "password", second, cheap},
		"another server's secret": {other, "1", "password", record, cheap},
		"stretched otherwise":     {s, "1", "password", record, stretch{[]uint64{2, 8, 1}}},
		"with another memory":     {s, "1", "password", record, stretch{[]uint64{1, 16, 1}}},
	} {
		export, reached, err := try(t, c.server, c.credential, c.password, c.record, c.by, nil)
		if err != ErrLogin || reached || export != [ExportSize]byte{} {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestThreat02MutatedLogins: whatever is changed in a server's answer, the client
// stops with the one error, sends nothing more, and has no key.
func TestThreat02MutatedLogins(t *testing.T) {
	s := newServer(t)
	record, _ := enrol(t, s, "1", "password", cheap)
	for n := range 10_000 {
		export, reached, err := try(t, s, "1", "password", record, cheap, func(ke2 []byte) {
			ke2[n%KE2Size] ^= byte(1 << (n / KE2Size % 8))
		})
		if err != ErrLogin || reached || export != [ExportSize]byte{} {
			t.Fatalf("mutation %d: %v", n, err)
		}
	}
}

// TestThreat02MutatedLoginsStretched is the same with the real stretching.
func TestThreat02MutatedLoginsStretched(t *testing.T) {
	s := newServer(t)
	record, _ := enrol(t, s, "1", "password", argon2id)
	for n := range 50 {
		_, reached, err := try(t, s, "1", "password", record, argon2id, func(ke2 []byte) { ke2[n*6%KE2Size] ^= 1 })
		if err != ErrLogin || reached {
			t.Fatalf("mutation %d: %v", n, err)
		}
	}
}

// TestServersRefuseForgedKE3: no byte of KE3 may be another one, and KE3 of one login
// is none of another.
func TestServersRefuseForgedKE3(t *testing.T) {
	s := newServer(t)
	record, _ := enrol(t, s, "1", "password", cheap)
	begin := func() (*Login, []byte, []byte) {
		l, ke1, err := login([]byte("password"), cheap)
		if err != nil {
			t.Fatal(err)
		}
		ke2, expected, err := s.Begin(ke1, []byte("1"), record)
		if err != nil {
			t.Fatal(err)
		}
		return l, ke2, expected
	}
	l, ke2, expected := begin()
	_, _, another := begin()
	ke3, _, err := l.Finish(ke2)
	if err != nil || s.Finish(ke3, expected) != nil {
		t.Fatal(err)
	}
	for i := range ke3 {
		bad := slices.Clone(ke3)
		bad[i] ^= 1
		if s.Finish(bad, expected) != ErrLogin {
			t.Fatalf("byte %d may be any", i)
		}
	}
	for name, c := range map[string][2][]byte{
		"of another login": {ke3, another}, "cut": {ke3[:63], expected}, "none": {nil, expected}, "expected nothing": {ke3, nil}, "empty both": {nil, nil},
	} {
		if s.Finish(c[0], c[1]) != ErrLogin {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestThreat19UnknownNames: a name that nobody has gets the same answer as long as it
// is asked for, of the same size, that differs where another name's does.
func TestThreat19UnknownNames(t *testing.T) {
	s := newServer(t)
	if !bytes.Equal(s.fake([]byte("x")), s.fake([]byte("x"))) {
		t.Error("the record of an unknown name changes")
	}
	if bytes.Equal(s.fake([]byte("x")), s.fake([]byte("y"))) || bytes.Equal(s.fake([]byte("x")), newServer(t).fake([]byte("x"))) {
		t.Error("unknown names, or servers, share a record")
	}
	record, _ := enrol(t, s, "known", "password", cheap)
	_, ke1, err := login([]byte("guess"), cheap)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string][2][]byte{}
	for _, name := range []string{"known", "unknown"} {
		stored := map[string][]byte{"known": record}[name]
		var two [2][]byte
		for i := range two {
			if two[i], _, err = s.Begin(ke1, []byte(name), stored); err != nil || len(two[i]) != KE2Size {
				t.Fatal(err)
			}
		}
		answers[name] = two
	}
	// The evaluated element is the name's for good, and everything behind it drawn anew.
	for name, two := range answers {
		if !bytes.Equal(two[0][:32], two[1][:32]) {
			t.Errorf("%s: another evaluation the second time", name)
		}
		if bytes.Equal(two[0][32:64], two[1][32:64]) || bytes.Equal(two[0][64:192], two[1][64:192]) {
			t.Errorf("%s: the same mask twice", name)
		}
	}
	if bytes.Equal(answers["known"][0][:32], answers["unknown"][0][:32]) {
		t.Error("two names have one OPRF key")
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	s := newServer(t)
	record, _ := enrol(t, s, "1", "password", cheap)
	_, ke1, err := login([]byte("password"), cheap)
	if err != nil {
		t.Fatal(err)
	}
	bad := [][]byte{nil, make([]byte, 5), make([]byte, RequestSize), bytes.Repeat([]byte{0xff}, RequestSize), bytes.Repeat([]byte{0xff}, KE1Size), make([]byte, 1<<16)}
	for _, b := range bad {
		if _, err := s.Register(b, []byte("1")); err != ErrMessage {
			t.Errorf("request of %d bytes: %v", len(b), err)
		}
		if _, _, err := s.Begin(b, []byte("1"), record); err != ErrMessage {
			t.Errorf("KE1 of %d bytes: %v", len(b), err)
		}
		if err := s.CheckRecord(b); err != ErrMessage {
			t.Errorf("record of %d bytes: %v", len(b), err)
		}
		r, _, err := register([]byte("password"), cheap)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Finish(b); err != ErrMessage {
			t.Errorf("response of %d bytes: %v", len(b), err)
		}
		l, _, err := login([]byte("password"), cheap)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.Finish(b); err != ErrLogin {
			t.Errorf("KE2 of %d bytes: %v", len(b), err)
		}
	}
	if _, _, err := s.Begin(ke1, nil, record); err != ErrMessage {
		t.Errorf("no credential: %v", err)
	}
	if _, _, err := s.Begin(ke1, []byte("1"), make([]byte, RecordSize)); err == nil || err == ErrMessage {
		t.Errorf("a stored record that is none is the server's fault: %v", err)
	}
	if _, err := NewServer(Secret{}); err == nil {
		t.Error("a server without a key")
	}
}

func TestRegistrationsAreDrawnAnew(t *testing.T) {
	s := newServer(t)
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.String().Draw(t, "password")
		r, request, err := register([]byte(password), cheap)
		again, other, err2 := register([]byte(password), cheap)
		if err != nil || err2 != nil || bytes.Equal(request, other) {
			t.Fatalf("the same request twice: %v %v", err, err2)
		}
		for _, one := range []struct {
			*Registration
			request []byte
		}{{r, request}, {again, other}} {
			response, err := s.Register(one.request, []byte("1"))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := one.Finish(response); err != nil {
				t.Fatal(err)
			}
			if _, _, err := one.Finish(response); err == nil {
				t.Fatal("a registration is used twice")
			}
		}
	})
}

func FuzzServer(f *testing.F) {
	s := newServer(f)
	record, _ := enrol(f, s, "1", "password", cheap)
	_, ke1, err := login([]byte("password"), cheap)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ke1)
	f.Add(record)
	f.Fuzz(func(t *testing.T, b []byte) {
		if ke2, _, err := s.Begin(b, []byte("1"), record); err == nil && len(ke2) != KE2Size {
			t.Error(len(ke2))
		}
		if response, err := s.Register(b, []byte("1")); err == nil && len(response) != ResponseSize {
			t.Error(len(response))
		}
		if err := s.CheckRecord(b); err == nil && len(b) != RecordSize {
			t.Error(len(b))
		}
	})
}

func FuzzClient(f *testing.F) {
	f.Add(make([]byte, KE2Size))
	f.Add(make([]byte, ResponseSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, _, err := login([]byte("password"), cheap)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.Finish(b); err != ErrLogin {
			t.Error(err)
		}
	})
}

// TestThreat07Stretching: what passwords are stretched by is compiled in, and is what
// the page says. Two records of one password that were stretched otherwise do not
// open each other, which TestWrongLogins shows.
func TestThreat07Stretching(t *testing.T) {
	o := argon2id.options()
	if !slices.Equal(o.KSFParameters, []uint64{3, 65536, 4}) || !bytes.Equal(o.KSFSalt, make([]byte, 16)) || o.KSFLength != 64 {
		t.Errorf("%v, %x, %d", o.KSFParameters, o.KSFSalt, o.KSFLength)
	}
	s := newServer(t)
	record, export := enrol(t, s, "1", "password", argon2id)
	l, ke1, err := NewLogin([]byte("password"))
	if err != nil {
		t.Fatal(err)
	}
	ke2, _, err := s.Begin(ke1, []byte("1"), record)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := l.Finish(ke2); err != nil || got != export {
		t.Errorf("what is exported stretches otherwise: %v", err)
	}
}
