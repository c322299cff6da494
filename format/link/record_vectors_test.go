package link

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

type node = map[int64]any

// with is a copy of m with pairs set; a nil value takes the key away.
func with(m node, pairs ...any) node {
	out := maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		key := int64(pairs[i].(int))
		if pairs[i+1] == nil {
			delete(out, key)
			continue
		}
		out[key] = pairs[i+1]
	}
	return out
}

func contentNode(first byte, size int64) node {
	return node{1: run(first, 16), 2: run(first+16, 16), 3: run(first+32, 32), 4: run(first+64, 32), 5: run(first+96, 32), 6: size}
}

type recordVector struct {
	golden.Name
	Handle    golden.Hex    `json:"handle"`
	Secret    golden.Hex    `json:"secret"`
	Password  string        `json:"password,omitempty"`
	Salt      golden.Hex    `json:"salt,omitempty"`
	RecordKey golden.Hex    `json:"recordKey,omitempty"`
	Plaintext golden.Hex    `json:"plaintext,omitempty"`
	Value     golden.Object `json:"value,omitempty"`
	Again     *bool         `json:"again,omitempty"`
	Record    golden.Data   `json:"record"`
	Fail      string        `json:"fail,omitempty"`
}

// sample is a link and the salt of its record.
type sample struct {
	t    *testing.T
	link Link
	pass string
	salt []byte
	keys Keys
}

func newSample(t *testing.T, pass string) sample {
	s := sample{t: t, link: Link{Handle: handleFrom(16), Secret: secretFrom(100)}, pass: pass, salt: run(200, 32)}
	if pass != "" {
		s.link.Flags = NeedsPassword
	}
	var err error
	if s.keys, err = s.link.Keys(pass); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s sample) sealed(plaintext []byte) []byte {
	return golden.SealRecord(s.t, "link", s.keys.Record[:], s.salt, s.link.Handle[:], plaintext)
}

func (s sample) good(name string, m, known node) recordVector {
	again := known == nil
	if again {
		known = m
	}
	plaintext := wire.Marshal(m)
	return recordVector{
		Name: golden.Name{Name: name}, Handle: s.link.Handle[:], Secret: s.link.Secret[:], Password: s.pass,
		Salt: s.salt, RecordKey: s.keys.Record[:], Plaintext: plaintext, Value: golden.Value(s.t, wire.Marshal(known)), Again: &again,
		Record: golden.Inline(s.sealed(plaintext)),
	}
}

func (s sample) raw(name, fail string, record []byte) recordVector {
	return recordVector{
		Name: golden.Name{Name: name}, Handle: s.link.Handle[:], Secret: s.link.Secret[:], Password: s.pass,
		Record: golden.Inline(record), Fail: fail,
	}
}

// padded is m with a key 64 that fills its sealed record up to size bytes.
func (s sample) padded(m node, size int) node {
	less := len(s.sealed(wire.Marshal(with(m, 64, make([]byte, 1<<15)))))
	return with(m, 64, make([]byte, 1<<15+size-less))
}

func recordVectors(t *testing.T) []recordVector {
	s, locked := newSample(t, ""), newSample(t, "correct horse battery staple")
	file := node{1: 1, 2: node{1: "report.pdf", 2: 1, 3: contentNode(0, 123456)}}
	full := node{1: 1, 2: node{
		1: "\u202egpj.photo.exe", 2: 1, 3: contentNode(0, 5), 4: "image/jpeg", 5: 1700000000, 6: 5, 7: true,
		8: []any{node{1: contentNode(3, 70000), 2: 1600000000}}, 9: contentNode(11, 2048),
	}}
	bundle := node{1: 2, 3: contentNode(40, 999), 4: 3, 5: 300005}
	one := func(pairs ...any) node { return with(file, 2, with(file[2].(node), pairs...)) }
	cases := []recordVector{
		s.good("one file, least", file, nil),
		s.good("one file, every field", full, nil),
		s.good("bundle", bundle, nil),
		s.good("bundle of folders only", with(bundle, 4, 0, 5, 0), nil),
		s.good("greatest totals", with(bundle, 4, wire.MaxInt, 5, wire.MaxInt), nil),
		locked.good("with a password", file, nil),
		s.good("unknown keys from 64 on are ignored", with(bundle, 64, "later"), bundle),
		s.good("unknown key 64 in the descriptor", one(64, 1), file),
	}
	largest := s.padded(file, MaxRecord)
	fits := s.good("as large as allowed", largest, file)
	fits.Record, fits.Plaintext = golden.Beside(t, "linkrecord-as-large-as-allowed.bin", fits.Record.Bytes), nil
	cases = append(cases, fits)
	tooLarge := s.raw("one byte too large", "record", nil)
	tooLarge.Record = golden.Beside(t, "linkrecord-one-byte-too-large.bin", s.sealed(wire.Marshal(s.padded(file, MaxRecord+1))))
	return append(append(cases, tooLarge), append(recordFailures(s, locked, file), shapeFailures(s, file, bundle, one)...)...)
}

func recordFailures(s, locked sample, file node) []recordVector {
	plaintext := wire.Marshal(file)
	record, secret := s.sealed(plaintext), locked.sealed(plaintext)
	flip := func(at int) []byte {
		b := bytes.Clone(record)
		b[(at+len(b))%len(b)] ^= 0x10
		return b
	}
	otherSecret := s.raw("secret of another link", "commitment", record)
	otherSecret.Secret = run(101, 32)
	otherHandle := s.raw("handle of another link", "commitment", record)
	otherHandle.Handle = run(17, 16)
	wrong := locked.raw("wrong password", "commitment", secret)
	wrong.Password = "correct horse battery stapler"
	without := s.raw("opened without its password", "commitment", secret)
	unneeded := locked.raw("opened with a password that it has not", "commitment", record)
	return []recordVector{
		otherSecret, otherHandle, wrong, without, unneeded,
		s.raw("sealed as another type", "commitment", golden.SealRecord(s.t, "note", s.keys.Record[:], s.salt, s.link.Handle[:], plaintext)),
		s.raw("sealed under the auth value", "commitment", golden.SealRecord(s.t, "link", s.keys.Auth[:], s.salt, s.link.Handle[:], plaintext)),
		s.raw("sealed without handle", "commitment", golden.SealRecord(s.t, "link", s.keys.Record[:], s.salt, nil, plaintext)),
		s.raw("version 2", "version", append([]byte{2}, record[1:]...)),
		s.raw("nothing", "record", nil),
		s.raw("80 bytes", "record", record[:80]),
		s.raw("bit flipped in the salt", "commitment", flip(1)),
		s.raw("bit flipped in the commitment", "commitment", flip(33)),
		s.raw("bit flipped in the ciphertext", "record", flip(65)),
		s.raw("bit flipped in the tag", "record", flip(-1)),
		s.raw("last byte missing", "record", record[:len(record)-1]),
		s.raw("one byte too many", "record", append(bytes.Clone(record), 0)),
	}
}

func shapeFailures(s sample, file, bundle node, one func(...any) node) []recordVector {
	var cases []recordVector
	for _, r := range []struct {
		name string
		m    node
	}{
		{"kind missing", with(file, 1, nil)},
		{"kind 0", with(file, 1, 0)},
		{"kind 3 is reserved", with(file, 1, 3)},
		{"kind is text", with(file, 1, "1")},
		{"unknown key 6", with(file, 6, 1)},
		{"unknown key 63", with(bundle, 63, 1)},
		{"file without descriptor", node{1: 1}},
		{"file with content", with(file, 3, contentNode(1, 1))},
		{"file with count", with(file, 4, 1)},
		{"file with bytes", with(file, 5, 1)},
		{"file with count 0", with(file, 4, 0)},
		{"file is a folder", node{1: 1, 2: node{1: "a", 2: 2}}},
		{"path of two components", one(1, "a/b")},
		{"path ..", one(1, "..")},
		{"path empty", one(1, "")},
		{"path of 256 bytes", one(1, strings.Repeat("n", 256))},
		{"file without its content", one(3, nil)},
		{"descriptor with unknown key 10", one(10, 1)},
		{"bundle without content", with(bundle, 3, nil)},
		{"bundle without count", with(bundle, 4, nil)},
		{"bundle without bytes", with(bundle, 5, nil)},
		{"bundle with descriptor", with(bundle, 2, node{1: "a", 2: 1, 3: contentNode(0, 5)})},
		{"negative count", with(bundle, 4, -1)},
		{"negative bytes", with(bundle, 5, -1)},
		{"bytes of 2^53", with(bundle, 5, wire.MaxInt+1)},
		{"bundle's content with negative size", with(bundle, 3, contentNode(0, -1))},
	} {
		cases = append(cases, s.raw(r.name, "encoding", s.sealed(wire.Marshal(r.m))))
	}
	plaintext := wire.Marshal(file)
	return append(cases,
		s.raw("empty plaintext", "encoding", s.sealed(nil)),
		s.raw("byte after the plaintext", "encoding", s.sealed(append(bytes.Clone(plaintext), 0))),
	)
}

var recordErrors = map[string]error{
	"version": seal.ErrVersion, "record": seal.ErrRecord, "commitment": seal.ErrCommitment, "encoding": wire.ErrEncoding,
}

// folderVectors are those of links to folders, in a file of their own: what was written
// before them stays as it is.
func folderVectors(t *testing.T) []recordVector {
	s, locked := newSample(t, ""), newSample(t, "correct horse battery staple")
	least := node{1: 3, 6: run(20, 16), 7: 1, 8: run(30, 32), 9: run(70, 32), 10: run(110, 32), 11: "a", 12: 1, 13: run(150, 32)}
	cases := []recordVector{
		s.good("folder, least", least, nil),
		s.good("folder, greatest", with(least, 7, maxEpoch, 11, strings.Repeat("n", 255), 12, wire.MaxInt), nil),
		locked.good("folder with a password", least, nil),
		s.good("unknown keys from 64 on are ignored", with(least, 64, "later"), least),
	}
	fails := []struct {
		name string
		m    node
	}{
		{"epoch 0", with(least, 7, 0)},
		{"epoch 4097", with(least, 7, maxEpoch+1)},
		{"negative epoch", with(least, 7, -1)},
		{"folder of 15 bytes", with(least, 6, run(20, 15))},
		{"read key of 33 bytes", with(least, 8, run(30, 33))},
		{"write key of 31 bytes", with(least, 9, run(70, 31))},
		{"admin key is text", with(least, 10, "key")},
		{"name of two components", with(least, 11, "a/b")},
		{"name ..", with(least, 11, "..")},
		{"name empty", with(least, 11, "")},
		{"name of 256 bytes", with(least, 11, strings.Repeat("n", 256))},
		{"seq 0", with(least, 12, 0)},
		{"seq of 2^53", with(least, 12, wire.MaxInt+1)},
		{"hash of 16 bytes", with(least, 13, run(150, 16))},
		{"unknown key 14", with(least, 14, 1)},
		{"folder with descriptor", with(least, 2, node{1: "a", 2: 1, 3: contentNode(0, 5)})},
		{"folder with content", with(least, 3, contentNode(0, 5))},
		{"folder with count", with(least, 4, 0)},
		{"folder with bytes", with(least, 5, 0)},
		{"kind 4", with(least, 1, 4)},
		{"file with a folder's keys", with(least, 1, 1, 2, node{1: "a", 2: 1, 3: contentNode(0, 5)})},
		{"file with a folder's name", node{1: 1, 2: node{1: "a", 2: 1, 3: contentNode(0, 5)}, 11: "a"}},
		{"bundle with a folder's id", node{1: 2, 3: contentNode(40, 999), 4: 3, 5: 300005, 6: run(20, 16)}},
	}
	for key := 6; key <= 13; key++ {
		fails = append(fails, struct {
			name string
			m    node
		}{fmt.Sprintf("without key %d", key), with(least, key, nil)})
	}
	for _, f := range fails {
		cases = append(cases, s.raw(f.name, "encoding", s.sealed(wire.Marshal(f.m))))
	}
	return cases
}

func TestRecordVectors(t *testing.T) {
	cases := golden.Sync(t, "linkrecord.json", "link records (docs/format.md, sections 6 and 11; fields in docs/vectors.md)", recordVectors(t))
	cases = append(cases, golden.Sync(t, "linkfolder.json", "link records of folders (docs/format.md, sections 6 and 11; fields in docs/vectors.md)", folderVectors(t))...)
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			l := Link{Handle: id.Handle(c.Handle), Secret: Secret(c.Secret)}
			if c.Password != "" {
				l.Flags = NeedsPassword
			}
			keys, err := l.Keys(c.Password)
			if err != nil {
				t.Fatal(err)
			}
			r, err := OpenRecord(keys.Record, l.Handle, c.Record.Bytes)
			if c.Fail != "" {
				want, known := recordErrors[c.Fail]
				if !known || !errors.Is(err, want) {
					t.Fatalf("want %s, have %v", c.Fail, err)
				}
				t.Log(err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkRecord(t, c, l, keys, r)
		})
	}
}

func checkRecord(t *testing.T, c recordVector, l Link, keys Keys, r Record) {
	t.Helper()
	if !bytes.Equal(keys.Record[:], c.RecordKey) {
		t.Fatal("the record key is another")
	}
	again := wire.Marshal(r.plain())
	if have := golden.Value(t, again); !reflect.DeepEqual(have, c.Value) {
		t.Fatalf("decoded as %v\nwant %v", have, c.Value)
	}
	if c.Plaintext != nil && bytes.Equal(again, c.Plaintext) != *c.Again {
		t.Fatal("encoding again gives other bytes than it should")
	}
	if *c.Again && !bytes.Equal(golden.SealRecord(t, "link", keys.Record[:], c.Salt, l.Handle[:], again), c.Record.Bytes) {
		t.Fatal("sealing again under the same salt gives another record")
	}
	sealed, err := SealRecord(keys.Record, l.Handle, r)
	if err != nil {
		t.Fatal(err)
	}
	reopened, err := OpenRecord(keys.Record, l.Handle, sealed)
	if err != nil || !reflect.DeepEqual(reopened, r) {
		t.Fatalf("sealed and opened again: %v", err)
	}
}
