package ticket

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

type node = map[int64]any

// key is the private key whose seed is 32 times b.
func key(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

var (
	serverKey = key(1)
	nodeKey   = key(2)
	otherKey  = key(3)
)

// run is n bytes counting up from first.
func run(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func nodeBytes(k ed25519.PrivateKey) []byte { v := NodeID(public(k)); return v[:] }

// with is a copy of m with pairs set; a nil value takes the key away.
func with(m node, pairs ...any) node {
	out := maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		k := int64(pairs[i].(int))
		if pairs[i+1] == nil {
			delete(out, k)
			continue
		}
		out[k] = pairs[i+1]
	}
	return out
}

func each(n int, f func(i int) any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

// name is the i-th of many blob names.
func name(i int) []byte { sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)}); return sum[:] }

type access struct {
	Node   golden.Hex `json:"node"`
	Upload golden.Hex `json:"upload,omitempty"`
	Blob   golden.Hex `json:"blob,omitempty"`
	Offset *int64     `json:"offset,omitempty"`
	Length *int64     `json:"length,omitempty"`
	Now    int64      `json:"now"`
	Fail   string     `json:"fail,omitempty"`
}

type vector struct {
	golden.Name
	Type      string        `json:"type"`
	PublicKey golden.Hex    `json:"publicKey"`
	Seed      golden.Hex    `json:"seed,omitempty"`
	Envelope  golden.Data   `json:"envelope"`
	Text      string        `json:"text,omitempty"`
	Value     golden.Object `json:"value,omitempty"`
	Again     *bool         `json:"again,omitempty"`
	Digest    golden.Hex    `json:"digest,omitempty"`
	Allows    []access      `json:"allows,omitempty"`
	Fail      string        `json:"fail,omitempty"`
}

// maker makes the cases of one type, signed by one key.
type maker struct {
	t    *testing.T
	file string // name of the vector file, without .json
	kind string
	key  ed25519.PrivateKey
}

// large is the size from which on an envelope lies in a file of its own and is
// not spelled out as a value.
const large = 8 << 10

func (m maker) good(name string, payload, known node, allows ...access) vector {
	again := known == nil
	if again {
		known = payload
	}
	raw := wire.Marshal(payload)
	digest := sha256.Sum256(raw)
	v := m.raw(name, "", wire.Seal(m.kind, m.key, raw))
	v.Seed, v.Digest, v.Again, v.Allows = m.key.Seed(), digest[:], &again, allows
	if len(v.Envelope.Bytes) < large {
		v.Text = Text(v.Envelope.Bytes)
		v.Value = golden.Value(m.t, wire.Marshal(known))
	}
	return v
}

func (m maker) raw(name, fail string, envelope []byte) vector {
	v := vector{Name: golden.Name{Name: name}, Type: m.kind, PublicKey: golden.Hex(public(m.key)), Envelope: golden.Inline(envelope), Fail: fail}
	if len(envelope) >= large {
		v.Envelope = golden.Beside(m.t, m.file+"-"+strings.ReplaceAll(strings.ReplaceAll(name, ",", ""), " ", "-")+".bin", envelope)
	}
	return v
}

type refusal struct {
	name string
	m    node
}

// bad are payloads that are signed well and break a rule.
func (m maker) bad(refused []refusal) []vector {
	var cases []vector
	for _, r := range refused {
		cases = append(cases, m.raw(r.name, "encoding", wire.Seal(m.kind, m.key, wire.Marshal(r.m))))
	}
	return cases
}

// envelopes are the failures that every type has.
func (m maker) envelopes(payload node) []vector {
	raw := wire.Marshal(payload)
	whole := wire.Seal(m.kind, m.key, raw)
	changed := wire.Marshal(with(payload, 64, "changed"))
	forged := wire.Envelope{Type: m.kind, Key: wire.KeyID(public(m.key)), Payload: raw}
	swapped, foreign := forged, forged
	swapped.Payload, swapped.Signature = changed, ed25519.Sign(m.key, append([]byte("holdfast/v1/"+m.kind+"\x00"), raw...))
	foreign.Signature = ed25519.Sign(key(9), append([]byte("holdfast/v1/"+m.kind+"\x00"), raw...))
	cut := forged
	cut.Signature = swapped.Signature[:63]
	renamed := forged
	renamed.Signature = ed25519.Sign(m.key, append([]byte("holdfast/v1/other\x00"), raw...))
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-1] ^= 1
	return []vector{
		m.raw("signed by a key that is not accepted", "envelope", wire.Seal(m.kind, key(9), raw)),
		m.raw("another type", "envelope", wire.Seal("other", m.key, raw)),
		m.raw("accepted key id, signed by another key", "signature", wire.Marshal(foreign)),
		m.raw("payload changed after signing", "signature", wire.Marshal(swapped)),
		m.raw("signed as another type", "signature", wire.Marshal(renamed)),
		m.raw("bit flipped in the signature", "signature", flipped),
		m.raw("signature of 63 bytes", "encoding", wire.Marshal(cut)),
		m.raw("envelope cut", "encoding", whole[:len(whole)-1]),
		m.raw("envelope with a byte too many", "encoding", append(bytes.Clone(whole), 0)),
		m.raw("empty payload", "encoding", wire.Seal(m.kind, m.key, nil)),
		m.raw("payload with a byte too many", "encoding", wire.Seal(m.kind, m.key, append(bytes.Clone(raw), 0))),
		m.raw("payload is an array", "encoding", wire.Seal(m.kind, m.key, []byte{0x80})),
	}
}

var sentinels = map[string]error{
	"encoding": wire.ErrEncoding, "envelope": wire.ErrEnvelope, "signature": wire.ErrSignature,
	"expired": ErrExpired, "other-node": ErrOtherNode, "not-listed": ErrNotListed,
}

func isFailure(err error, name string) bool {
	want, known := sentinels[name]
	return known && errors.Is(err, want)
}

func check[P Payload](m maker, about string, cases []vector, allows func(P, access) error) {
	t := m.t
	t.Helper()
	cases = golden.Sync(t, m.file+".json", about+" (docs/format.md, section 8; fields in docs/vectors.md)", cases)
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			p, err := Open[P](ed25519.PublicKey(c.PublicKey), c.Envelope.Bytes)
			if c.Fail != "" {
				if !isFailure(err, c.Fail) {
					t.Fatalf("want %s, have %v", c.Fail, err)
				}
				t.Log(err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkGood(t, c, p)
			for i, a := range c.Allows {
				if err := allows(p, a); a.Fail == "" && err != nil || a.Fail != "" && !isFailure(err, a.Fail) {
					t.Errorf("access %d: want %q, have %v", i, a.Fail, err)
				}
			}
		})
	}
}

func checkGood[P Payload](t *testing.T, c vector, p P) {
	t.Helper()
	if c.Type != p.kind() {
		t.Fatalf("type %s", c.Type)
	}
	if have := golden.Value(t, wire.Marshal(p)); c.Value != nil && !reflect.DeepEqual(have, c.Value) {
		t.Fatalf("decoded as %v\nwant %v", have, c.Value)
	}
	private := ed25519.NewKeyFromSeed(c.Seed)
	again, err := Sign(private, p)
	if err != nil || bytes.Equal(again, c.Envelope.Bytes) != *c.Again {
		t.Fatalf("signing again gives %x, %v", again, err)
	}
	if c.Text != "" && c.Text != Text(c.Envelope.Bytes) {
		t.Fatal("the text is another")
	}
	fromText, err := OpenText[P](public(private), Text(c.Envelope.Bytes))
	if err != nil || !reflect.DeepEqual(fromText, p) {
		t.Fatalf("from text: %v", err)
	}
	if digest, err := Digest(c.Envelope.Bytes); err != nil || !bytes.Equal(digest[:], c.Digest) {
		t.Fatalf("digest %x, %v", digest, err)
	}
}
