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
	"time"

	"holdfast/format/id"
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

const noon = 1_800_000_000 // 2027-01-15 08:00 UTC, when the tickets of the vectors end

func ptr(n int64) *int64 { return &n }

func place(k ed25519.PrivateKey, url string) node { return node{1: nodeBytes(k), 2: url} }

func TestUploadTicketVectors(t *testing.T) {
	m := maker{t, "ticket-upload", "upload-ticket", serverKey}
	pair := []any{place(nodeKey, "https://a.example"), place(otherKey, "http://127.0.0.1:9001")}
	least := node{1: run(0, 16), 2: []any{pair}, 3: 1 << 30, 4: noon}
	many := func(chains, nodes int) node {
		return with(least, 2, each(chains, func(int) any {
			return each(nodes, func(i int) any { return place(key(byte(10+i)), "https://n.example/base") })
		}))
	}
	url := func(text string) node {
		return with(least, 2, []any{[]any{place(nodeKey, text), place(otherKey, "https://b.example")}})
	}
	at := func(k ed25519.PrivateKey, now int64, fail string) access {
		return access{Node: nodeBytes(k), Now: now, Fail: fail}
	}
	cases := []vector{
		m.good("one chain of two", least, nil,
			at(nodeKey, noon-300, ""), at(otherKey, noon, ""), at(nodeKey, noon+60, ""), at(nodeKey, noon+61, "expired"),
			at(key(9), noon, "other-node"), at(key(9), noon+61, "expired"), at(nodeKey, 0, "")),
		m.good("eight chains of eight", many(8, 8), nil, at(key(17), noon, ""), at(key(18), noon, "other-node")),
		m.good("budget and expiry 0", with(least, 3, 0, 4, 0), nil, at(nodeKey, 60, ""), at(nodeKey, 61, "expired")),
		m.good("greatest budget and expiry", with(least, 3, wire.MaxInt, 4, wire.MaxInt), nil),
		m.good("address, port and path", url("http://[::1]:65535/store/v1.0/~x%20y/"), nil),
		m.good("URL of 256 bytes", url("https://h.example/"+strings.Repeat("p", 238)), nil),
		m.good("unknown keys from 64 on are ignored", with(least, 64, 1, 70, []any{"x"}), least),
	}
	cases = append(cases, m.bad([]refusal{
		{"upload id missing", with(least, 1, nil)},
		{"chains missing", with(least, 2, nil)},
		{"budget missing", with(least, 3, nil)},
		{"expiry missing", with(least, 4, nil)},
		{"unknown key 5", with(least, 5, 1)},
		{"unknown key 63", with(least, 63, 1)},
		{"upload id of 15 bytes", with(least, 1, run(0, 15))},
		{"no chains", with(least, 2, []any{})},
		{"nine chains", many(9, 2)},
		{"chain of one", many(1, 1)},
		{"chain of nine", many(1, 9)},
		{"empty chain", with(least, 2, []any{pair, []any{}})},
		{"node twice in a chain", with(least, 2, []any{append(pair, pair[0])})},
		{"node without URL", with(least, 2, []any{[]any{pair[0], node{1: nodeBytes(otherKey)}}})},
		{"node with unknown key 3", with(least, 2, []any{[]any{pair[0], with(place(otherKey, "https://b.example"), 3, 1)}})},
		{"negative budget", with(least, 3, -1)},
		{"budget of 2^53", with(least, 3, wire.MaxInt+1)},
		{"budget is text", with(least, 3, "1")},
		{"negative expiry", with(least, 4, -1)},
		{"URL empty", url("")},
		{"URL of another scheme", url("ftp://a.example")},
		{"URL scheme in upper case", url("HTTPS://a.example")},
		{"URL without scheme", url("a.example")},
		{"URL without host", url("https:///x")},
		{"URL with user", url("https://u@a.example")},
		{"URL with user and password", url("https://u:p@a.example")},
		{"URL with query", url("https://a.example/?q")},
		{"URL with fragment", url("https://a.example/#f")},
		{"URL with a space", url("https://a.example/a b")},
		{"URL with a backslash", url("https://a.example\\b")},
		{"URL with a line feed at the end", url("https://a.example\n")},
		{"URL not ASCII", url("https://\u00e4.example")},
		{"URL with port 0", url("https://a.example:0")},
		{"URL with port 65536", url("https://a.example:65536")},
		{"URL with empty port", url("https://a.example:")},
		{"URL of 257 bytes", url("https://h.example/" + strings.Repeat("p", 239))},
	})...)
	cases = append(cases, m.envelopes(least)...)
	check(m, "upload tickets", cases, func(p UploadTicket, a access) error {
		return p.Allows(id.Node(a.Node), time.Unix(a.Now, 0))
	})
}

func TestReadTicketVectors(t *testing.T) {
	m := maker{t, "ticket-read", "read-ticket", serverKey}
	reads := func(first byte, ranges ...any) node { return node{1: run(first, 16), 2: ranges} }
	span := func(i, offset, length int) []any { return []any{name(i), offset, length} }
	nodes := []any{nodeBytes(nodeKey), nodeBytes(otherKey)}
	least := node{1: []any{nodeBytes(nodeKey)}, 2: []any{reads(0, span(1, 0, 1))}, 3: noon}
	usual := node{1: nodes, 2: []any{reads(0, span(1, 0, MaxBlob), span(2, 1000, 500), span(2, 1500, 500)), reads(1, span(3, 16384, 16384))}, 3: noon}
	ranged := func(r ...any) node { return with(least, 2, []any{node{1: run(0, 16), 2: []any{r}}}) }
	at := func(k ed25519.PrivateKey, first byte, blob int, offset, length, now int64, fail string) access {
		return access{Node: nodeBytes(k), Upload: run(first, 16), Blob: name(blob), Offset: ptr(offset), Length: ptr(length), Now: now, Fail: fail}
	}
	cases := []vector{
		m.good("one byte of one blob", least, nil, at(nodeKey, 0, 1, 0, 1, noon, ""), at(nodeKey, 0, 1, 0, 2, noon, "not-listed")),
		m.good("several nodes, uploads and ranges", usual, nil,
			at(nodeKey, 0, 1, 0, MaxBlob, noon, ""), at(otherKey, 0, 1, 8388607, 1, noon-300, ""),
			at(nodeKey, 0, 2, 1000, 500, noon, ""), at(nodeKey, 0, 2, 1200, 100, noon, ""), at(nodeKey, 0, 2, 1500, 500, noon, ""),
			at(nodeKey, 0, 2, 1400, 200, noon, "not-listed"), at(nodeKey, 0, 2, 999, 10, noon, "not-listed"), at(nodeKey, 0, 2, 1000, 501, noon, "not-listed"),
			at(nodeKey, 0, 2, 2000, 1, noon, "not-listed"), at(nodeKey, 0, 2, 1000, 0, noon, "not-listed"),
			at(nodeKey, 1, 1, 0, 1, noon, "not-listed"), at(nodeKey, 0, 3, 16384, 1, noon, "not-listed"), at(nodeKey, 1, 3, 16384, 16384, noon, ""),
			at(nodeKey, 0, 4, 0, 1, noon, "not-listed"), at(nodeKey, 0, 1, 8388607, 2, noon, "not-listed"),
			at(key(9), 0, 1, 0, 1, noon, "other-node"), at(nodeKey, 0, 1, 0, 1, noon+60, ""), at(nodeKey, 0, 1, 0, 1, noon+61, "expired"),
			at(key(9), 0, 4, 0, 1, noon+61, "expired"), at(key(9), 0, 4, 0, 1, noon, "other-node")),
		m.good("sixteen nodes", with(least, 1, each(16, func(i int) any { return nodeBytes(key(byte(10 + i))) })), nil),
		m.good("64 ranges", with(least, 2, []any{node{1: run(0, 16), 2: each(64, func(i int) any { return span(i, i, i+1) })}}), nil),
		m.good("64 uploads", with(least, 2, each(64, func(i int) any { return reads(byte(i), span(i, 0, MaxBlob)) })), nil),
		m.good("last byte of the largest blob", ranged(name(1), MaxBlob-1, 1), nil),
		m.good("unknown keys from 64 on are ignored", with(least, 64, 1), least),
	}
	cases = append(cases, m.bad([]refusal{
		{"nodes missing", with(least, 1, nil)},
		{"uploads missing", with(least, 2, nil)},
		{"expiry missing", with(least, 3, nil)},
		{"unknown key 4", with(least, 4, 1)},
		{"unknown key 63", with(least, 63, 1)},
		{"no nodes", with(least, 1, []any{})},
		{"seventeen nodes", with(least, 1, each(17, func(i int) any { return nodeBytes(key(byte(10 + i))) }))},
		{"node id of 17 bytes", with(least, 1, []any{run(0, 17)})},
		{"no uploads", with(least, 2, []any{})},
		{"65 uploads", with(least, 2, each(65, func(i int) any { return reads(byte(i), span(i, 0, 1)) }))},
		{"upload without ranges", with(least, 2, []any{reads(0)})},
		{"upload with unknown key 3", with(least, 2, []any{with(reads(0, span(1, 0, 1)), 3, 1)})},
		{"65 ranges", with(least, 2, []any{node{1: run(0, 16), 2: each(65, func(i int) any { return span(i, 0, 1) })}})},
		{"range of length 0", ranged(name(1), 0, 0)},
		{"range of negative length", ranged(name(1), 5, -1)},
		{"range from a negative offset", ranged(name(1), -1, 1)},
		{"range beyond the largest blob", ranged(name(1), 1, MaxBlob)},
		{"range from beyond the largest blob", ranged(name(1), MaxBlob, 1)},
		{"range of two elements", ranged(name(1), 0)},
		{"range of four elements", ranged(name(1), 0, 1, 1)},
		{"range is a map", with(least, 2, []any{node{1: run(0, 16), 2: []any{node{1: name(1)}}}})},
		{"blob name of 31 bytes", ranged(run(0, 31), 0, 1)},
		{"blob name is text", ranged(strings.Repeat("n", 32), 0, 1)},
		{"negative expiry", with(least, 3, -1)},
		{"expiry of 2^53", with(least, 3, wire.MaxInt+1)},
	})...)
	oversize := with(least, 2, each(40, func(u int) any {
		return node{1: run(byte(u), 16), 2: each(40, func(i int) any { return span(i, 0, MaxBlob) })}
	}))
	cases = append(cases, m.raw("larger than 64 KiB", "encoding", wire.Seal(m.kind, m.key, wire.Marshal(oversize))))
	cases = append(cases, m.envelopes(least)...)
	check(m, "read tickets", cases, func(p ReadTicket, a access) error {
		return p.Allows(id.Node(a.Node), id.Upload(a.Upload), id.Name(a.Blob), *a.Offset, *a.Length, time.Unix(a.Now, 0))
	})
}

func none[P Payload](P, access) error { return errors.New("this type allows nothing") }

func TestReceiptVectors(t *testing.T) {
	m := maker{t, "receipt", "receipt", nodeKey}
	least := node{1: run(0, 16), 2: nodeBytes(nodeKey), 3: 20833, 4: []any{[]any{name(1), 1}}}
	blobs := func(v ...any) node { return with(least, 4, v) }
	many := func(n int) node { return with(least, 4, each(n, func(i int) any { return []any{name(i), i + 1} })) }
	cases := []vector{
		m.good("one blob of one byte", least, nil),
		m.good("largest blob, day 0", with(blobs([]any{name(1), MaxBlob}, []any{name(2), 1048577}), 3, 0), nil),
		m.good("1024 blobs", many(1024), nil),
		m.good("unknown keys from 64 on are ignored", with(least, 64, "x"), least),
	}
	cases = append(cases, m.bad([]refusal{
		{"upload id missing", with(least, 1, nil)},
		{"node id missing", with(least, 2, nil)},
		{"day missing", with(least, 3, nil)},
		{"blobs missing", with(least, 4, nil)},
		{"unknown key 5", with(least, 5, 1)},
		{"unknown key 63", with(least, 63, 1)},
		{"negative day", with(least, 3, -1)},
		{"day is bytes", with(least, 3, []byte{1})},
		{"no blobs", with(least, 4, []any{})},
		{"1025 blobs", many(1025)},
		{"blob of 0 bytes", blobs([]any{name(1), 0})},
		{"blob of negative size", blobs([]any{name(1), -1})},
		{"blob of more than 8 MiB", blobs([]any{name(1), MaxBlob + 1})},
		{"blob twice", blobs([]any{name(1), 5}, []any{name(2), 5}, []any{name(1), 6})},
		{"blob without size", blobs([]any{name(1)})},
		{"blob name of 33 bytes", blobs([]any{run(0, 33), 1})},
	})...)
	cases = append(cases, m.raw("names another node than signed it", "envelope", wire.Seal(m.kind, m.key, wire.Marshal(with(least, 2, nodeBytes(otherKey))))))
	check(m, "receipts", append(cases, m.envelopes(least)...), none[Receipt])
}

func TestOrderVectors(t *testing.T) {
	m := maker{t, "order", "order", serverKey}
	upload := node{1: nodeBytes(nodeKey), 2: 1, 3: 1, 4: 1, 5: run(0, 16), 8: 20833}
	blobs := with(upload, 3, 2, 4, 2, 6, []any{name(1)})
	keep := func(r ...any) node { return with(upload, 3, 3, 4, 3, 6, []any{name(1)}, 7, r) }
	span := func(i, offset, length int) []any { return []any{name(i), offset, length} }
	repack := keep(span(1, 0, 1048576), span(1, 1048576, 1000), span(1, 5000000, 70000))
	names := func(n int) node { return with(blobs, 6, each(n, func(i int) any { return name(i) })) }
	cases := []vector{
		m.good("delete an upload", upload, nil),
		m.good("delete blobs", blobs, nil),
		m.good("delete 1024 blobs", names(1024), nil),
		m.good("repack", repack, nil),
		m.good("repack, everything kept", keep(span(1, 0, MaxBlob)), nil),
		m.good("repack, 1024 extents", with(repack, 7, each(1024, func(i int) any { return span(1, 8192*i, 8192) })), nil),
		m.good("greatest numbers", with(upload, 2, wire.MaxInt, 3, wire.MaxInt, 8, wire.MaxInt), nil),
		m.good("unknown keys from 64 on are ignored", with(upload, 64, 1), upload),
	}
	cases = append(cases, m.bad([]refusal{
		{"node id missing", with(upload, 1, nil)},
		{"epoch missing", with(upload, 2, nil)},
		{"number missing", with(upload, 3, nil)},
		{"action missing", with(upload, 4, nil)},
		{"upload id missing", with(upload, 5, nil)},
		{"day missing", with(upload, 8, nil)},
		{"unknown key 9", with(upload, 9, 1)},
		{"unknown key 63", with(upload, 63, 1)},
		{"epoch 0", with(upload, 2, 0)},
		{"number 0", with(upload, 3, 0)},
		{"negative number", with(upload, 3, -1)},
		{"number of 2^53", with(upload, 3, wire.MaxInt+1)},
		{"action 0", with(upload, 4, 0)},
		{"action 4", with(upload, 4, 4)},
		{"negative day", with(upload, 8, -1)},
		{"delete an upload, with blobs", with(upload, 6, []any{name(1)})},
		{"delete an upload, with extents", with(upload, 7, []any{span(1, 0, 1)})},
		{"delete blobs, none named", with(blobs, 6, nil)},
		{"delete blobs, empty list", with(blobs, 6, []any{})},
		{"delete blobs, 1025 named", names(1025)},
		{"delete blobs, one twice", with(blobs, 6, []any{name(1), name(1)})},
		{"delete blobs, name of 16 bytes", with(blobs, 6, []any{run(0, 16)})},
		{"delete blobs, with extents", with(blobs, 7, []any{span(1, 0, 1)})},
		{"repack, no blob", with(repack, 6, nil)},
		{"repack, two blobs", with(repack, 6, []any{name(1), name(2)})},
		{"repack, no extents", with(repack, 7, nil)},
		{"repack, empty list of extents", keep()},
		{"repack, 1025 extents", with(repack, 7, each(1025, func(i int) any { return span(1, 4096*i, 4096) }))},
		{"repack, extent of another blob", keep(span(2, 0, 1))},
		{"repack, extents overlap", keep(span(1, 0, 100), span(1, 99, 100))},
		{"repack, extents out of order", keep(span(1, 100, 100), span(1, 0, 100))},
		{"repack, extent of length 0", keep(span(1, 0, 0))},
		{"repack, extent beyond the largest blob", keep(span(1, MaxBlob, 1))},
	})...)
	check(m, "orders", append(cases, m.envelopes(upload)...), none[Order])
}

func TestOrderReceiptVectors(t *testing.T) {
	m := maker{t, "orderreceipt", "order-receipt", nodeKey}
	done := node{1: nodeBytes(nodeKey), 2: 1, 3: 7, 4: 1, 5: 2, 6: 8388609, 7: 20833, 8: name(5)}
	cases := []vector{
		m.good("done", done, nil),
		m.good("done, nothing was there", with(done, 5, 0, 6, 0), nil),
		m.good("refused", with(done, 4, 2, 5, 0, 6, 0, 7, 0), nil),
		m.good("greatest numbers", with(done, 2, wire.MaxInt, 3, wire.MaxInt, 5, wire.MaxInt, 6, wire.MaxInt), nil),
		m.good("unknown keys from 64 on are ignored", with(done, 64, 1), done),
	}
	var refused []refusal
	for k, what := range []string{"", "node id", "epoch", "number", "outcome", "blobs", "bytes", "day", "hash"} {
		if what != "" {
			refused = append(refused, refusal{what + " missing", with(done, k, nil)})
		}
	}
	cases = append(cases, m.bad(append(refused, []refusal{
		{"unknown key 9", with(done, 9, 1)},
		{"unknown key 63", with(done, 63, 1)},
		{"outcome 0", with(done, 4, 0)},
		{"outcome 3", with(done, 4, 3)},
		{"negative epoch", with(done, 2, -1)},
		{"negative number", with(done, 3, -1)},
		{"negative count of blobs", with(done, 5, -1)},
		{"negative bytes", with(done, 6, -1)},
		{"bytes of 2^53", with(done, 6, wire.MaxInt+1)},
		{"negative day", with(done, 7, -1)},
		{"hash of 31 bytes", with(done, 8, run(0, 31))},
	}...))...)
	cases = append(cases, m.raw("names another node than signed it", "envelope", wire.Seal(m.kind, m.key, wire.Marshal(with(done, 1, nodeBytes(otherKey))))))
	check(m, "order receipts", append(cases, m.envelopes(done)...), none[OrderReceipt])
}

func TestDeclarationVectors(t *testing.T) {
	m := maker{t, "declaration", "declaration", nodeKey}
	least := node{1: []byte(public(nodeKey)), 2: "Kauri Storage", 3: "NZ", 4: "https://node.example", 5: 100_000_000_000, 6: 20833}
	full := with(least, 7, "Southern Holding Ltd", 8, "AU", 9, "Rimu Cloud")
	cases := []vector{
		m.good("least", least, nil),
		m.good("every field", full, nil),
		m.good("operator of 128 bytes, capacity and day 0", with(least, 2, strings.Repeat("\u00e9", 64), 5, 0, 6, 0), nil),
		m.good("companies of 256 bytes", with(full, 7, strings.Repeat("p", 256), 9, strings.Repeat("s", 256)), nil),
		m.good("loopback", with(least, 4, "http://127.0.0.1:8101"), nil),
		m.good("unknown keys from 64 on are ignored", with(full, 64, "x"), full),
	}
	var refused []refusal
	for k, what := range []string{"", "public key", "operator", "jurisdiction", "URL", "capacity", "day"} {
		if what != "" {
			refused = append(refused, refusal{what + " missing", with(full, k, nil)})
		}
	}
	cases = append(cases, m.bad(append(refused, []refusal{
		{"unknown key 10", with(least, 10, 1)},
		{"unknown key 63", with(least, 63, 1)},
		{"public key of 31 bytes", with(least, 1, run(0, 31))},
		{"operator empty", with(least, 2, "")},
		{"operator of 129 bytes", with(least, 2, strings.Repeat("o", 129))},
		{"operator is bytes", with(least, 2, []byte("o"))},
		{"jurisdiction in lower case", with(least, 3, "nz")},
		{"jurisdiction not assigned", with(least, 3, "XX")},
		{"jurisdiction user-assigned", with(least, 3, "XK")},
		{"jurisdiction exceptionally reserved", with(least, 3, "EU")},
		{"jurisdiction of three letters", with(least, 3, "NZL")},
		{"jurisdiction empty", with(least, 3, "")},
		{"jurisdiction two at once", with(least, 3, "NZ\nDE")},
		{"URL with query", with(least, 4, "https://node.example?q")},
		{"URL empty", with(least, 4, "")},
		{"negative capacity", with(least, 5, -1)},
		{"negative day", with(least, 6, -1)},
		{"parent company empty", with(least, 7, "")},
		{"parent company of 257 bytes", with(least, 7, strings.Repeat("p", 257))},
		{"site not assigned", with(least, 8, "QQ")},
		{"site empty", with(least, 8, "")},
		{"storage provider empty", with(least, 9, "")},
		{"storage provider of 257 bytes", with(least, 9, strings.Repeat("s", 257))},
	}...))...)
	cases = append(cases, m.raw("names another key than signed it", "envelope", wire.Seal(m.kind, m.key, wire.Marshal(with(least, 1, []byte(public(otherKey)))))))
	check(m, "declarations", append(cases, m.envelopes(least)...), none[Declaration])
}

type codes struct {
	golden.Name
	Codes []string `json:"codes"`
	Fail  string   `json:"fail,omitempty"`
}

func TestJurisdictionVectors(t *testing.T) {
	var yes, no []string
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string(a) + string(b)
			if CheckJurisdiction(code) == nil {
				yes = append(yes, code)
			} else {
				no = append(no, code)
			}
		}
	}
	no = append(no, "", "D", "de", "De", "DEU", "D\u00cb", " DE", "DE\n")
	cases := golden.Sync(t, "declaration-jurisdictions.json", "jurisdictions: the officially assigned alpha-2 codes of ISO 3166-1 (docs/format.md, section 8)", []codes{
		{Name: golden.Name{Name: "assigned"}, Codes: yes},
		{Name: golden.Name{Name: "not assigned"}, Codes: no, Fail: "encoding"},
	})
	for _, c := range cases {
		for _, code := range c.Codes {
			if err := CheckJurisdiction(code); (err != nil) != (c.Fail != "") || err != nil && !isFailure(err, c.Fail) {
				t.Errorf("%q: %v, want %q", code, err, c.Fail)
			}
		}
	}
	if len(cases[0].Codes) != 249 {
		t.Errorf("%d codes are assigned, ISO 3166-1 has 249", len(cases[0].Codes))
	}
}

func TestHeartbeatVectors(t *testing.T) {
	m := maker{t, "heartbeat", "heartbeat", nodeKey}
	usual := node{1: nodeBytes(nodeKey), 2: noon, 3: 123456, 4: 100_000_000_000, 5: 0, 6: 1, 7: 42, 8: "holdfast 1.2.3", 9: run(0, 16)}
	cases := []vector{
		m.good("serving", usual, nil),
		m.good("read-only, more used than its capacity", with(usual, 3, 100_000_000_001, 5, 1), nil),
		m.good("new node", with(usual, 3, 0, 6, 0, 7, 0), nil),
		m.good("all numbers 0, no version text", with(usual, 2, 0, 3, 0, 4, 0, 6, 0, 7, 0, 8, ""), nil),
		m.good("version text of 256 bytes", with(usual, 8, strings.Repeat("v", 256)), nil),
		m.good("unknown keys from 64 on are ignored", with(usual, 64, 1), usual),
	}
	var refused []refusal
	for k, what := range []string{"", "node id", "time", "used", "capacity", "state", "epoch", "order number", "version", "nonce"} {
		if what != "" {
			refused = append(refused, refusal{what + " missing", with(usual, k, nil)})
		}
	}
	cases = append(cases, m.bad(append(refused, []refusal{
		{"unknown key 10", with(usual, 10, 1)},
		{"unknown key 63", with(usual, 63, 1)},
		{"state 2", with(usual, 5, 2)},
		{"negative time", with(usual, 2, -1)},
		{"negative used", with(usual, 3, -1)},
		{"negative capacity", with(usual, 4, -1)},
		{"negative epoch", with(usual, 6, -1)},
		{"negative order number", with(usual, 7, -1)},
		{"time of 2^53", with(usual, 2, wire.MaxInt+1)},
		{"version text of 257 bytes", with(usual, 8, strings.Repeat("v", 257))},
		{"version is bytes", with(usual, 8, []byte("v"))},
		{"nonce of 15 bytes", with(usual, 9, run(0, 15))},
	}...))...)
	cases = append(cases, m.raw("names another node than signed it", "envelope", wire.Seal(m.kind, m.key, wire.Marshal(with(usual, 1, nodeBytes(otherKey))))))
	check(m, "heartbeats", append(cases, m.envelopes(usual)...), none[Heartbeat])
}
