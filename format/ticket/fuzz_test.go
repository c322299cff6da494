package ticket

import (
	"crypto/ed25519"
	"errors"
	"reflect"
	"testing"

	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

var files = []string{"ticket-upload.json", "ticket-read.json", "receipt.json", "order.json", "orderreceipt.json", "declaration.json", "heartbeat.json"}

// FuzzEnvelope feeds hostile bytes to every opener.
func FuzzEnvelope(f *testing.F) {
	for _, file := range files {
		for _, c := range golden.Read[vector](f, file) {
			f.Add([]byte(c.Envelope.Bytes))
		}
	}
	keys := []ed25519.PublicKey{public(serverKey), public(nodeKey)}
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(err error) {
			if err != nil && !errors.Is(err, wire.ErrEncoding) && !errors.Is(err, wire.ErrEnvelope) && !errors.Is(err, wire.ErrSignature) {
				t.Fatal(err)
			}
		}
		_, err := OpenAny[UploadTicket](keys, b)
		check(err)
		_, err = OpenAny[Receipt](keys, b)
		check(err)
		_, err = OpenDeclaration(b)
		check(err)
		raw, err := ParseText(string(b))
		check(err)
		if err == nil && Text(raw) != string(b) {
			t.Fatalf("%q and %q are one envelope", b, Text(raw))
		}
	})
}

// FuzzPayload signs hostile payloads, so that the rules behind the signature
// are reached: what opens must sign again and open to the same.
func FuzzPayload(f *testing.F) {
	for kind, file := range files {
		for _, c := range golden.Read[vector](f, file) {
			if e, err := wire.Parse(c.Envelope.Bytes); err == nil {
				f.Add(kind, e.Payload)
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind int, payload []byte) {
		if len(payload) > 60<<10 {
			return // the envelope around it would be too large
		}
		switch kind {
		case 0:
			fuzzPayload[UploadTicket](t, payload)
		case 1:
			fuzzPayload[ReadTicket](t, payload)
		case 2:
			fuzzPayload[Receipt](t, payload)
		case 3:
			fuzzPayload[Order](t, payload)
		case 4:
			fuzzPayload[OrderReceipt](t, payload)
		case 5:
			fuzzPayload[Declaration](t, payload)
		case 6:
			fuzzPayload[Heartbeat](t, payload)
		}
	})
}

func fuzzPayload[P Payload](t *testing.T, payload []byte) {
	var p P
	p, err := Open[P](public(nodeKey), wire.Seal(p.kind(), nodeKey, payload))
	if err != nil {
		if !errors.Is(err, wire.ErrEncoding) && !errors.Is(err, wire.ErrEnvelope) {
			t.Fatal(err)
		}
		return
	}
	envelope, err := Sign(nodeKey, p)
	if err != nil {
		t.Fatalf("%+v: %v", p, err)
	}
	again, err := Open[P](public(nodeKey), envelope)
	if err != nil || !reflect.DeepEqual(again, p) {
		t.Fatalf("%+v\n%+v\n%v", again, p, err)
	}
}
