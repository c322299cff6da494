package ticket

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// MaxOperator bounds an operator's name in bytes.
const MaxOperator = 128

// Declaration is what a node says of itself when it joins: who runs it, under
// which laws, and where it is reached. It is signed by the key that it names.
type Declaration struct {
	Public       [ed25519.PublicKeySize]byte `cbor:"1,keyasint"`
	Operator     string                      `cbor:"2,keyasint"`
	Jurisdiction string                      `cbor:"3,keyasint"`
	URL          string                      `cbor:"4,keyasint"`
	Capacity     int64                       `cbor:"5,keyasint"` // bytes
	Day          int64                       `cbor:"6,keyasint"`
	Parent       string                      `cbor:"7,keyasint,omitempty"` // parent company
	Site         string                      `cbor:"8,keyasint,omitempty"` // jurisdiction of the machine's site
	Storage      string                      `cbor:"9,keyasint,omitempty"` // storage provider
}

func (Declaration) kind() string              { return "declaration" }
func (d Declaration) signer() (id.Node, bool) { return d.Node(), true }

// Node is the id of the node that declares.
func (d Declaration) Node() id.Node { return NodeID(d.Public[:]) }

// Check implements Payload.
func (d Declaration) Check() error {
	if err := checkUints(d.Capacity, d.Day); err != nil {
		return err
	}
	if err := checkText("operator", d.Operator, 1, MaxOperator); err != nil {
		return err
	}
	for _, text := range []string{d.Parent, d.Storage} {
		if err := checkText("company", text, 0, MaxText); err != nil {
			return err
		}
	}
	if err := CheckJurisdiction(d.Jurisdiction); err != nil {
		return err
	}
	if d.Site != "" {
		if err := CheckJurisdiction(d.Site); err != nil {
			return err
		}
	}
	return CheckURL(d.URL)
}

// OpenDeclaration opens a declaration under the key that it names itself. It
// proves that whoever made it holds that key, and nothing about who that is.
func OpenDeclaration(envelope []byte) (Declaration, error) {
	e, err := wire.Parse(envelope)
	if err != nil {
		return Declaration{}, fmt.Errorf("open declaration: %w", err)
	}
	var unverified Declaration
	if e.Type != unverified.kind() {
		return Declaration{}, fmt.Errorf("open declaration: %w: have %q", wire.ErrEnvelope, e.Type)
	}
	if err := wire.Unmarshal(e.Payload, wire.MaxEnvelope, &unverified); err != nil {
		return Declaration{}, fmt.Errorf("open declaration: %w", err)
	}
	return Open[Declaration](unverified.Public[:], envelope)
}

// State is whether a node takes blobs.
type State int64

// The states; every other number is refused.
const (
	Serving  State = 0
	ReadOnly State = 1
)

// Heartbeat is a node's regular sign of life, with which it asks for orders.
type Heartbeat struct {
	Node     id.Node  `cbor:"1,keyasint"`
	Time     int64    `cbor:"2,keyasint"` // Unix seconds
	Used     int64    `cbor:"3,keyasint"` // bytes
	Capacity int64    `cbor:"4,keyasint"` // bytes
	State    State    `cbor:"5,keyasint"`
	Epoch    int64    `cbor:"6,keyasint"` // highest epoch seen, 0 if none
	Number   int64    `cbor:"7,keyasint"` // last order done in it, 0 if none
	Program  string   `cbor:"8,keyasint"` // its version
	Nonce    [16]byte `cbor:"9,keyasint"`
	// Held: orders wait until the node's owner has decided. Nil stands for false,
	// which is never written.
	Held *bool `cbor:"65,keyasint,omitempty"`
	// Order is the Digest of the order of that number, nil if it is not known. It
	// shows a database that was restored and has given the number again.
	Order *[sha256.Size]byte `cbor:"66,keyasint,omitempty"`
}

func (Heartbeat) kind() string              { return "heartbeat" }
func (h Heartbeat) signer() (id.Node, bool) { return h.Node, true }

// Check implements Payload.
func (h Heartbeat) Check() error {
	if h.State != Serving && h.State != ReadOnly {
		return refuse("state %d", h.State)
	}
	if h.Held != nil && !*h.Held {
		return refuse("orders that are not held back are not mentioned")
	}
	if err := checkText("program version", h.Program, 0, MaxText); err != nil {
		return err
	}
	return checkUints(h.Time, h.Used, h.Capacity, h.Epoch, h.Number)
}
