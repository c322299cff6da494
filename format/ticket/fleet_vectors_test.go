package ticket

import (
	"strings"
	"testing"

	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

func TestOrderReceiptVectors(t *testing.T) {
	m := maker{t, "orderreceipt", "order-receipt", nodeKey}
	done := node{1: nodeBytes(nodeKey), 2: 1, 3: 7, 4: 1, 5: 2, 6: 8388609, 7: 20833, 8: name(5)}
	cases := []vector{
		m.good("done", done, nil),
		m.good("done, nothing was there", with(done, 5, 0, 6, 0), nil),
		m.good("refused", with(done, 4, 2, 5, 0, 6, 0, 7, 0), nil),
		m.good("greatest numbers", with(done, 2, wire.MaxInt, 3, wire.MaxInt, 5, wire.MaxInt, 6, wire.MaxInt), nil),
		m.good("unknown keys from 64 on are ignored", with(done, 64, 1), done),
	}
	var refused []refusal
	for k, what := range []string{"", "node id", "epoch", "number", "outcome", "blobs", "bytes", "day", "hash"} {
		if what != "" {
			refused = append(refused, refusal{what + " missing", with(done, k, nil)})
		}
	}
	cases = append(cases, m.bad(append(refused, []refusal{
		{"unknown key 9", with(done, 9, 1)},
		{"unknown key 63", with(done, 63, 1)},
		{"outcome 0", with(done, 4, 0)},
		{"outcome 3", with(done, 4, 3)},
		{"negative epoch", with(done, 2, -1)},
		{"negative number", with(done, 3, -1)},
		{"negative count of blobs", with(done, 5, -1)},
		{"negative bytes", with(done, 6, -1)},
		{"bytes of 2^53", with(done, 6, wire.MaxInt+1)},
		{"negative day", with(done, 7, -1)},
		{"hash of 31 bytes", with(done, 8, run(0, 31))},
	}...))...)
	cases = append(cases, m.raw("names another node than signed it", "envelope", wire.Seal(m.kind, m.key, wire.Marshal(with(done, 1, nodeBytes(otherKey))))))
	check(m, "order receipts", append(cases, m.envelopes(done)...), none[OrderReceipt])
}

func TestDeclarationVectors(t *testing.T) {
	m := maker{t, "declaration", "declaration", nodeKey}
	least := node{1: []byte(public(nodeKey)), 2: "Kauri Storage", 3: "NZ", 4: "https://node.example", 5: 100_000_000_000, 6: 20833}
	full := with(least, 7, "Southern Holding Ltd", 8, "AU", 9, "Rimu Cloud")
	cases := []vector{
		m.good("least", least, nil),
		m.good("every field", full, nil),
		m.good("operator of 128 bytes, capacity and day 0", with(least, 2, strings.Repeat("\u00e9", 64), 5, 0, 6, 0), nil),
		m.good("companies of 256 bytes", with(full, 7, strings.Repeat("p", 256), 9, strings.Repeat("s", 256)), nil),
		m.good("loopback", with(least, 4, "http://127.0.0.1:8101"), nil),
		m.good("unknown keys from 64 on are ignored", with(full, 64, "x"), full),
	}
	var refused []refusal
	for k, what := range []string{"", "public key", "operator", "jurisdiction", "URL", "capacity", "day"} {
		if what != "" {
			refused = append(refused, refusal{what + " missing", with(full, k, nil)})
		}
	}
	cases = append(cases, m.bad(append(refused, []refusal{
		{"unknown key 10", with(least, 10, 1)},
		{"unknown key 63", with(least, 63, 1)},
		{"public key of 31 bytes", with(least, 1, run(0, 31))},
		{"operator empty", with(least, 2, "")},
		{"operator of 129 bytes", with(least, 2, strings.Repeat("o", 129))},
		{"operator is bytes", with(least, 2, []byte("o"))},
		{"jurisdiction in lower case", with(least, 3, "nz")},
		{"jurisdiction not assigned", with(least, 3, "XX")},
		{"jurisdiction user-assigned", with(least, 3, "XK")},
		{"jurisdiction exceptionally reserved", with(least, 3, "EU")},
		{"jurisdiction of three letters", with(least, 3, "NZL")},
		{"jurisdiction empty", with(least, 3, "")},
		{"jurisdiction two at once", with(least, 3, "NZ\nDE")},
		{"URL with query", with(least, 4, "https://node.example?q")},
		{"URL empty", with(least, 4, "")},
		{"negative capacity", with(least, 5, -1)},
		{"negative day", with(least, 6, -1)},
		{"parent company empty", with(least, 7, "")},
		{"parent company of 257 bytes", with(least, 7, strings.Repeat("p", 257))},
		{"site not assigned", with(least, 8, "QQ")},
		{"site empty", with(least, 8, "")},
		{"storage provider empty", with(least, 9, "")},
		{"storage provider of 257 bytes", with(least, 9, strings.Repeat("s", 257))},
	}...))...)
	cases = append(cases, m.raw("names another key than signed it", "envelope", wire.Seal(m.kind, m.key, wire.Marshal(with(least, 1, []byte(public(otherKey)))))))
	check(m, "declarations", append(cases, m.envelopes(least)...), none[Declaration])
}

type codes struct {
	golden.Name
	Codes []string `json:"codes"`
	Fail  string   `json:"fail,omitempty"`
}

func TestJurisdictionVectors(t *testing.T) {
	var yes, no []string
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string(a) + string(b)
			if CheckJurisdiction(code) == nil {
				yes = append(yes, code)
			} else {
				no = append(no, code)
			}
		}
	}
	no = append(no, "", "D", "de", "De", "DEU", "D\u00cb", " DE", "DE\n")
	cases := golden.Sync(t, "declaration-jurisdictions.json", "jurisdictions: the officially assigned alpha-2 codes of ISO 3166-1 (docs/format.md, section 8)", []codes{
		{Name: golden.Name{Name: "assigned"}, Codes: yes},
		{Name: golden.Name{Name: "not assigned"}, Codes: no, Fail: "encoding"},
	})
	for _, c := range cases {
		for _, code := range c.Codes {
			if err := CheckJurisdiction(code); (err != nil) != (c.Fail != "") || err != nil && !isFailure(err, c.Fail) {
				t.Errorf("%q: %v, want %q", code, err, c.Fail)
			}
		}
	}
	if len(cases[0].Codes) != 249 {
		t.Errorf("%d codes are assigned, ISO 3166-1 has 249", len(cases[0].Codes))
	}
}

func TestHeartbeatVectors(t *testing.T) {
	m := maker{t, "heartbeat", "heartbeat", nodeKey}
	usual := node{1: nodeBytes(nodeKey), 2: noon, 3: 123456, 4: 100_000_000_000, 5: 0, 6: 1, 7: 42, 8: "holdfast 1.2.3", 9: run(0, 16)}
	cases := []vector{
		m.good("serving", usual, nil),
		m.good("read-only, more used than its capacity", with(usual, 3, 100_000_000_001, 5, 1), nil),
		m.good("new node", with(usual, 3, 0, 6, 0, 7, 0), nil),
		m.good("all numbers 0, no version text", with(usual, 2, 0, 3, 0, 4, 0, 6, 0, 7, 0, 8, ""), nil),
		m.good("version text of 256 bytes", with(usual, 8, strings.Repeat("v", 256)), nil),
		m.good("unknown keys from 64 on are ignored", with(usual, 64, 1), usual),
		m.good("orders held back, digest of the last order", with(usual, 65, true, 66, run(100, 32)), nil),
	}
	var refused []refusal
	for k, what := range []string{"", "node id", "time", "used", "capacity", "state", "epoch", "order number", "version", "nonce"} {
		if what != "" {
			refused = append(refused, refusal{what + " missing", with(usual, k, nil)})
		}
	}
	cases = append(cases, m.bad(append(refused, []refusal{
		{"unknown key 10", with(usual, 10, 1)},
		{"unknown key 63", with(usual, 63, 1)},
		{"state 2", with(usual, 5, 2)},
		{"negative time", with(usual, 2, -1)},
		{"negative used", with(usual, 3, -1)},
		{"negative capacity", with(usual, 4, -1)},
		{"negative epoch", with(usual, 6, -1)},
		{"negative order number", with(usual, 7, -1)},
		{"time of 2^53", with(usual, 2, wire.MaxInt+1)},
		{"version text of 257 bytes", with(usual, 8, strings.Repeat("v", 257))},
		{"version is bytes", with(usual, 8, []byte("v"))},
		{"nonce of 15 bytes", with(usual, 9, run(0, 15))},
		{"held back is false", with(usual, 65, false)},
		{"held back is a number", with(usual, 65, 1)},
		{"digest of 31 bytes", with(usual, 66, run(0, 31))},
		{"digest of 33 bytes", with(usual, 66, run(0, 33))},
		{"digest is empty", with(usual, 66, []byte{})},
		{"digest is text", with(usual, 66, "x")},
	}...))...)
	cases = append(cases, m.raw("names another node than signed it", "envelope", wire.Seal(m.kind, m.key, wire.Marshal(with(usual, 1, nodeBytes(otherKey))))))
	check(m, "heartbeats", append(cases, m.envelopes(usual)...), none[Heartbeat])
}
