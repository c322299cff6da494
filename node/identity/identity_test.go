package identity

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.key")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing: %v", err)
	}
	made, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path); err == nil {
		t.Fatal("a key was overwritten")
	}
	again, err := Load(path)
	if err != nil || again.ID() != made.ID() {
		t.Fatalf("loaded %v, %v; made %v", again, err, made.ID())
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "long": append(good[:len(good):len(good)], 0), "other header": append([]byte("x"), good[1:]...),
	} {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); !errors.Is(err, ErrKeyFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(os.WriteFile(path, good, 0o600), os.Chmod(path, 0o640)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); !errors.Is(err, ErrKeyOpen) {
		t.Errorf("readable by the group: %v", err)
	}
}

func TestSignsForItselfOnly(t *testing.T) {
	i, err := Create(filepath.Join(t.TempDir(), "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(86400*20000+5, 0)
	text, err := i.Declaration(ticket.Declaration{Operator: "Op", Jurisdiction: "DE", URL: "http://127.0.0.1:1", Capacity: 5}, now)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ticket.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ticket.OpenDeclaration(raw)
	if err != nil || d.Node() != i.ID() || d.Day != 20000 {
		t.Fatalf("declaration %+v, %v", d, err)
	}
	public := ed25519.PublicKey(d.Public[:])

	blobs := []ticket.Stored{{Name: id.Name{1}, Size: 7}}
	text, err = i.Receipt(id.Upload{2}, blobs, now)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ticket.OpenText[ticket.Receipt](public, text)
	if err != nil || r.Node != i.ID() || r.Upload != (id.Upload{2}) || len(r.Blobs) != 1 || r.Day != 20000 {
		t.Fatalf("receipt %+v, %v", r, err)
	}
	if _, err := i.Receipt(id.Upload{2}, nil, now); err == nil {
		t.Error("a receipt for nothing")
	}

	var nonces [2][16]byte
	for n := range nonces {
		text, err = i.Heartbeat(ticket.Heartbeat{Node: id.Node{9}, Used: 5}, now)
		if err != nil {
			t.Fatal(err)
		}
		h, err := ticket.OpenText[ticket.Heartbeat](public, text)
		if err != nil || h.Node != i.ID() || h.Time != now.Unix() {
			t.Fatalf("heartbeat %+v, %v", h, err)
		}
		nonces[n] = h.Nonce
	}
	if nonces[0] == nonces[1] {
		t.Error("a nonce came twice")
	}
	text, err = i.OrderReceipt(ticket.OrderReceipt{Node: id.Node{9}, Epoch: 1, Number: 2, Outcome: ticket.Done}, now)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := ticket.OpenText[ticket.OrderReceipt](public, text); err != nil || o.Node != i.ID() || o.Day != 20000 {
		t.Fatalf("order receipt %+v, %v", o, err)
	}
}
