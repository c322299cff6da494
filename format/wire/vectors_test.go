package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
)

// shape is the sample of docs/vectors.md.
type shape struct {
	N     uint64  `cbor:"1,keyasint"`
	Raw   []byte  `cbor:"2,keyasint"`
	Text  string  `cbor:"3,keyasint,omitempty"`
	ID    id.File `cbor:"4,keyasint"`
	Sub   *inner  `cbor:"5,keyasint,omitempty"`
	Pairs []duo   `cbor:"6,keyasint,omitempty"`
	Deep  *shape  `cbor:"7,keyasint,omitempty"`
}

type inner struct {
	N  int64 `cbor:"1,keyasint"`
	On bool  `cbor:"2,keyasint,omitempty"`
}

type duo struct {
	_   struct{} `cbor:",toarray"`
	Raw []byte
	N   int64
}

type cborVector struct {
	golden.Name
	Bytes golden.Hex    `json:"bytes"`
	Max   int           `json:"max"`
	Value golden.Object `json:"value,omitempty"`
	Again *bool         `json:"again,omitempty"`
	Fail  string        `json:"fail,omitempty"`
}

const idHex = "50000102030405060708090a0b0c0d0e0f" // as key 4

// sampleHex joins the entries of a map in hexadecimal, of which {1: 5}, {2: h'01'}
// and {4: id} are there unless replaced.
func sampleHex(entries map[int]string) string {
	all := map[int]string{1: "05", 2: "4101", 4: idHex}
	for k, v := range entries {
		all[k] = v
	}
	keys := make([]int, 0, len(all))
	for k, v := range all {
		if v != "" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	out := fmt.Sprintf("%02x", 0xa0+len(keys))
	for _, k := range keys {
		switch {
		case k < 0:
			return "a0" // negative keys sort last; written out where needed
		case k < 24:
			out += fmt.Sprintf("%02x", k)
		default:
			out += fmt.Sprintf("18%02x", k)
		}
		out += all[k]
	}
	return out
}

func with(key int, value string) string { return sampleHex(map[int]string{key: value}) }

func nested(levels int) string {
	out := sampleHex(nil)
	for range levels - 1 {
		out = with(7, out)
	}
	return out
}

func cborVectors(t *testing.T) []cborVector {
	var out []cborVector
	b := func(s string) []byte {
		raw, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(s, err)
		}
		return raw
	}
	for _, g := range goodCBOR() {
		again := g.known == ""
		if again {
			g.known = g.hex
		}
		out = append(out, cborVector{golden.Name{Name: g.name}, b(g.hex), 4096, golden.Value(t, b(g.known)), &again, ""})
	}
	for _, f := range badCBOR() {
		out = append(out, cborVector{Name: golden.Name{Name: f[0]}, Bytes: b(f[1]), Max: 4096, Fail: "encoding"})
	}
	members := "b91001" // a map of 4,097
	for i := range 4097 {
		members += hex.EncodeToString(shortest(i)) + "40"
	}
	plain, again := golden.Value(t, b(sampleHex(nil))), false
	out = append(out, cborVector{golden.Name{Name: "map of 4,097 in an ignored value"}, b(with(64, members)), 1 << 16, plain, &again, ""})
	least := b(sampleHex(nil))
	return append(out, cborVector{Name: golden.Name{Name: "longer than allowed"}, Bytes: least, Max: len(least) - 1, Fail: "encoding"})
}

type goodCase struct{ name, hex, known string }

func goodCBOR() []goodCase {
	plain := sampleHex(nil)
	return []goodCase{
		{"least", plain, ""},
		{"every key", sampleHex(map[int]string{3: "6178", 5: "a2012002f5", 6: "8182410207", 7: plain}), ""},
		{"uint 0", with(1, "00"), ""},
		{"uint 23", with(1, "17"), ""},
		{"uint 24", with(1, "1818"), ""},
		{"uint 255", with(1, "18ff"), ""},
		{"uint 256", with(1, "190100"), ""},
		{"uint 65535", with(1, "19ffff"), ""},
		{"uint 65536", with(1, "1a00010000"), ""},
		{"uint 2^32-1", with(1, "1affffffff"), ""},
		{"uint 2^32", with(1, "1b0000000100000000"), ""},
		{"uint 2^53-1", with(1, "1b001fffffffffffff"), ""},
		{"int -1", with(5, "a10120"), ""},
		{"int -24", with(5, "a10137"), ""},
		{"int -25", with(5, "a1013818"), ""},
		{"int 1-2^53", with(5, "a1013b001ffffffffffffe"), ""},
		{"empty byte string", with(2, "40"), ""},
		{"byte string of 24", with(2, "5818"+strings.Repeat("aa", 24)), ""},
		{"byte string that looks like integers beyond 2^53", with(2, "4a1bffffffffffffffff1b"), ""},
		{"text of two, three and four bytes a character", with(3, "69c3a9e282acf09f9880"), ""},
		{"text with NUL", with(3, "6100"), ""},
		{"16 maps deep", nested(16), ""},
		{"15 arrays inside the map, in an ignored value", with(64, strings.Repeat("81", 14)+"80"), plain},
		{"key 64 ignored", with(64, "01"), plain},
		{"keys 64, 65, 255 ignored", sampleHex(map[int]string{64: "80", 65: "a0", 255: "f4"}), plain},
		{"key 64 holds everything that is allowed", with(64, "87"+"20"+"40"+"60"+"80"+"a1"+"20"+"01"+"f4"+"f5"), plain},
		{"key 64 in an inner map", with(5, "a201031840f5"), with(5, "a10103")},
		{"key 64 in a map within key 7", with(7, with(64, "01")), with(7, plain)},
		{"key 64 holds a map with keys below 64", with(64, "a2000120a0"), plain},
		{"key 2^53-1 ignored", "a4" + sampleHex(nil)[2:] + "1b001fffffffffffff00", plain},
	}
}

func badCBOR() [][2]string {
	body := sampleHex(nil)[2:]
	id15, id17 := "4f"+strings.Repeat("00", 15), "51"+strings.Repeat("00", 17)
	return [][2]string{
		{"nothing", ""},
		{"not a map", "05"},
		{"empty map", "a0"},
		{"array of the values", "83" + "05" + "4101" + idHex},
		{"key 1 missing", sampleHex(map[int]string{1: ""})},
		{"key 2 missing", sampleHex(map[int]string{2: ""})},
		{"key 4 missing", sampleHex(map[int]string{4: ""})},
		{"key 8 unknown", with(8, "01")},
		{"key 63 unknown", with(63, "01")},
		{"key 0 unknown", with(0, "01")},
		{"key -1 unknown", "a4" + body + "2001"},
		{"key 63 unknown in an inner map", with(5, "a20103183f01")},
		{"key 8 unknown beside key 64", sampleHex(map[int]string{8: "01", 64: "01"})},
		{"text key", "a4" + body + "617801"},
		{"byte string key", "a4" + body + "417801"},
		{"true as key", "a4" + body + "f501"},
		{"text key inside an ignored value", with(64, "a1617801")},
		{"text key after an ignored one", "a5" + body + "184001" + "617801"},
		{"keys not sorted", "a3" + "024101" + "0105" + "04" + idHex},
		{"keys not sorted inside an ignored value", with(64, "a202010101")},
		{"key 64 before the others", "a4" + "184001" + body},
		{"negative key before a positive one inside an ignored value", with(64, "a220010001")},
		{"key twice", "a4" + "0105" + "0105" + "024101" + "04" + idHex},
		{"key twice inside an ignored value", with(64, "a201010101")},
		{"negative key twice inside an ignored value", with(64, "a220002000")},
		{"key 0 twice inside an ignored value", with(64, "a200000000")},
		{"key 0 after another inside an ignored value", with(64, "a201000000")},
		{"key 64 twice", "a5" + body + "184001" + "184001"},
		{"trailing byte", sampleHex(nil) + "00"},
		{"two values", sampleHex(nil) + sampleHex(nil)},
		{"last byte missing", sampleHex(nil)[:len(sampleHex(nil))-2]},
		{"map promises one entry more", "a4" + body},
		{"map promises 2^32 entries", "ba" + "ffffffff" + body},
		{"byte string promises 2^62 bytes", with(2, "5b400000000000000001")},
		{"array promises 2^62 values", with(6, "9b4000000000000000")},
		{"float for an integer", with(1, "f94500")},
		{"float of 4 bytes", with(1, "fa40a00000")},
		{"float of 8 bytes", with(1, "fb4014000000000000")},
		{"float inside an ignored value", with(64, "f94500")},
		{"NaN inside an ignored value", with(64, "f97e00")},
		{"null for a byte string", with(2, "f6")},
		{"null for an optional text", with(3, "f6")},
		{"null for an optional map", with(5, "f6")},
		{"null for an optional array", with(6, "f6")},
		{"null inside an ignored value", with(64, "f6")},
		{"undefined for an optional map", with(5, "f7")},
		{"undefined inside an ignored value", with(64, "f7")},
		{"simple value 16 inside an ignored value", with(64, "f0")},
		{"simple value 255 inside an ignored value", with(64, "f8ff")},
		{"simple value 20 in two bytes", with(64, "f814")},
		{"tag", with(1, "c105")},
		{"tag before everything", "d9d9f7" + sampleHex(nil)},
		{"tag inside an ignored value", with(64, "c101")},
		{"big number inside an ignored value", with(64, "c24101")},
		{"indefinite map", "bf" + body + "ff"},
		{"indefinite byte string", with(2, "5f4101ff")},
		{"indefinite text", with(3, "7f6178ff")},
		{"indefinite array", with(6, "9f82410207ff")},
		{"indefinite array inside an ignored value", with(64, "9fff")},
		{"reserved length", with(1, "1c")},
		{"integer 5 in two bytes", with(1, "1805")},
		{"integer 255 in three bytes", with(1, "1900ff")},
		{"integer 65535 in five bytes", with(1, "1a0000ffff")},
		{"integer 2^32-1 in nine bytes", with(1, "1b00000000ffffffff")},
		{"long form inside an ignored value", with(64, "1801")},
		{"length in a long form", with(2, "580101")},
		{"map length in a long form", "b803" + body},
		{"key in a long form", "a3" + "180105" + "024101" + "04" + idHex},
		{"integer 2^53", with(1, "1b0020000000000000")},
		{"integer 2^64-1", with(1, "1bffffffffffffffff")},
		{"integer -2^53", with(5, "a1013b001fffffffffffff")},
		{"integer -2^64", with(5, "a1013bffffffffffffffff")},
		{"integer 2^53 inside an ignored value", with(64, "1b0020000000000000")},
		{"integer -2^53 inside an ignored value", with(64, "3b001fffffffffffff")},
		{"key 2^53", "a4" + body + "1b002000000000000000"},
		{"negative for uint", with(1, "20")},
		{"text for uint", with(1, "6135")},
		{"true for uint", with(1, "f5")},
		{"byte string for text", with(3, "4178")},
		{"text for byte string", with(2, "6178")},
		{"array of integers for byte string", with(2, "8101")},
		{"integer for text", with(3, "05")},
		{"array for map", with(5, "80")},
		{"map for array", with(6, "a0")},
		{"id of 15 bytes", sampleHex(map[int]string{4: id15})},
		{"id of 17 bytes", sampleHex(map[int]string{4: id17})},
		{"id as 16 integers", sampleHex(map[int]string{4: "90" + strings.Repeat("00", 16)})},
		{"empty optional text", with(3, "60")},
		{"empty optional array", with(6, "80")},
		{"false written out", with(5, "a2010302f4")},
		{"integer for true", with(5, "a201030201")},
		{"inner key missing", with(5, "a102f5")},
		{"inner map empty", with(5, "a0")},
		{"pair of one", with(6, "81814102")},
		{"pair of three", with(6, "818341020707")},
		{"pair as a map", with(6, "81a241020700")},
		{"text not UTF-8", with(3, "61ff")},
		{"text cut within a character", with(3, "61c3")},
		{"text with a surrogate", with(3, "63eda080")},
		{"text in a long form of a character", with(3, "62c080")},
		{"text beyond U+10FFFF", with(3, "64f4908080")},
		{"text not UTF-8 inside an ignored value", with(64, "61ff")},
		{"17 maps deep", nested(17)},
		{"16 arrays inside the map, in an ignored value", with(64, strings.Repeat("81", 15)+"80")},
	}
}

func TestCBORVectors(t *testing.T) {
	for _, c := range golden.Sync(t, "cbor.json", "Deterministic CBOR of the sample in docs/vectors.md (docs/format.md §7)", cborVectors(t)) {
		t.Run(c.CaseName(), func(t *testing.T) {
			var got shape
			err := Unmarshal(c.Bytes, c.Max, &got)
			if c.Fail != "" {
				if !errors.Is(err, ErrEncoding) {
					t.Fatalf("accepted: %+v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again := Marshal(got)
			if !reflect.DeepEqual(golden.Value(t, again), c.Value) {
				t.Errorf("value %v", golden.Value(t, again))
			}
			if bytes.Equal(again, c.Bytes) != *c.Again {
				t.Errorf("encodes to %x", again)
			}
		})
	}
}

type envelopeVector struct {
	golden.Name
	Type      string         `json:"type"`
	PublicKey golden.Hex     `json:"publicKey"`
	Seed      golden.Hex     `json:"seed,omitempty"`
	KeyID     golden.Hex     `json:"keyId,omitempty"`
	Payload   *golden.Source `json:"payload,omitempty"`
	Envelope  *golden.Source `json:"envelope"`
	Again     *bool          `json:"again,omitempty"`
	Fail      string         `json:"fail,omitempty"`
}

func counting(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

var testKey = ed25519.NewKeyFromSeed(counting(40, 32))

func goodEnvelope(name, kind string, payload *golden.Source) envelopeVector {
	raw, err := payload.Load(nil)
	if err != nil {
		panic(err)
	}
	public := testKey.Public().(ed25519.PublicKey)
	key, again := KeyID(public), true
	return envelopeVector{
		Name: golden.Name{Name: name}, Type: kind, PublicKey: golden.Hex(public), Seed: testKey.Seed(), KeyID: key[:],
		Payload: payload, Envelope: golden.OfBytes(Seal(kind, testKey, raw)), Again: &again,
	}
}

func envelopeVectors(t *testing.T) []envelopeVector {
	const n = "receipt"
	base := goodEnvelope(n, n, golden.OfBytes([]byte{0xa1, 1, 5}))
	newer := base
	newer.Name, newer.Again = golden.Name{Name: "key 64 ignored"}, new(bool)
	raw := bytes.Clone(base.Envelope.Literal)
	raw[0]++
	newer.Envelope = golden.OfBytes(append(raw, 0x18, 64, 1))
	largest := goodEnvelope("largest", n, golden.OfPattern(MaxEnvelope-99))
	largest.Envelope = golden.OfFile(golden.Beside(t, "envelope-largest.bin", largest.Envelope.Literal))
	out := []envelopeVector{
		base, newer, largest,
		goodEnvelope("empty payload", "order", golden.OfBytes(nil)),
		goodEnvelope("payload that is not CBOR", "heartbeat", golden.OfPattern(300)),
		goodEnvelope("type of 256 bytes", strings.Repeat("t", 256), golden.OfBytes([]byte{0xa0})),
	}
	return append(out, badEnvelopes(t, base)...)
}

func badEnvelopes(t *testing.T, base envelopeVector) []envelopeVector {
	var out []envelopeVector
	add := func(fail, name string, e *golden.Source) *envelopeVector {
		out = append(out, envelopeVector{Name: golden.Name{Name: name}, Type: base.Type, PublicKey: base.PublicKey, Envelope: e, Fail: fail})
		return &out[len(out)-1]
	}
	var good Envelope
	if err := Unmarshal(base.Envelope.Literal, MaxEnvelope, &good); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Envelope)) *golden.Source {
		e := good
		e.Payload, e.Signature = bytes.Clone(e.Payload), bytes.Clone(e.Signature)
		change(&e)
		return golden.OfBytes(Marshal(e))
	}
	end := int64(len(base.Envelope.Literal))
	same := golden.Edited(base.CaseName())
	add("encoding", "nothing", golden.OfBytes(nil))
	add("encoding", "last byte missing", golden.Edited(base.CaseName(), golden.Take([2]int64{0, end - 1})))
	add("encoding", "trailing byte", golden.Edited(base.CaseName(), golden.Edit{Append: golden.Hex{0}}))
	add("encoding", "signature of 63 bytes", with(func(e *Envelope) { e.Signature = e.Signature[:63] }))
	add("encoding", "signature of 65 bytes", with(func(e *Envelope) { e.Signature = append(e.Signature, 0) }))
	add("encoding", "type of 257 bytes", with(func(e *Envelope) { e.Type = strings.Repeat("t", 257) })).Type = strings.Repeat("t", 257)
	large := with(func(e *Envelope) { e.Payload = golden.Pattern(MaxEnvelope - 98) })
	add("encoding", "one byte larger than allowed", golden.OfFile(golden.Beside(t, "envelope-too-large.bin", large.Literal)))
	add("envelope", "another type wanted", same).Type = "order"
	add("envelope", "longer type wanted", same).Type = "receipts"
	other := ed25519.NewKeyFromSeed(counting(41, 32))
	add("envelope", "another key wanted", same).PublicKey = golden.Hex(other.Public().(ed25519.PublicKey))
	add("envelope", "another key, another type, bad signature", with(func(e *Envelope) { e.Signature[0] ^= 1 })).Type = "order"
	add("envelope", "key id changed", with(func(e *Envelope) { e.Key[0] ^= 1 }))
	add("envelope", "type changed", with(func(e *Envelope) { e.Type = "receipT" }))
	add("envelope", "empty type", with(func(e *Envelope) { e.Type = "" }))
	add("signature", "first byte of the payload", with(func(e *Envelope) { e.Payload[0] ^= 1 }))
	add("signature", "payload one byte shorter", with(func(e *Envelope) { e.Payload = e.Payload[:2] }))
	add("signature", "R of the signature", with(func(e *Envelope) { e.Signature[0] ^= 1 }))
	add("signature", "S of the signature", with(func(e *Envelope) { e.Signature[33] ^= 1 }))
	add("signature", "S plus the order of the group", with(func(e *Envelope) { malleate(e.Signature[32:]) }))
	add("signature", "all zeros", with(func(e *Envelope) { clear(e.Signature) }))
	add("signature", "signed as another type", with(func(e *Envelope) { e.Signature = ed25519.Sign(testKey, signed("order", e.Payload)) }))
	add("signature", "signed without a label", with(func(e *Envelope) { e.Signature = ed25519.Sign(testKey, e.Payload) }))
	add("signature", "signed by another key under this one's id", with(func(e *Envelope) { e.Signature = ed25519.Sign(other, signed(e.Type, e.Payload)) }))
	return out
}

// malleate adds the order of the group to S: the same signature to a lax
// verifier, refused by RFC 8032.
func malleate(s []byte) {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	be := slices.Clone(s)
	slices.Reverse(be)
	sum := new(big.Int).Add(new(big.Int).SetBytes(be), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	copy(s, sum)
}

func TestEnvelopeVectors(t *testing.T) {
	byName := map[string]error{"encoding": ErrEncoding, "envelope": ErrEnvelope, "signature": ErrSignature}
	cases := golden.Sync(t, "envelope.json", "Signed envelopes (docs/format.md §8)", envelopeVectors(t))
	load := func(name string) (*golden.Source, error) {
		for _, c := range cases {
			if c.CaseName() == name {
				return c.Envelope, nil
			}
		}
		return nil, fmt.Errorf("no case %q", name)
	}
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			b, err := c.Envelope.Load(load)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Open(c.Type, ed25519.PublicKey(c.PublicKey), b)
			if c.Fail != "" {
				if !errors.Is(err, byName[c.Fail]) || got != nil {
					t.Fatalf("%x, %v", got, err)
				}
				return
			}
			want, _ := c.Payload.Load(nil)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%x, %v", got, err)
			}
			key := ed25519.NewKeyFromSeed(c.Seed)
			if public := key.Public().(ed25519.PublicKey); !bytes.Equal(public, c.PublicKey) || id.Key(c.KeyID) != KeyID(public) {
				t.Error("key or its id differs")
			}
			if bytes.Equal(Seal(c.Type, key, want), b) != *c.Again {
				t.Error("sealing gives another envelope")
			}
		})
	}
}

// Every bit of an envelope is bound.
func TestEnvelopeEveryBit(t *testing.T) {
	public := testKey.Public().(ed25519.PublicKey)
	good := Seal("receipt", testKey, []byte("payload"))
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if out, err := Open("receipt", public, bad); err == nil || out != nil {
				t.Fatalf("byte %d, bit %d opens", i, bit)
			}
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, g := range goodCBOR() {
		b, _ := hex.DecodeString(g.hex)
		f.Add(b)
	}
	for _, c := range badCBOR() {
		b, _ := hex.DecodeString(c[1])
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v shape
		if Unmarshal(b, 1<<16, &v) != nil {
			return
		}
		again := Marshal(v)
		var w shape
		if err := Unmarshal(again, 1<<16, &w); err != nil || !reflect.DeepEqual(v, w) {
			t.Fatalf("%x becomes %x: %v", b, again, err)
		}
		if len(again) > len(b) || len(again) == len(b) && !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, which is not %x", b, again)
		}
	})
}

func FuzzParse(f *testing.F) {
	good := Seal("receipt", testKey, []byte{0xa1, 1, 5})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(binary.BigEndian.AppendUint64([]byte{0xa4, 1, 0x7b}, 1<<63))
	public := testKey.Public().(ed25519.PublicKey)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			return
		}
		if payload, err := e.Verify("receipt", public); err == nil && !bytes.Equal(payload, []byte{0xa1, 1, 5}) {
			t.Fatalf("a forged payload: %x", payload)
		}
	})
}
