package ticket

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

func nodeID(k ed25519.PrivateKey) id.Node { return NodeID(public(k)) }

func drawID[T ~[16]byte](t *rapid.T) T {
	return T(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
}

func drawName(t *rapid.T) id.Name {
	return id.Name(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "name"))
}

func drawUint(t *rapid.T) int64 {
	return rapid.OneOf(rapid.Just(int64(0)), rapid.Just(int64(wire.MaxInt)), rapid.Int64Range(0, wire.MaxInt)).Draw(t, "uint")
}

func drawURL(t *rapid.T) string {
	return rapid.StringMatching(`https?://([a-z0-9.-]{1,20}|\[([0-9a-fA-F]{1,4}:){1,5}(:[0-9a-f]{1,4}|:|:192\.0\.2\.[0-9])\])(:[1-9][0-9]{0,3})?(/[a-z/.~%]{0,20})?`).Draw(t, "url")
}

func drawRange(t *rapid.T) Range {
	offset := rapid.Int64Range(0, MaxBlob-1).Draw(t, "offset")
	return Range{Name: drawName(t), Offset: offset, Length: rapid.Int64Range(1, MaxBlob-offset).Draw(t, "length")}
}

func list[T any](t *rapid.T, least, most int, draw func(*rapid.T) T) []T {
	out := make([]T, rapid.IntRange(least, most).Draw(t, "n"))
	for i := range out {
		out[i] = draw(t)
	}
	return out
}

// apart is list without the drawn values that came before; keyed by what must differ.
func apart[T any, K comparable](t *rapid.T, least, most int, draw func(*rapid.T) T, key func(T) K) []T {
	return rapid.SliceOfNDistinct(rapid.Custom(draw), least, most, key).Draw(t, "distinct")
}

func drawUploadTicket(t *rapid.T) UploadTicket {
	place := func(t *rapid.T) Place { return Place{Node: drawID[id.Node](t), URL: drawURL(t)} }
	chain := func(t *rapid.T) []Place { return apart(t, 2, 4, place, func(p Place) id.Node { return p.Node }) }
	return UploadTicket{Upload: drawID[id.Upload](t), Chains: list(t, 1, 3, chain), Budget: drawUint(t), Expires: drawUint(t)}
}

func drawReadTicket(t *rapid.T) ReadTicket {
	reads := func(t *rapid.T) Reads { return Reads{Upload: drawID[id.Upload](t), Ranges: list(t, 1, 4, drawRange)} }
	return ReadTicket{Nodes: list(t, 1, 4, drawID[id.Node]), Reads: list(t, 1, 4, reads), Expires: drawUint(t)}
}

func drawReceipt(t *rapid.T) Receipt {
	stored := func(t *rapid.T) Stored {
		return Stored{Name: drawName(t), Size: rapid.Int64Range(1, MaxBlob).Draw(t, "size")}
	}
	return Receipt{Upload: drawID[id.Upload](t), Node: nodeID(nodeKey), Day: drawUint(t), Blobs: apart(t, 1, 5, stored, func(s Stored) id.Name { return s.Name })}
}

func drawOrder(t *rapid.T) Order {
	o := Order{
		Node: drawID[id.Node](t), Epoch: max(1, drawUint(t)), Number: max(1, drawUint(t)), Upload: drawID[id.Upload](t), Day: drawUint(t),
		Action: rapid.SampledFrom([]Action{DeleteUpload, DeleteBlobs, Repack}).Draw(t, "action"),
	}
	switch o.Action {
	case DeleteBlobs:
		o.Blobs = apart(t, 1, 5, drawName, func(n id.Name) id.Name { return n })
	case Repack:
		o.Blobs = []id.Name{drawName(t)}
		var end int64
		for range rapid.IntRange(1, 5).Draw(t, "extents") {
			r := Range{Name: o.Blobs[0], Offset: end + rapid.Int64Range(0, 1000).Draw(t, "gap"), Length: rapid.Int64Range(1, 1<<20).Draw(t, "length")}
			o.Keep, end = append(o.Keep, r), r.Offset+r.Length
		}
	}
	return o
}

func drawOrderReceipt(t *rapid.T) OrderReceipt {
	return OrderReceipt{
		Node: nodeID(nodeKey), Epoch: drawUint(t), Number: drawUint(t), Outcome: rapid.SampledFrom([]Outcome{Done, Refused}).Draw(t, "outcome"),
		Blobs: drawUint(t), Bytes: drawUint(t), Day: drawUint(t), Order: drawName(t),
	}
}

func drawDeclaration(t *rapid.T) Declaration {
	text := func(least, most int) string {
		s := rapid.StringN(least, 40, most).Draw(t, "text")
		return strings.ToValidUTF8(s, "?")
	}
	place := rapid.SampledFrom([]string{"DE", "NZ", "IS", "ZW", "AD"})
	d := Declaration{
		Public: [32]byte(public(nodeKey)), Operator: text(1, MaxOperator), Jurisdiction: place.Draw(t, "jurisdiction"), URL: drawURL(t),
		Capacity: drawUint(t), Day: drawUint(t), Parent: text(0, MaxText), Storage: text(0, MaxText),
	}
	if rapid.Bool().Draw(t, "site") {
		d.Site = place.Draw(t, "site")
	}
	return d
}

func drawHeartbeat(t *rapid.T) Heartbeat {
	h := Heartbeat{
		Node: nodeID(nodeKey), Time: drawUint(t), Used: drawUint(t), Capacity: drawUint(t), State: rapid.SampledFrom([]State{Serving, ReadOnly}).Draw(t, "state"),
		Epoch: drawUint(t), Number: drawUint(t), Program: rapid.StringMatching(`[ -~]{0,60}`).Draw(t, "program"), Nonce: drawID[[16]byte](t),
	}
	if rapid.Bool().Draw(t, "held") {
		h.Held = new(true)
	}
	if rapid.Bool().Draw(t, "order") {
		digest := [sha256.Size]byte(drawName(t))
		h.Order = &digest
	}
	return h
}

// roundTrip signs what draw gives and opens it; nothing else opens it.
func roundTrip[P Payload](key ed25519.PrivateKey, draw func(*rapid.T) P) func(*testing.T) {
	return func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p := draw(t)
			envelope, err := Sign(key, p)
			if err != nil {
				t.Fatalf("%+v: %v", p, err)
			}
			again, err := Open[P](public(key), envelope)
			if err != nil || !reflect.DeepEqual(again, p) {
				t.Fatalf("%+v\n%+v\n%v", again, p, err)
			}
			if _, err := Open[P](public(otherKey), envelope); !errors.Is(err, wire.ErrEnvelope) {
				t.Fatalf("under another key: %v", err)
			}
			envelope[rapid.IntRange(0, len(envelope)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			if _, err := Open[P](public(key), envelope); !errors.Is(err, wire.ErrEnvelope) && !errors.Is(err, wire.ErrSignature) && !errors.Is(err, wire.ErrEncoding) {
				t.Fatalf("with a flipped bit: %v", err)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	t.Run("upload ticket", roundTrip(serverKey, drawUploadTicket))
	t.Run("read ticket", roundTrip(serverKey, drawReadTicket))
	t.Run("receipt", roundTrip(nodeKey, drawReceipt))
	t.Run("order", roundTrip(serverKey, drawOrder))
	t.Run("order receipt", roundTrip(nodeKey, drawOrderReceipt))
	t.Run("declaration", roundTrip(nodeKey, drawDeclaration))
	t.Run("heartbeat", roundTrip(nodeKey, drawHeartbeat))
}

// stripped reads the payload of a vector without any of our checks, to show
// that Sign refuses what Open refuses.
func stripped[P Payload](t *testing.T, file string, key ed25519.PrivateKey) func(*testing.T) {
	return func(t *testing.T) {
		refused := 0
		for _, c := range golden.Read[vector](t, file) {
			e, err := wire.Parse(c.Envelope.Bytes)
			var p P
			if c.Fail != "encoding" || err != nil || wire.Unmarshal(e.Payload, wire.MaxEnvelope, &p) != nil {
				continue
			}
			refused++
			if envelope, err := Sign(key, p); envelope != nil || !errors.Is(err, wire.ErrEncoding) {
				t.Errorf("%s: signed, %v", c.CaseName(), err)
			}
		}
		if refused == 0 {
			t.Error("no vector breaks a rule on values")
		}
	}
}

func TestSignRefusesWhatOpenRefuses(t *testing.T) {
	t.Run("upload ticket", stripped[UploadTicket](t, "ticket-upload.json", serverKey))
	t.Run("read ticket", stripped[ReadTicket](t, "ticket-read.json", serverKey))
	t.Run("receipt", stripped[Receipt](t, "receipt.json", nodeKey))
	t.Run("order", stripped[Order](t, "order.json", serverKey))
	t.Run("order receipt", stripped[OrderReceipt](t, "orderreceipt.json", nodeKey))
	t.Run("declaration", stripped[Declaration](t, "declaration.json", nodeKey))
	t.Run("heartbeat", stripped[Heartbeat](t, "heartbeat.json", nodeKey))
}

// sized is a read ticket, within all limits of its own, whose envelope has size bytes.
func sized(t *testing.T, size int) ReadTicket {
	ticket := ReadTicket{Nodes: []id.Node{{1}}}
	length := func() int { return len(wire.Seal(ticket.kind(), serverKey, wire.Marshal(ticket))) }
	for u := 0; length() < size-100; u++ {
		ticket.Reads = append(ticket.Reads, Reads{Upload: id.Upload{byte(u)}})
		reads := &ticket.Reads[u]
		for range MaxRanges {
			if reads.Ranges = append(reads.Ranges, Range{Length: 1}); length() > size-100 {
				break
			}
		}
	}
	for i := range MaxRanges { // an offset of 65536 takes 4 bytes more than one of 0, one of 24 takes 1 more
		switch missing := size - length(); {
		case missing >= 4:
			ticket.Reads[0].Ranges[i].Offset = 1 << 16
		case missing > 0:
			ticket.Reads[0].Ranges[i].Offset = 24
		}
	}
	if length() != size || ticket.Check() != nil {
		t.Fatalf("%d bytes, %v", length(), ticket.Check())
	}
	return ticket
}

func TestEnvelopeSize(t *testing.T) {
	text, err := SignText(serverKey, sized(t, wire.MaxEnvelope))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenText[ReadTicket](public(serverKey), text); err != nil {
		t.Fatal(err)
	}
	if envelope, err := Sign(serverKey, sized(t, wire.MaxEnvelope+1)); envelope != nil || !errors.Is(err, ErrPayload) {
		t.Fatalf("signed %d bytes, %v", len(envelope), err)
	}
}

func TestNodesSignForThemselvesOnly(t *testing.T) {
	other := nodeID(otherKey)
	for name, sign := range map[string]func() ([]byte, error){
		"receipt": func() ([]byte, error) {
			return Sign(nodeKey, Receipt{Node: other, Blobs: []Stored{{Size: 1}}})
		},
		"order receipt": func() ([]byte, error) { return Sign(nodeKey, OrderReceipt{Node: other, Outcome: Done}) },
		"heartbeat":     func() ([]byte, error) { return Sign(nodeKey, Heartbeat{Node: other}) },
		"declaration": func() ([]byte, error) {
			return Sign(nodeKey, Declaration{Public: [32]byte(public(otherKey)), Operator: "o", Jurisdiction: "NZ", URL: "https://n.example"})
		},
	} {
		if envelope, err := sign(); envelope != nil || !errors.Is(err, wire.ErrEnvelope) {
			t.Errorf("%s: signed for another node, %v", name, err)
		}
	}
}

func heartbeat() Heartbeat { return Heartbeat{Node: nodeID(nodeKey), Time: noon} }

func TestOpenAny(t *testing.T) {
	envelope, err := Sign(nodeKey, heartbeat())
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		keys []ed25519.PublicKey
		want error
	}{
		{"the only one", []ed25519.PublicKey{public(nodeKey)}, nil},
		{"the second", []ed25519.PublicKey{public(otherKey), public(nodeKey)}, nil},
		{"none", nil, wire.ErrEnvelope},
		{"others", []ed25519.PublicKey{public(otherKey), public(serverKey)}, wire.ErrEnvelope},
		{"a key of no length", []ed25519.PublicKey{nil}, wire.ErrEnvelope},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, err := OpenAny[Heartbeat](c.keys, envelope)
			if !errors.Is(err, c.want) || (err == nil) != (h == heartbeat()) {
				t.Fatalf("%+v, %v", h, err)
			}
		})
	}
	if _, err := Open[OrderReceipt](public(nodeKey), envelope); !errors.Is(err, wire.ErrEnvelope) {
		t.Fatalf("opened as another type: %v", err)
	}
}

func TestOpenDeclaration(t *testing.T) {
	d := Declaration{Public: [32]byte(public(nodeKey)), Operator: "o", Jurisdiction: "NZ", URL: "https://n.example"}
	envelope, err := Sign(nodeKey, d)
	if err != nil {
		t.Fatal(err)
	}
	if have, err := OpenDeclaration(envelope); err != nil || have != d || have.Node() != nodeID(nodeKey) {
		t.Fatalf("%+v, %v", have, err)
	}
	beat, err := Sign(nodeKey, heartbeat())
	if err != nil {
		t.Fatal(err)
	}
	stolen := d
	stolen.Public = [32]byte(public(otherKey))
	flipped := bytes.Clone(envelope)
	flipped[len(flipped)-1] ^= 1
	cases := []struct {
		name     string
		envelope []byte
		want     error
	}{
		{"nothing", nil, wire.ErrEncoding},
		{"another type", beat, wire.ErrEnvelope},
		{"payload is none", wire.Seal("declaration", nodeKey, []byte{0x80}), wire.ErrEncoding},
		{"key of another node", wire.Seal("declaration", nodeKey, wire.Marshal(stolen)), wire.ErrEnvelope},
		{"wrong signature", flipped, wire.ErrSignature},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if have, err := OpenDeclaration(c.envelope); !errors.Is(err, c.want) || have != (Declaration{}) {
				t.Fatalf("%+v, %v", have, err)
			}
		})
	}
}

func TestText(t *testing.T) {
	text, err := SignText(nodeKey, heartbeat())
	if err != nil {
		t.Fatal(err)
	}
	if h, err := OpenText[Heartbeat](public(nodeKey), text); err != nil || h != heartbeat() {
		t.Fatalf("%+v, %v", h, err)
	}
	if _, err := SignText(nodeKey, Heartbeat{State: 9}); !errors.Is(err, ErrPayload) {
		t.Fatalf("signed a broken heartbeat: %v", err)
	}
	for name, bad := range map[string]string{
		"padding": text + "=", "standard alphabet": "+" + text[1:], "space": " " + text, "line feed": text[:40] + "\n" + text[40:], "carriage return": text + "\r",
		"one character more": text + "A", "too long": strings.Repeat("A", 87383), "nothing": "",
	} {
		if _, err := OpenText[Heartbeat](public(nodeKey), bad); !errors.Is(err, wire.ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDigestAndAnswers(t *testing.T) {
	o := Order{Node: nodeID(nodeKey), Epoch: 3, Number: 7, Action: DeleteUpload, Upload: id.Upload{1}, Day: 5}
	envelope, err := Sign(serverKey, o)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := Digest(envelope)
	if err != nil || digest != sha256.Sum256(wire.Marshal(o)) {
		t.Fatalf("%x, %v", digest, err)
	}
	if _, err := Digest([]byte{1}); !errors.Is(err, wire.ErrEncoding) {
		t.Fatalf("digest of nothing: %v", err)
	}
	r := OrderReceipt{Node: o.Node, Epoch: 3, Number: 7, Outcome: Done, Order: digest}
	if !r.Answers(o, digest) {
		t.Fatal("the answer is not taken for one")
	}
	for name, change := range map[string]func(*OrderReceipt){
		"node": func(r *OrderReceipt) { r.Node[0]++ }, "epoch": func(r *OrderReceipt) { r.Epoch++ },
		"number": func(r *OrderReceipt) { r.Number++ }, "digest": func(r *OrderReceipt) { r.Order[0]++ },
	} {
		other := r
		change(&other)
		if other.Answers(o, digest) {
			t.Errorf("another %s is taken for the answer", name)
		}
	}
}

func TestDay(t *testing.T) {
	for at, want := range map[time.Time]int64{
		time.Unix(0, 0): 0, time.Unix(86399, 999): 0, time.Unix(86400, 0): 1, time.Date(2027, 1, 15, 8, 0, 0, 0, time.FixedZone("far east", 14*3600)): 20832,
	} {
		if have := Day(at); have != want {
			t.Errorf("%v is day %d, want %d", at, have, want)
		}
	}
}

// TestReadTicketAllowsBytesListed compares with a plain list of allowed bytes.
func TestReadTicketAllowsBytesListed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(0, 40)
		blob := rapid.Custom(func(t *rapid.T) id.Name { return id.Name{rapid.Byte().Draw(t, "b") % 2} })
		upload := rapid.Custom(func(t *rapid.T) id.Upload { return id.Upload{rapid.Byte().Draw(t, "u") % 2} })
		ticket := ReadTicket{Nodes: []id.Node{{1}}, Expires: noon}
		for range rapid.IntRange(1, 3).Draw(t, "uploads") {
			ticket.Reads = append(ticket.Reads, Reads{Upload: upload.Draw(t, "upload"), Ranges: list(t, 1, 3, func(t *rapid.T) Range {
				return Range{Name: blob.Draw(t, "blob"), Offset: small.Draw(t, "offset"), Length: 1 + small.Draw(t, "length")}
			})})
		}
		u, b, offset, length := upload.Draw(t, "u"), blob.Draw(t, "b"), small.Draw(t, "o")-5, small.Draw(t, "l")-2
		want := false
		for _, reads := range ticket.Reads {
			for _, r := range reads.Ranges {
				all := length > 0
				for at := offset; at < offset+length; at++ {
					all = all && at >= r.Offset && at < r.Offset+r.Length
				}
				want = want || all && reads.Upload == u && r.Name == b
			}
		}
		err := ticket.Allows(id.Node{1}, u, b, offset, length, time.Unix(noon, 0))
		if want != (err == nil) || err != nil && !errors.Is(err, ErrNotListed) {
			t.Fatalf("%d bytes from %d: %v", length, offset, err)
		}
	})
}

func TestAllowsHugeNumbers(t *testing.T) {
	ticket := ReadTicket{Nodes: []id.Node{{1}}, Reads: []Reads{{Ranges: []Range{{Length: MaxBlob}}}}, Expires: noon}
	const most = 1<<63 - 1
	for _, r := range [][2]int64{{1, most}, {most, 1}, {most, most}, {-most - 1, most}, {0, -1}, {-1, 2}} {
		if err := ticket.Allows(id.Node{1}, id.Upload{}, id.Name{}, r[0], r[1], time.Unix(noon, 0)); !errors.Is(err, ErrNotListed) {
			t.Errorf("%d bytes from %d: %v", r[1], r[0], err)
		}
	}
}
