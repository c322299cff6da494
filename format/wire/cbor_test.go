package wire

import (
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"holdfast/format/id"
)

type sample struct {
	N    int64     `cbor:"1,keyasint"`
	Raw  []byte    `cbor:"2,keyasint"`
	Text string    `cbor:"3,keyasint,omitempty"`
	ID   id.Upload `cbor:"4,keyasint"`
	Sub  *sub      `cbor:"5,keyasint,omitempty"`
	Pair []pair    `cbor:"6,keyasint,omitempty"`
}
type sub struct {
	On bool `cbor:"1,keyasint,omitempty"`
}
type pair struct {
	_ struct{} `cbor:",toarray"`
	A []byte
	B int64
}

func TestRoundTrip(t *testing.T) {
	in := sample{N: 5, Raw: []byte{1}, Text: "x", Sub: &sub{On: true}, Pair: []pair{{A: []byte{2}, B: 7}}}
	var out sample
	if err := Unmarshal(Marshal(in), 1000, &out); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, out) {
		t.Fatalf("%+v became %+v", in, out)
	}
}

func TestRefused(t *testing.T) {
	cases := map[string]string{
		"null for bytes":     "a3010502f604500000000000000000000000000000 0000",
		"float":              "a301f945000241010450000000000000000000000000000000" + "00",
		"long integer":       "a30118050241010450000000000000000000000000000000" + "00",
		"integer above 2^53": "a3011b00200000000000000241010450000000000000000000000000000000" + "00",
		"negative beyond":    "a3013b001fffffffffffff0241010450000000000000000000000000000000" + "00",
		"unsorted":           "a3024101010504500000000000000000000000000000" + "0000",
		"duplicate":          "a401050105024101045000000000000000000000000000" + "000000",
		"missing key":        "a2010504500000000000000000000000000000" + "0000",
		"short id":           "a30105024101044f000000000000000000000000000000",
		"trailing":           "a301050241010450000000000000000000000000000000" + "0000",
		"unknown below 64":   "a4010502410104500000000000000000000000000000" + "0000" + "183f01",
		"float in ignored":   "a4010502410104500000000000000000000000000000" + "0000" + "1840f94500",
		"unsorted ignored":   "a4184001010502410104500000000000000000000000000000" + "0000",
		"indefinite":         "bf010502410104500000000000000000000000000000" + "0000" + "ff",
		"empty optional":     "a40105024101036004500000000000000000000000000000" + "0000",
		"tag":                "a301c10502410104500000000000000000000000000000" + "0000",
	}
	for name, h := range cases {
		t.Run(name, func(t *testing.T) {
			b := unhex(t, h)
			var out sample
			if err := Unmarshal(b, 1000, &out); !errors.Is(err, ErrEncoding) {
				t.Fatalf("accepted: %+v, %v", out, err)
			}
		})
	}
	var out sample
	good := unhex(t, "a4010502410104500000000000000000000000000000"+"0000"+"184001")
	if err := Unmarshal(good, 1000, &out); err != nil {
		t.Fatal("unknown key 64 must be ignored:", err)
	}
	if err := Unmarshal(good, 10, &out); !errors.Is(err, ErrEncoding) {
		t.Fatal("size limit")
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	clean := ""
	for _, r := range s {
		if r != ' ' {
			clean += string(r)
		}
	}
	b, err := hex.DecodeString(clean)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
