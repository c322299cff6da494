package main

import "testing"

func TestByteCount(t *testing.T) {
	for text, want := range map[string]byteCount{
		"0": 0, "4096": 4096, "100GB": 100e9, "64MiB": 64 << 20, "1.5TB": 1.5e12, " 2 gib ": 2 << 30, "7B": 7, "1kb": 1000,
	} {
		var have byteCount
		if err := have.UnmarshalText([]byte(text)); err != nil || have != want {
			t.Errorf("%q: %d, %v; want %d", text, have, err, want)
		}
	}
	for _, text := range []string{"", "GB", "-1", "1XB", "many", "NaN", "Inf", "9000PB", "1e400", "0x10GB GB"} {
		var have byteCount
		if err := have.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for %d", text, have)
		}
	}
}
