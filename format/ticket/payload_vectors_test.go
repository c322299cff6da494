package ticket

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/wire"
)

const noon = 1_800_000_000 // 2027-01-15 08:00 UTC, when the tickets of the vectors end

func ptr(n int64) *int64 { return &n }

func place(k ed25519.PrivateKey, url string) node { return node{1: nodeBytes(k), 2: url} }

func TestUploadTicketVectors(t *testing.T) {
	m := maker{t, "ticket-upload", "upload-ticket", serverKey}
	pair := []any{place(nodeKey, "https://a.example"), place(otherKey, "http://127.0.0.1:9001")}
	least := node{1: run(0, 16), 2: []any{pair}, 3: 1 << 30, 4: noon}
	many := func(chains, nodes int) node {
		return with(least, 2, each(chains, func(int) any {
			return each(nodes, func(i int) any { return place(key(byte(10+i)), "https://n.example/base") })
		}))
	}
	url := func(text string) node {
		return with(least, 2, []any{[]any{place(nodeKey, text), place(otherKey, "https://b.example")}})
	}
	at := func(k ed25519.PrivateKey, now int64, fail string) access {
		return access{Node: nodeBytes(k), Now: now, Fail: fail}
	}
	cases := []vector{
		m.good("one chain of two", least, nil,
			at(nodeKey, noon-300, ""), at(otherKey, noon, ""), at(nodeKey, noon+60, ""), at(nodeKey, noon+61, "expired"),
			at(key(9), noon, "other-node"), at(key(9), noon+61, "expired"), at(nodeKey, 0, "")),
		m.good("eight chains of eight", many(8, 8), nil, at(key(17), noon, ""), at(key(18), noon, "other-node")),
		m.good("budget and expiry 0", with(least, 3, 0, 4, 0), nil, at(nodeKey, 60, ""), at(nodeKey, 61, "expired")),
		m.good("greatest budget and expiry", with(least, 3, wire.MaxInt, 4, wire.MaxInt), nil),
		m.good("address, port and path", url("http://[::1]:65535/store/v1.0/~x%20y/"), nil),
		m.good("IPv6 address that ends like an IPv4 address", url("https://[2001:DB8::192.0.2.1]/"), nil),
		m.good("URL of 256 bytes", url("https://h.example/"+strings.Repeat("p", 238)), nil),
		m.good("unknown keys from 64 on are ignored", with(least, 64, 1, 70, []any{"x"}), least),
	}
	cases = append(cases, m.bad([]refusal{
		{"upload id missing", with(least, 1, nil)},
		{"chains missing", with(least, 2, nil)},
		{"budget missing", with(least, 3, nil)},
		{"expiry missing", with(least, 4, nil)},
		{"unknown key 5", with(least, 5, 1)},
		{"unknown key 63", with(least, 63, 1)},
		{"upload id of 15 bytes", with(least, 1, run(0, 15))},
		{"no chains", with(least, 2, []any{})},
		{"nine chains", many(9, 2)},
		{"chain of one", many(1, 1)},
		{"chain of nine", many(1, 9)},
		{"empty chain", with(least, 2, []any{pair, []any{}})},
		{"node twice in a chain", with(least, 2, []any{append(pair, pair[0])})},
		{"node without URL", with(least, 2, []any{[]any{pair[0], node{1: nodeBytes(otherKey)}}})},
		{"node with unknown key 3", with(least, 2, []any{[]any{pair[0], with(place(otherKey, "https://b.example"), 3, 1)}})},
		{"negative budget", with(least, 3, -1)},
		{"budget of 2^53", with(least, 3, wire.MaxInt+1)},
		{"budget is text", with(least, 3, "1")},
		{"negative expiry", with(least, 4, -1)},
		{"URL empty", url("")},
		{"URL of another scheme", url("ftp://a.example")},
		{"URL scheme in upper case", url("HTTPS://a.example")},
		{"URL without scheme", url("a.example")},
		{"URL without host", url("https:///x")},
		{"URL with user", url("https://u@a.example")},
		{"URL with user and password", url("https://u:p@a.example")},
		{"URL with query", url("https://a.example/?q")},
		{"URL with fragment", url("https://a.example/#f")},
		{"URL with a space", url("https://a.example/a b")},
		{"URL with a backslash", url("https://a.example\\b")},
		{"URL with a line feed at the end", url("https://a.example\n")},
		{"URL not ASCII", url("https://\u00e4.example")},
		{"URL with port 0", url("https://a.example:0")},
		{"URL with port 65536", url("https://a.example:65536")},
		{"URL with empty port", url("https://a.example:")},
		{"URL with an underscore in the host", url("https://a_b.example")},
		{"URL with a colon in brackets", url("https://[:]")},
		{"URL with two groups in brackets", url("https://[1:2]")},
		{"URL with nine groups in brackets", url("https://[1:2:3:4:5:6:7:8:9]")},
		{"URL with two gaps in brackets", url("https://[1::2::3]")},
		{"URL with an IPv4 address in brackets", url("https://[192.0.2.1]")},
		{"URL with a zone in brackets", url("https://[fe80::1%25eth0]")},
		{"URL of 257 bytes", url("https://h.example/" + strings.Repeat("p", 239))},
	})...)
	cases = append(cases, m.envelopes(least)...)
	check(m, "upload tickets", cases, func(p UploadTicket, a access) error {
		return p.Allows(id.Node(a.Node), time.Unix(a.Now, 0))
	})
}

func TestReadTicketVectors(t *testing.T) {
	m := maker{t, "ticket-read", "read-ticket", serverKey}
	reads := func(first byte, ranges ...any) node { return node{1: run(first, 16), 2: ranges} }
	span := func(i, offset, length int) []any { return []any{name(i), offset, length} }
	nodes := []any{nodeBytes(nodeKey), nodeBytes(otherKey)}
	least := node{1: []any{nodeBytes(nodeKey)}, 2: []any{reads(0, span(1, 0, 1))}, 3: noon}
	usual := node{1: nodes, 2: []any{reads(0, span(1, 0, MaxBlob), span(2, 1000, 500), span(2, 1500, 500)), reads(1, span(3, 16384, 16384))}, 3: noon}
	ranged := func(r ...any) node { return with(least, 2, []any{node{1: run(0, 16), 2: []any{r}}}) }
	at := func(k ed25519.PrivateKey, first byte, blob int, offset, length, now int64, fail string) access {
		return access{Node: nodeBytes(k), Upload: run(first, 16), Blob: name(blob), Offset: ptr(offset), Length: ptr(length), Now: now, Fail: fail}
	}
	cases := []vector{
		m.good("one byte of one blob", least, nil, at(nodeKey, 0, 1, 0, 1, noon, ""), at(nodeKey, 0, 1, 0, 2, noon, "not-listed")),
		m.good("several nodes, uploads and ranges", usual, nil,
			at(nodeKey, 0, 1, 0, MaxBlob, noon, ""), at(otherKey, 0, 1, 8388607, 1, noon-300, ""),
			at(nodeKey, 0, 2, 1000, 500, noon, ""), at(nodeKey, 0, 2, 1200, 100, noon, ""), at(nodeKey, 0, 2, 1500, 500, noon, ""),
			at(nodeKey, 0, 2, 1400, 200, noon, "not-listed"), at(nodeKey, 0, 2, 999, 10, noon, "not-listed"), at(nodeKey, 0, 2, 1000, 501, noon, "not-listed"),
			at(nodeKey, 0, 2, 2000, 1, noon, "not-listed"), at(nodeKey, 0, 2, 1000, 0, noon, "not-listed"),
			at(nodeKey, 1, 1, 0, 1, noon, "not-listed"), at(nodeKey, 0, 3, 16384, 1, noon, "not-listed"), at(nodeKey, 1, 3, 16384, 16384, noon, ""),
			at(nodeKey, 0, 4, 0, 1, noon, "not-listed"), at(nodeKey, 0, 1, 8388607, 2, noon, "not-listed"),
			at(key(9), 0, 1, 0, 1, noon, "other-node"), at(nodeKey, 0, 1, 0, 1, noon+60, ""), at(nodeKey, 0, 1, 0, 1, noon+61, "expired"),
			at(key(9), 0, 4, 0, 1, noon+61, "expired"), at(key(9), 0, 4, 0, 1, noon, "other-node")),
		m.good("sixteen nodes", with(least, 1, each(16, func(i int) any { return nodeBytes(key(byte(10 + i))) })), nil),
		m.good("64 ranges", with(least, 2, []any{node{1: run(0, 16), 2: each(64, func(i int) any { return span(i, i, i+1) })}}), nil),
		m.good("64 uploads", with(least, 2, each(64, func(i int) any { return reads(byte(i), span(i, 0, MaxBlob)) })), nil),
		m.good("last byte of the largest blob", ranged(name(1), MaxBlob-1, 1), nil),
		m.good("unknown keys from 64 on are ignored", with(least, 64, 1), least),
	}
	cases = append(cases, m.bad([]refusal{
		{"nodes missing", with(least, 1, nil)},
		{"uploads missing", with(least, 2, nil)},
		{"expiry missing", with(least, 3, nil)},
		{"unknown key 4", with(least, 4, 1)},
		{"unknown key 63", with(least, 63, 1)},
		{"no nodes", with(least, 1, []any{})},
		{"seventeen nodes", with(least, 1, each(17, func(i int) any { return nodeBytes(key(byte(10 + i))) }))},
		{"node id of 17 bytes", with(least, 1, []any{run(0, 17)})},
		{"no uploads", with(least, 2, []any{})},
		{"65 uploads", with(least, 2, each(65, func(i int) any { return reads(byte(i), span(i, 0, 1)) }))},
		{"upload without ranges", with(least, 2, []any{reads(0)})},
		{"upload with unknown key 3", with(least, 2, []any{with(reads(0, span(1, 0, 1)), 3, 1)})},
		{"65 ranges", with(least, 2, []any{node{1: run(0, 16), 2: each(65, func(i int) any { return span(i, 0, 1) })}})},
		{"range of length 0", ranged(name(1), 0, 0)},
		{"range of negative length", ranged(name(1), 5, -1)},
		{"range from a negative offset", ranged(name(1), -1, 1)},
		{"range beyond the largest blob", ranged(name(1), 1, MaxBlob)},
		{"range from beyond the largest blob", ranged(name(1), MaxBlob, 1)},
		{"range of two elements", ranged(name(1), 0)},
		{"range of four elements", ranged(name(1), 0, 1, 1)},
		{"range is a map", with(least, 2, []any{node{1: run(0, 16), 2: []any{node{1: name(1)}}}})},
		{"blob name of 31 bytes", ranged(run(0, 31), 0, 1)},
		{"blob name is text", ranged(strings.Repeat("n", 32), 0, 1)},
		{"negative expiry", with(least, 3, -1)},
		{"expiry of 2^53", with(least, 3, wire.MaxInt+1)},
	})...)
	oversize := with(least, 2, each(40, func(u int) any {
		return node{1: run(byte(u), 16), 2: each(40, func(i int) any { return span(i, 0, MaxBlob) })}
	}))
	cases = append(cases, m.raw("larger than 64 KiB", "encoding", wire.Seal(m.kind, m.key, wire.Marshal(oversize))))
	cases = append(cases, m.envelopes(least)...)
	check(m, "read tickets", cases, func(p ReadTicket, a access) error {
		return p.Allows(id.Node(a.Node), id.Upload(a.Upload), id.Name(a.Blob), *a.Offset, *a.Length, time.Unix(a.Now, 0))
	})
}

func none[P Payload](P, access) error { return errors.New("this type allows nothing") }

func TestReceiptVectors(t *testing.T) {
	m := maker{t, "receipt", "receipt", nodeKey}
	least := node{1: run(0, 16), 2: nodeBytes(nodeKey), 3: 20833, 4: []any{[]any{name(1), 1}}}
	blobs := func(v ...any) node { return with(least, 4, v) }
	many := func(n int) node { return with(least, 4, each(n, func(i int) any { return []any{name(i), i + 1} })) }
	cases := []vector{
		m.good("one blob of one byte", least, nil),
		m.good("largest blob, day 0", with(blobs([]any{name(1), MaxBlob}, []any{name(2), 1048577}), 3, 0), nil),
		m.good("1024 blobs", many(1024), nil),
		m.good("unknown keys from 64 on are ignored", with(least, 64, "x"), least),
	}
	cases = append(cases, m.bad([]refusal{
		{"upload id missing", with(least, 1, nil)},
		{"node id missing", with(least, 2, nil)},
		{"day missing", with(least, 3, nil)},
		{"blobs missing", with(least, 4, nil)},
		{"unknown key 5", with(least, 5, 1)},
		{"unknown key 63", with(least, 63, 1)},
		{"negative day", with(least, 3, -1)},
		{"day is bytes", with(least, 3, []byte{1})},
		{"no blobs", with(least, 4, []any{})},
		{"1025 blobs", many(1025)},
		{"blob of 0 bytes", blobs([]any{name(1), 0})},
		{"blob of negative size", blobs([]any{name(1), -1})},
		{"blob of more than 8 MiB", blobs([]any{name(1), MaxBlob + 1})},
		{"blob twice", blobs([]any{name(1), 5}, []any{name(2), 5}, []any{name(1), 6})},
		{"blob without size", blobs([]any{name(1)})},
		{"blob name of 33 bytes", blobs([]any{run(0, 33), 1})},
	})...)
	cases = append(cases, m.raw("names another node than signed it", "envelope", wire.Seal(m.kind, m.key, wire.Marshal(with(least, 2, nodeBytes(otherKey))))))
	check(m, "receipts", append(cases, m.envelopes(least)...), none[Receipt])
}

func TestOrderVectors(t *testing.T) {
	m := maker{t, "order", "order", serverKey}
	upload := node{1: nodeBytes(nodeKey), 2: 1, 3: 1, 4: 1, 5: run(0, 16), 8: 20833}
	blobs := with(upload, 3, 2, 4, 2, 6, []any{name(1)})
	keep := func(r ...any) node { return with(upload, 3, 3, 4, 3, 6, []any{name(1)}, 7, r) }
	span := func(i, offset, length int) []any { return []any{name(i), offset, length} }
	repack := keep(span(1, 0, 1048576), span(1, 1048576, 1000), span(1, 5000000, 70000))
	names := func(n int) node { return with(blobs, 6, each(n, func(i int) any { return name(i) })) }
	cases := []vector{
		m.good("delete an upload", upload, nil),
		m.good("delete blobs", blobs, nil),
		m.good("delete 1024 blobs", names(1024), nil),
		m.good("repack", repack, nil),
		m.good("repack, everything kept", keep(span(1, 0, MaxBlob)), nil),
		m.good("repack, 1024 extents", with(repack, 7, each(1024, func(i int) any { return span(1, 8192*i, 8192) })), nil),
		m.good("greatest numbers", with(upload, 2, wire.MaxInt, 3, wire.MaxInt, 8, wire.MaxInt), nil),
		m.good("unknown keys from 64 on are ignored", with(upload, 64, 1), upload),
	}
	cases = append(cases, m.bad([]refusal{
		{"node id missing", with(upload, 1, nil)},
		{"epoch missing", with(upload, 2, nil)},
		{"number missing", with(upload, 3, nil)},
		{"action missing", with(upload, 4, nil)},
		{"upload id missing", with(upload, 5, nil)},
		{"day missing", with(upload, 8, nil)},
		{"unknown key 9", with(upload, 9, 1)},
		{"unknown key 63", with(upload, 63, 1)},
		{"epoch 0", with(upload, 2, 0)},
		{"number 0", with(upload, 3, 0)},
		{"negative number", with(upload, 3, -1)},
		{"number of 2^53", with(upload, 3, wire.MaxInt+1)},
		{"action 0", with(upload, 4, 0)},
		{"action 4", with(upload, 4, 4)},
		{"negative day", with(upload, 8, -1)},
		{"delete an upload, with blobs", with(upload, 6, []any{name(1)})},
		{"delete an upload, with extents", with(upload, 7, []any{span(1, 0, 1)})},
		{"delete blobs, none named", with(blobs, 6, nil)},
		{"delete blobs, empty list", with(blobs, 6, []any{})},
		{"delete blobs, 1025 named", names(1025)},
		{"delete blobs, one twice", with(blobs, 6, []any{name(1), name(1)})},
		{"delete blobs, name of 16 bytes", with(blobs, 6, []any{run(0, 16)})},
		{"delete blobs, with extents", with(blobs, 7, []any{span(1, 0, 1)})},
		{"repack, no blob", with(repack, 6, nil)},
		{"repack, two blobs", with(repack, 6, []any{name(1), name(2)})},
		{"repack, no extents", with(repack, 7, nil)},
		{"repack, empty list of extents", keep()},
		{"repack, 1025 extents", with(repack, 7, each(1025, func(i int) any { return span(1, 4096*i, 4096) }))},
		{"repack, extent of another blob", keep(span(2, 0, 1))},
		{"repack, extents overlap", keep(span(1, 0, 100), span(1, 99, 100))},
		{"repack, extents out of order", keep(span(1, 100, 100), span(1, 0, 100))},
		{"repack, extent of length 0", keep(span(1, 0, 0))},
		{"repack, extent beyond the largest blob", keep(span(1, MaxBlob, 1))},
	})...)
	check(m, "orders", append(cases, m.envelopes(upload)...), none[Order])
}
