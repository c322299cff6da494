package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

// failName is the name of an error in docs/format.md.
func failName(err error) string {
	var word *WordError
	if errors.As(err, &word) {
		return "word"
	}
	for name, known := range map[string]error{
		"encoding": wire.ErrEncoding, "envelope": wire.ErrEnvelope, "signature": wire.ErrSignature, "wrap": ErrWrap,
		"words": ErrPhraseWords, "checksum": ErrPhraseChecksum, "cut": ErrContactCut, "unknown": ErrContactUnknown,
		"sender": ErrSender, "recipient": ErrRecipient, "purpose": ErrPurpose, "message": ErrMessage, "contact": ErrContact, "account-name": ErrName,
	} {
		if errors.Is(err, known) {
			return name
		}
	}
	if errors.Is(err, ErrContactChecksum) {
		return "checksum"
	}
	return ""
}

type folderVector struct {
	ID    golden.Hex `json:"id"`
	Read  golden.Hex `json:"read"`
	Write golden.Hex `json:"write"`
	Admin golden.Hex `json:"admin"`
}

func folderOf(f Folder) folderVector {
	return folderVector{f.ID[:], f.Read[:], f.WriteSeed[:], f.AdminSeed[:]}
}

type accountVector struct {
	golden.Name
	Account     golden.Hex   `json:"account"`
	Epoch       uint32       `json:"epoch"`
	Root        golden.Hex   `json:"root"`
	Signing     golden.Hex   `json:"signing"`
	Encryption  golden.Hex   `json:"encryption"`
	RootFolder  folderVector `json:"rootFolder"`
	Heads       folderVector `json:"heads"`
	Settings    golden.Hex   `json:"settings"`
	Identity    golden.Hex   `json:"identity"`
	Fingerprint golden.Hex   `json:"fingerprint"`
	Contact     string       `json:"contact"`
}

func accountCase(name string, r Root) accountVector {
	i, settings := r.Identity(), r.Settings()
	return accountVector{
		Name: golden.Name{Name: name}, Account: r.Account[:], Epoch: r.Epoch, Root: r.Key[:],
		Signing: golden.Hex(i.Signing), Encryption: i.box.Bytes(), RootFolder: folderOf(r.RootFolder()), Heads: folderOf(r.Heads()),
		Settings: settings[:], Identity: i.Envelope(), Fingerprint: i.Fingerprint[:], Contact: i.Contact().Code(),
	}
}

func TestAccountVectors(t *testing.T) {
	cases := golden.Sync(t, "account.json", "Account keys (docs/format.md §14): what follows from a root key.", []accountVector{
		accountCase("first epoch", fixed(1, 1)),
		accountCase("another account", fixed(2, 1)),
		accountCase("second epoch", fixed(1, 2)),
		accountCase("last epoch", fixed(200, 1<<32-1)),
	})
	for _, c := range cases {
		r := Root{id.Account(c.Account), c.Epoch, [32]byte(c.Root)}
		i, err := ParseIdentity(c.Identity)
		if err != nil || i.Fingerprint != r.Identity().Fingerprint {
			t.Errorf("%s: %v", c.Name.Name, err)
		}
	}
}

type identityVector struct {
	golden.Name
	Identity golden.Hex `json:"identity"`
	Fail     string     `json:"fail"`
}

func TestIdentityVectors(t *testing.T) {
	r := fixed(1, 1)
	key := r.SigningKey()
	public, box := key.Public().(ed25519.PublicKey), r.decryptionKey().PublicKey().Bytes()
	sign := func(kind string, by ed25519.PrivateKey, p payload) []byte {
		return wire.Seal(kind, by, wire.Marshal(p))
	}
	good := payload{r.Account, 1, public, box}
	flipped := bytes.Clone(sign(identityKind, key, good))
	flipped[len(flipped)-1] ^= 1
	late := good
	late.Epoch = 1 << 32
	none := good
	none.Epoch = 0
	short := good
	short.Signing = public[:31]
	cut := good
	cut.Box = box[:EncryptionKeySize-1]
	bad := good
	bad.Box = bytes.Repeat([]byte{0xff}, EncryptionKeySize)
	cases := []identityVector{}
	small := func(point string) []byte {
		b, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		p := good
		p.Box = append(bytes.Clone(box[:EncryptionKeySize-len(b)]), b...)
		return sign(identityKind, key, p)
	}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"signed by another key", sign(identityKind, fixed(2, 1).SigningKey(), good)},
		{"of another type", sign("message", key, good)},
		{"with a changed signature", flipped},
		{"in epoch 0", sign(identityKind, key, none)},
		{"in an epoch above 2^32-1", sign(identityKind, key, late)},
		{"with a short signing key", sign(identityKind, key, short)},
		{"with a short encryption key", sign(identityKind, key, cut)},
		{"with an encryption key that is none", sign(identityKind, key, bad)},
		{"with 0 for X25519", small(strings.Repeat("00", 32))},
		{"with 1 for X25519", small("01" + strings.Repeat("00", 31))},
		{"with a point of order 8 for X25519", small("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")},
		{"with another point of order 8 for X25519", small("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157")},
		{"with -1 for X25519", small("ec" + strings.Repeat("ff", 30) + "7f")},
		{"with 0 for X25519, written as 2^255-19", small("ed" + strings.Repeat("ff", 30) + "7f")},
		{"with 0 for X25519 and its highest bit set", small(strings.Repeat("00", 31) + "80")},
		{"of no bytes", nil},
		{"with a byte behind it", append(bytes.Clone(r.Identity().Envelope()), 0)},
		{"larger than allowed", make([]byte, MaxIdentity+1)},
	} {
		_, err := ParseIdentity(c.b)
		if err == nil {
			t.Errorf("%s is taken", c.name)
		}
		cases = append(cases, identityVector{golden.Name{Name: c.name}, c.b, failName(err)})
	}
	for _, c := range golden.Sync(t, "identity.json", "Identities that are refused (docs/format.md §14).", cases) {
		if _, err := ParseIdentity(c.Identity); failName(err) != c.Fail || c.Fail == "" {
			t.Errorf("%s: %v", c.Name.Name, err)
		}
	}
}

type wrapVector struct {
	golden.Name
	Account    golden.Hex `json:"account"`
	Epoch      uint32     `json:"epoch"`
	Kind       string     `json:"kind"`
	Secret     golden.Hex `json:"secret"`
	Credential golden.Hex `json:"credential,omitempty"`
	Wrap       golden.Hex `json:"wrap"`
	Root       golden.Hex `json:"root,omitempty"`
	Salt       golden.Hex `json:"salt,omitempty"`
	Fail       string     `json:"fail,omitempty"`
}

func (c wrapVector) wrapper() Wrapper {
	account := id.Account(c.Account)
	switch c.Kind {
	case "password":
		return ByPassword(account, [64]byte(c.Secret))
	case "phrase":
		return ByPhrase(account, Phrase(c.Secret))
	}
	return ByPasskey(account, [32]byte(c.Secret), c.Credential)
}

// goodWraps wrap one root in each way.
func goodWraps(t *testing.T) []wrapVector {
	r := fixed(1, 3)
	var cases []wrapVector
	for i, c := range []wrapVector{
		{Name: golden.Name{Name: "password"}, Kind: "password", Secret: run(7, 64)},
		{Name: golden.Name{Name: "phrase"}, Kind: "phrase", Secret: run(9, 32)},
		{Name: golden.Name{Name: "passkey"}, Kind: "passkey", Secret: run(9, 32), Credential: []byte("credential")},
	} {
		c.Account, c.Epoch, c.Root, c.Salt = r.Account[:], r.Epoch, r.Key[:], run(byte(100+i), 32)
		w := c.wrapper()
		c.Wrap = golden.SealRecord(t, wrapKind, w.purpose[:], c.Salt, w.aad(r), r.Key[:])
		cases = append(cases, c)
	}
	return cases
}

func TestWrapVectors(t *testing.T) {
	cases := goodWraps(t)
	bad := func(name string, of int, change func(c *wrapVector)) {
		c := cases[of]
		c.Name.Name, c.Root, c.Salt, c.Fail = name, nil, nil, "wrap"
		c.Wrap = bytes.Clone(c.Wrap)
		change(&c)
		cases = append(cases, c)
	}
	for _, at := range []int{0, 1, 32, 33, 64, 65, 96, 97, 112} {
		bad("byte "+string(rune('a'+len(cases)))+" changed", 0, func(c *wrapVector) { c.Wrap[at] ^= 1 })
	}
	bad("another epoch", 0, func(c *wrapVector) { c.Epoch = 2 })
	bad("epoch 0", 0, func(c *wrapVector) { c.Epoch = 0 })
	bad("another account", 1, func(c *wrapVector) { c.Account = run(2, 16) })
	bad("another kind", 1, func(c *wrapVector) { c.Kind, c.Credential = "passkey", golden.Hex("credential") })
	bad("another credential", 2, func(c *wrapVector) { c.Credential = golden.Hex("other") })
	bad("another secret", 2, func(c *wrapVector) { c.Secret = run(10, 32) })
	bad("cut", 2, func(c *wrapVector) { c.Wrap = c.Wrap[:WrapSize-1] })
	bad("longer", 2, func(c *wrapVector) { c.Wrap = append(c.Wrap, 0) })
	bad("nothing", 0, func(c *wrapVector) { c.Wrap = nil })
	bad("a root key of 31 bytes", 0, func(c *wrapVector) {
		w := c.wrapper()
		c.Wrap = golden.SealRecord(t, wrapKind, w.purpose[:], run(90, 32), w.aad(fixed(1, 3)), run(17, 31))
	})
	for _, c := range golden.Sync(t, "wrap.json", "Wraps of root keys (docs/format.md §14).", cases) {
		got, err := c.wrapper().Unwrap(c.Epoch, c.Wrap)
		if failName(err) != c.Fail || err == nil && !bytes.Equal(got.Key[:], c.Root) {
			t.Errorf("%s: %v", c.Name.Name, err)
		}
	}
}

type phraseVector struct {
	golden.Name
	Text     string     `json:"text"`
	Entropy  golden.Hex `json:"entropy,omitempty"`
	Auth     golden.Hex `json:"auth,omitempty"`
	AuthHash golden.Hex `json:"authHash,omitempty"`
	Position int        `json:"position,omitempty"`
	Nearest  []string   `json:"nearest,omitempty"`
	Fail     string     `json:"fail,omitempty"`
}

func phraseCase(name, text string) phraseVector {
	c := phraseVector{Name: golden.Name{Name: name}, Text: text}
	p, err := ParsePhrase(text)
	var word *WordError
	if errors.As(err, &word) {
		c.Position, c.Nearest = word.Position, word.Nearest
	}
	if c.Fail = failName(err); c.Fail != "" {
		return c
	}
	auth := p.Auth()
	hash := HashAuth(auth)
	c.Entropy, c.Auth, c.AuthHash = p[:], auth[:], hash[:]
	return c
}

func TestPhraseVectors(t *testing.T) {
	words := Phrase(run(3, 32)).Words()
	with := func(at int, word string) string {
		w := slices.Clone(words)
		w[at] = word
		return strings.Join(w, " ")
	}
	text := strings.Join(words, " ")
	cases := golden.Sync(t, "phrase.json", "Recovery phrases (docs/format.md §14).", []phraseVector{
		phraseCase("all zero", strings.Repeat("abandon ", 23)+"art"),
		phraseCase("all one", strings.Repeat("zoo ", 23)+"vote"),
		phraseCase("any other", text),
		phraseCase("in capitals, on lines", " "+strings.ReplaceAll(strings.ToUpper(text), " ", "\r\n\t")+"\v\f"),
		phraseCase("wide letters, other spaces", strings.Map(func(r rune) rune { return r - 'a' + 'ａ' }, words[0])+"\u3000"+strings.Join(words[1:], "\u00a0")),
		phraseCase("one word too few", strings.Join(words[1:], " ")),
		phraseCase("one word too many", text+" zoo"),
		phraseCase("nothing", ""),
		phraseCase("more than 4,096 bytes in fewer characters", strings.Join(words, strings.Repeat("\u3000", 60))),
		phraseCase("a line separator is no space", strings.Replace(text, " ", "\u2028", 1)),
		phraseCase("a typo", with(6, "abandn")),
		phraseCase("a typo in the last word", with(23, "zooo")),
		phraseCase("an accent", with(0, "caf\u00e9")),
		phraseCase("far from everything", with(0, "qqqqqqqqqqqqqqqq")),
		phraseCase("two exchanged", strings.Join(append([]string{words[1], words[0]}, words[2:]...), " ")),
	})
	for _, c := range cases {
		p, err := ParsePhrase(c.Text)
		if failName(err) != c.Fail || err == nil && !bytes.Equal(p[:], c.Entropy) {
			t.Errorf("%s: %v", c.Name.Name, err)
		}
	}
}

type contactVector struct {
	golden.Name
	Text     string     `json:"text"`
	Identity golden.Hex `json:"identity,omitempty"`
	Fail     string     `json:"fail,omitempty"`
}

func TestContactVectors(t *testing.T) {
	mine, other := fixed(1, 1).Identity(), fixed(2, 1).Identity()
	code := mine.Contact().Code()
	next := fixed(1, 2).Identity()
	last := code[:len(code)-1] + map[bool]string{true: "2", false: "3"}[code[len(code)-1] != '2']
	vector := func(name, text string, i []byte, fail string) contactVector {
		return contactVector{golden.Name{Name: name}, text, i, fail}
	}
	cases := golden.Sync(t, "contact.json", "Contact codes (docs/format.md §14).", []contactVector{
		vector("as written", code, mine.Envelope(), ""),
		vector("in lower case, without groups", strings.ToLower(strings.ReplaceAll(code, "-", "")), mine.Envelope(), ""),
		vector("on lines, with letters that look like digits", " "+strings.NewReplacer("-", "\r\n", "0", "o", "1", "L").Replace(code), mine.Envelope(), ""),
		vector("of somebody else", other.Contact().Code(), mine.Envelope(), "contact"),
		vector("of another epoch", code, next.Envelope(), "contact"),
		vector("cut", code[:40], nil, "cut"),
		vector("with a group more", code+"-0000", nil, "cut"),
		vector("with a letter more", code+"0", nil, "cut"),
		vector("with a letter less", code[:len(code)-1], nil, "cut"),
		vector("nothing", "", nil, "cut"),
		vector("with a letter that is none", code[:len(code)-1]+"U", nil, "cut"),
		vector("with a long s", code[:len(code)-1]+"\u017f", nil, "cut"),
		vector("with a no-break space", code+"\u00a0", nil, "cut"),
		vector("of a later version", "08"+code[2:], nil, "unknown"),
		vector("with another last letter", last, nil, "checksum"),
		vector("an address", mine.Contact().Address("https://files.example"), mine.Envelope(), ""),
		vector("an address with port and path, white space, small letters", "\n\thttp://[::1]:8080/at/c# "+strings.ToLower(code)+" \r\n", mine.Envelope(), ""),
		vector("an address of a link", "https://files.example/s#"+code, nil, "cut"),
		vector("an address with a query", "https://files.example/c?x#"+code, nil, "cut"),
		vector("an address without scheme", "files.example/c#"+code, nil, "cut"),
		vector("an address of another scheme", "javascript:/c#"+code, nil, "cut"),
		vector("an address with a user", "https://a@files.example/c#"+code, nil, "cut"),
		vector("an address with a port out of range", "https://files.example:65536/c#"+code, nil, "cut"),
		vector("an address without code", "https://files.example/c#", nil, "cut"),
		vector("an address with two codes", "https://files.example/c#"+code+"#"+code, nil, "cut"),
		vector("an address behind a no-break space", "\u00a0https://files.example/c#"+code, nil, "cut"),
		vector("1,025 bytes", code+strings.Repeat(" ", 1025-len(code)), nil, "cut"),
		vector("1,024 bytes", code+strings.Repeat(" ", 1024-len(code)), mine.Envelope(), ""),
		vector("an address with a mistyped code", "https://files.example/c#"+last, nil, "checksum"),
	})
	for _, c := range cases {
		contact, err := ParseContact(c.Text)
		if err == nil {
			i, parsed := ParseIdentity(c.Identity)
			if err = parsed; err == nil {
				err = contact.Check(i)
			}
		}
		if failName(err) != c.Fail {
			t.Errorf("%s: %v", c.Name.Name, err)
		}
	}
}

type safetyVector struct {
	golden.Name
	A      golden.Hex `json:"a"`
	B      golden.Hex `json:"b"`
	Number string     `json:"number"`
}

func TestSafetyVectors(t *testing.T) {
	var cases []safetyVector
	for name, pair := range map[string][2]Root{"two people": {fixed(1, 1), fixed(2, 1)}, "one of them with a new root": {fixed(1, 2), fixed(2, 1)}} {
		a, b := pair[0].Identity(), pair[1].Identity()
		cases = append(cases, safetyVector{golden.Name{Name: name}, a.Envelope(), b.Envelope(), SafetyNumber(a, b)})
	}
	slices.SortFunc(cases, func(a, b safetyVector) int { return strings.Compare(a.Name.Name, b.Name.Name) })
	golden.Sync(t, "safety.json", "Safety numbers (docs/format.md §14).", cases)
}

type messageVector struct {
	golden.Name
	Account golden.Hex `json:"account"`
	Epoch   uint32     `json:"epoch"`
	Root    golden.Hex `json:"root"`
	Sender  golden.Hex `json:"sender"`
	Purpose string     `json:"purpose"`
	Message golden.Hex `json:"message"`
	Text    golden.Hex `json:"text,omitempty"`
	Fail    string     `json:"fail,omitempty"`
}

// keptMessage is a message as it stands in the file, because sealing draws a key: it
// is made anew only where there is none.
func keptMessage(t *testing.T, name string, fresh func() []byte) []byte {
	t.Helper()
	if _, err := os.Stat(filepath.Join(golden.Dir, "message.json")); err == nil {
		for _, c := range golden.Read[messageVector](t, "message.json") {
			if c.Name.Name == name {
				return c.Message
			}
		}
	}
	return fresh()
}

func TestMessageVectors(t *testing.T) {
	from, to := fixed(1, 1), fixed(2, 1)
	a, b := from.Identity(), to.Identity()
	vector := func(name string, text []byte, fail string, fresh func() []byte) messageVector {
		return messageVector{
			Name: golden.Name{Name: name}, Account: to.Account[:], Epoch: to.Epoch, Root: to.Key[:], Sender: a.Envelope(), Purpose: invitation,
			Message: keptMessage(t, name, fresh), Text: text, Fail: fail,
		}
	}
	good := vector("a text", []byte("text"), "", func() []byte { return from.Send(b, invitation, []byte("text")) })
	part := func(change func(m *message)) func() []byte {
		return func() []byte {
			signed, err := wire.Open(messageKind, a.Signing, good.Message)
			if err != nil {
				t.Fatal(err)
			}
			var m message
			if err := wire.Unmarshal(signed, wire.MaxEnvelope, &m); err != nil {
				t.Fatal(err)
			}
			m.Sealed = bytes.Clone(m.Sealed)
			change(&m)
			return forge(from, m)
		}
	}
	raw := func(m map[int]any) func() []byte {
		return func() []byte { return wire.Seal(messageKind, from.SigningKey(), wire.Marshal(m)) }
	}
	other, stranger := fixed(3, 1).Identity(), fixed(3, 1)
	cases := golden.Sync(t, "message.json", "Messages to people (docs/format.md §15).", []messageVector{
		good,
		vector("nothing in it", []byte{}, "", func() []byte { return from.Send(b, invitation, nil) }),
		vector("signed by a stranger", nil, "envelope", func() []byte { return stranger.Send(b, invitation, []byte("text")) }),
		vector("with a changed signature", nil, "signature", func() []byte {
			m := bytes.Clone(good.Message)
			m[len(m)-1] ^= 1
			return m
		}),
		vector("of another type", nil, "envelope", func() []byte { return wire.Seal("receipt", from.SigningKey(), []byte{0xa0}) }),
		vector("without a purpose's key", nil, "encoding", func() []byte { return wire.Seal(messageKind, from.SigningKey(), []byte{0xa0}) }),
		vector("that says another sender", nil, "sender", part(func(m *message) { m.Sender = other.Fingerprint })),
		vector("to somebody else", nil, "recipient", func() []byte { return from.Send(other, invitation, []byte("text")) }),
		vector("for another purpose", nil, "purpose", func() []byte { return from.Send(b, "grant", []byte("text")) }),
		vector("under another purpose's name", nil, "message", func() []byte {
			return forge(from, message{invitation, a.Fingerprint, b.Fingerprint, sealed(t, a, b, "grant")})
		}),
		vector("with a changed key", nil, "message", part(func(m *message) { m.Sealed[0] ^= 1 })),
		vector("with a changed last byte", nil, "message", part(func(m *message) { m.Sealed[len(m.Sealed)-1] ^= 1 })),
		vector("sent by the twin in TypeScript", []byte("from a browser"), "", func() []byte {
			t.Fatal("it stands in the file alone: web/src/format/message.ts made it")
			return nil
		}),
		vector("whose sender is no fingerprint", nil, "encoding", raw(map[int]any{1: invitation, 2: a.Fingerprint[:31], 3: b.Fingerprint[:], 4: make([]byte, encSize+gcmTag)})),
		vector("whose recipient is no fingerprint", nil, "encoding", raw(map[int]any{1: invitation, 2: a.Fingerprint[:], 3: make([]byte, 33), 4: make([]byte, encSize+gcmTag)})),
		vector("too short", nil, "encoding", part(func(m *message) { m.Sealed = m.Sealed[:encSize+gcmTag-1] })),
	})
	for _, c := range cases {
		sender, err := ParseIdentity(c.Sender)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Root{id.Account(c.Account), c.Epoch, [32]byte(c.Root)}.Receive(sender, c.Purpose, c.Message)
		if failName(err) != c.Fail || err == nil && !bytes.Equal(got, c.Text) {
			t.Errorf("%s: %v", c.Name.Name, err)
		}
	}
}

// TestIdsAreAccountAndEpoch: what everything is bound to, as the page writes it.
func TestIdsAreAccountAndEpoch(t *testing.T) {
	want := binary.BigEndian.AppendUint32(run(1, 16), 0x01020304)
	if got := fixed(1, 0x01020304).ids(); !bytes.Equal(got, want) {
		t.Errorf("%x", got)
	}
}
