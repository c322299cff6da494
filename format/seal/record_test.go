package seal

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"holdfast/format/internal/golden"
)

type recordVector struct {
	golden.Name
	PurposeKey golden.Hex     `json:"purposeKey"`
	Type       string         `json:"type"`
	AAD        *golden.Source `json:"aad"`
	Max        int            `json:"max"`
	Salt       golden.Hex     `json:"salt,omitempty"`
	Key        golden.Hex     `json:"key,omitempty"`
	Commitment golden.Hex     `json:"commitment,omitempty"`
	Plaintext  *golden.Source `json:"plaintext,omitempty"`
	Record     *golden.Source `json:"record"`
	Fail       string         `json:"fail,omitempty"`
}

func goodRecord(name, kind string, aad []byte, src *golden.Source) recordVector {
	purpose, salt := [32]byte(run(1, 32)), [32]byte(run(100, 32))
	plaintext, err := src.Load(nil)
	if err != nil {
		panic(err)
	}
	key, commitment := recordKeys(purpose, kind, aad, salt[:])
	record := sealRecord(purpose, kind, aad, plaintext, salt)
	return recordVector{
		Name: golden.Name{Name: name}, PurposeKey: purpose[:], Type: kind, AAD: golden.OfBytes(aad), Max: len(record),
		Salt: salt[:], Key: key, Commitment: commitment, Plaintext: src, Record: golden.OfBytes(record),
	}
}

func (v recordVector) failing(fail, name string, record *golden.Source, change func(*recordVector)) recordVector {
	out := recordVector{
		Name: golden.Name{Name: name}, PurposeKey: v.PurposeKey, Type: v.Type, AAD: v.AAD, Max: v.Max, Record: record, Fail: fail,
	}
	if change != nil {
		change(&out)
	}
	return out
}

func recordVectors() []recordVector {
	const n = "small"
	small := goodRecord(n, "link", run(50, 16), golden.OfBytes([]byte("a link's record")))
	end := int64(len(small.Record.Literal))
	flip := func(at int64) *golden.Source { return golden.Edited(n, golden.Flip(at, 1)) }
	same := golden.Edited(n)
	return []recordVector{
		small,
		goodRecord("empty", "link", run(50, 16), golden.OfBytes(nil)),
		goodRecord("no aad, another type", "descriptor", nil, golden.OfPattern(100)),
		goodRecord("long", "link", run(50, 32), golden.OfPattern(5000)),
		small.failing("version", "version 0", flip(0), nil),
		small.failing("version", "version 2, nothing else", golden.OfBytes([]byte{2}), nil),
		small.failing("record", "nothing", golden.OfBytes(nil), nil),
		small.failing("record", "no room for a tag", golden.Edited(n, golden.Take([2]int64{0, 80})), nil),
		small.failing("record", "longer than allowed", same, func(v *recordVector) { v.Max = int(end) - 1 }),
		small.failing("record", "longer than allowed, one byte appended", golden.Edited(n, golden.Edit{Append: golden.Hex{0}}), nil),
		small.failing("record", "one byte appended", golden.Edited(n, golden.Edit{Append: golden.Hex{0}}), func(v *recordVector) { v.Max = 1000 }),
		small.failing("record", "last byte cut", golden.Edited(n, golden.Take([2]int64{0, end - 1})), nil),
		small.failing("record", "first byte of the ciphertext", flip(65), nil),
		small.failing("record", "last byte of the ciphertext", flip(end-17), nil),
		small.failing("record", "first byte of the tag", flip(end-16), nil),
		small.failing("record", "last byte of the tag", flip(end-1), nil),
		small.failing("commitment", "first byte of the salt", flip(1), nil),
		small.failing("commitment", "last byte of the salt", flip(32), nil),
		small.failing("commitment", "first byte of C", flip(33), nil),
		small.failing("commitment", "last byte of C", flip(64), nil),
		small.failing("commitment", "another key", same, func(v *recordVector) { v.PurposeKey = flipped(v.PurposeKey) }),
		small.failing("commitment", "another type", same, func(v *recordVector) { v.Type = "descriptor" }),
		small.failing("commitment", "another aad", same, func(v *recordVector) { v.AAD = golden.OfBytes(run(51, 16)) }),
		small.failing("commitment", "shorter aad", same, func(v *recordVector) { v.AAD = golden.OfBytes(run(50, 15)) }),
	}
}

func TestRecordVectors(t *testing.T) {
	cases := golden.Sync(t, "records.json", "Small sealed records (docs/format.md §6)", recordVectors())
	record := func(name string) (*golden.Source, error) {
		for _, c := range cases {
			if c.CaseName() == name {
				return c.Record, nil
			}
		}
		return nil, fmt.Errorf("no case %q", name)
	}
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			b, err := c.Record.Load(record)
			if err != nil {
				t.Fatal(err)
			}
			aad, _ := c.AAD.Load(nil)
			got, err := OpenRecord([32]byte(c.PurposeKey), c.Type, aad, b, c.Max)
			if c.Fail != "" {
				if !errors.Is(err, byName[c.Fail]) || got != nil {
					t.Fatalf("gives %x, %v", got, err)
				}
				return
			}
			want, _ := c.Plaintext.Load(nil)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("gives %x, %v", got, err)
			}
			if !bytes.Equal(sealRecord([32]byte(c.PurposeKey), c.Type, aad, want, [32]byte(c.Salt)), b) {
				t.Error("sealing gives another record")
			}
		})
	}
}

func TestRecordsNeverRepeat(t *testing.T) {
	a := SealRecord([32]byte{1}, "link", nil, []byte("same"))
	b := SealRecord([32]byte{1}, "link", nil, []byte("same"))
	if bytes.Equal(a[1:33], b[1:33]) || bytes.Equal(a[65:], b[65:]) {
		t.Fatal("two records share a salt")
	}
	if len(a) != RecordOverhead+4 {
		t.Fatalf("%d bytes", len(a))
	}
}

// Every single byte of a record is bound: threats row 8.
func TestRecordEveryByte(t *testing.T) {
	good := SealRecord([32]byte{1}, "link", run(0, 16), []byte("a secret"))
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			want := ErrRecord
			switch {
			case i == 0:
				want = ErrVersion
			case i < recordHead:
				want = ErrCommitment
			}
			if out, err := OpenRecord([32]byte{1}, "link", run(0, 16), bad, MaxRecord); !errors.Is(err, want) || out != nil {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
}

func FuzzOpenRecord(f *testing.F) {
	for _, v := range recordVectors() {
		if v.Record.Literal != nil {
			f.Add(v.Record.Literal)
		}
	}
	purpose := [32]byte(run(1, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := OpenRecord(purpose, "link", run(50, 16), b, 1<<16)
		if (err == nil) != (out != nil || len(b) == RecordOverhead && err == nil) {
			t.Fatal("plaintext with an error, or neither")
		}
		if err == nil && !bytes.Equal(sealRecord(purpose, "link", run(50, 16), out, [32]byte(b[1:33])), b) {
			t.Fatal("opened what sealing does not make")
		}
	})
}
