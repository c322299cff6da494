package wire

import (
	"reflect"
	"runtime"
	"strings"
	"testing"
)

type few struct {
	Rows []duo `cbor:"1,keyasint" most:"2"`
}

// TestFits asks fits alone, whose leniency Unmarshal would hide: what it lets
// pass is refused later, when room was made for it.
func TestFits(t *testing.T) {
	sample, most := reflect.TypeFor[*shape](), reflect.TypeFor[*few]()
	cases := []struct {
		name string
		kind reflect.Type
		hex  string
		ok   bool
	}{
		{"least", sample, sampleHex(nil), true},
		{"every key", sample, sampleHex(map[int]string{3: "6178", 5: "a2012002f5", 6: "8182410207", 7: sampleHex(nil)}), true},
		{"keys from 64 on", sample, sampleHex(map[int]string{64: "a10080", 255: "f4"}), true},
		{"a key beyond the named ones", sample, with(8, "01"), false},
		{"a key before the named ones", sample, with(0, "01"), false},
		{"a negative key", sample, "a4" + sampleHex(nil)[2:] + "2001", false},
		{"a negative key alone", sample, "a12001", false},
		{"the first key missing", sample, sampleHex(map[int]string{1: ""}), false},
		{"a key between missing", sample, sampleHex(map[int]string{2: ""}), false},
		{"the last key missing", sample, sampleHex(map[int]string{4: ""}), false},
		{"an empty map", sample, "a0", false},
		{"an array for a map", sample, "80", false},
		{"an integer for a map", sample, "05", false},
		{"a negative uint", sample, with(1, "20"), false},
		{"a text for an integer", sample, with(1, "6135"), false},
		{"true for an integer", sample, with(1, "f5"), false},
		{"an array for bytes", sample, with(2, "8101"), false},
		{"an integer for bytes", sample, with(2, "05"), false},
		{"bytes for a text", sample, with(3, "4178"), false},
		{"an id of 15 bytes", sample, sampleHex(map[int]string{4: "4f" + strings.Repeat("00", 15)}), false},
		{"an id of 17 bytes", sample, sampleHex(map[int]string{4: "51" + strings.Repeat("00", 17)}), false},
		{"an array for an id", sample, sampleHex(map[int]string{4: "90" + strings.Repeat("00", 16)}), false},
		{"a map without its key", sample, with(5, "a0"), false},
		{"an integer for true", sample, with(5, "a201000201"), false},
		{"a map for an array", sample, with(6, "a0"), false},
		{"a bytes string for an array", sample, with(6, "4100"), false},
		{"integers for rows", sample, with(6, "820000"), false},
		{"empty rows", sample, with(6, "828080"), false},
		{"a row too short", sample, with(6, "818140"), false},
		{"a row too long", sample, with(6, "8183400000"), false},
		{"a row of other kinds", sample, with(6, "81820040"), false},
		{"a map for a row", sample, with(6, "81a200400100"), false},
		{"another kind far below", sample, with(7, with(7, with(6, "8182056100"))), false},
		{"no rows", most, "a10180", true},
		{"as many rows as allowed", most, "a101" + "82" + "824000" + "824000", true},
		{"a row more than allowed", most, "a101" + "83" + "824000" + "824000" + "824000", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			if err := check(b); err != nil {
				t.Fatal(err)
			}
			rest, err := fits(b, field{kind: c.kind, most: maxEntries})
			if (err == nil) != c.ok || c.ok && len(rest) != 0 {
				t.Fatalf("%d bytes left, %v", len(rest), err)
			}
		})
	}
}

// TestFitsIsOfTheFormat: a struct with what the format has no value for is a
// mistake of this program, found at the first value.
func TestFitsIsOfTheFormat(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a float has a place in the format")
		}
	}()
	var v struct {
		F float64 `cbor:"1,keyasint"`
	}
	_ = Unmarshal([]byte{0xa1, 1, 5}, 10, &v)
}

// Threats row 28: rows cost nothing before their bytes are there.
func TestRowsCostTheirBytes(t *testing.T) {
	head := []byte{0xa4, 0x01, 0x05, 0x02, 0x40, 0x04, 0x50}
	head = append(append(head, make([]byte, 16)...), 0x06, 0x9a, 0x00, 0x10, 0x00, 0x00)
	for name, fill := range map[string]byte{"integers": 0x00, "empty rows": 0x80, "empty maps": 0xa0} {
		t.Run(name, func(t *testing.T) {
			b := append(head, make([]byte, 1<<20)...)
			for i := len(head); i < len(b); i++ {
				b[i] = fill
			}
			var v shape
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := Unmarshal(b, 2<<20, &v)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; err == nil || got > 1<<17 {
				t.Fatalf("%v, %d bytes allocated", err, got)
			}
		})
	}
}
