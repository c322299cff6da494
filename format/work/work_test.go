package work

import (
	"errors"
	"testing"

	"holdfast/format/internal/golden"

	"pgregory.net/rapid"
)

func on() error { return nil }

func TestFoundIsChecked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		challenge := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "challenge")
		zeros := rapid.IntRange(0, 10).Draw(t, "zeros")
		nonce, err := Find(challenge, zeros, on)
		if err != nil || !Check(challenge, nonce, zeros) {
			t.Fatal(err)
		}
		for before := range nonce {
			if Check(challenge, before, zeros) {
				t.Fatalf("%d is as good as %d", before, nonce)
			}
		}
		if Check(challenge, nonce, 257) || !Check(challenge, nonce, 0) {
			t.Fatal("more bits than there are, or none")
		}
	})
}

func TestWorkEnds(t *testing.T) {
	enough := errors.New("enough")
	if _, err := Find(nil, MaxBits, func() error { return enough }); err != enough {
		t.Error(err)
	}
	if _, err := Find(nil, MaxBits+1, on); err == nil {
		t.Error("a server may ask for any work")
	}
}

type vector struct {
	golden.Name
	Challenge golden.Hex `json:"challenge"`
	Bits      int        `json:"bits"`
	Nonce     uint64     `json:"nonce"`
}

func TestWorkVectors(t *testing.T) {
	var cases []vector
	for name, c := range map[string]struct {
		challenge string
		bits      int
	}{"no bits": {"challenge", 0}, "a bit": {"challenge", 1}, "nine bits": {"challenge", 9}, "sixteen bits": {"challenge", 16}, "an empty challenge": {"", 12}} {
		nonce, err := Find([]byte(c.challenge), c.bits, on)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, vector{golden.Name{Name: name}, golden.Hex(c.challenge), c.bits, nonce})
	}
	golden.Sort(cases)
	for _, c := range golden.Sync(t, "work.json", "Proofs of work (docs/format.md §17): the least nonce.", cases) {
		if !Check(c.Challenge, c.Nonce, c.Bits) || c.Nonce > 0 && Check(c.Challenge, c.Nonce-1, c.Bits) {
			t.Error(c.Name.Name)
		}
	}
}
