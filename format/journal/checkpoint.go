package journal

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

// Limits of docs/format.md §24.
const (
	// maxStates bounds entries and heads of a folder whose state can be kept.
	maxStates = 1 << 20
)

// first stands in page 0 of a checkpoint.
type first struct {
	Folder id.Folder    `cbor:"1,keyasint"`
	Seq    int64        `cbor:"2,keyasint"`
	Hash   Hash         `cbor:"3,keyasint"`
	Epochs []epochStart `cbor:"4,keyasint"`
	States int64        `cbor:"5,keyasint"`
	Heads  int64        `cbor:"6,keyasint"`
}

// kept is an entry as it stands in a page.
type kept struct {
	ID         id.Entry               `cbor:"1,keyasint"`
	Descriptor *descriptor.Descriptor `cbor:"2,keyasint"`
	Child      *Child                 `cbor:"3,keyasint,omitempty"`
	Day        *int64                 `cbor:"4,keyasint,omitempty"`
}

func (e *Entry) kept() kept {
	k := kept{ID: e.ID, Descriptor: e.Descriptor, Child: e.Child}
	if e.Trashed {
		k.Day = &e.Day
	}
	return k
}

// Checkpoint is a folder's state, sealed in pages.
type Checkpoint struct {
	Head   Head
	Digest Hash     // of the state
	Hashes []Hash   // of the pages, in their order: what stands in the entry
	Pages  [][]byte // sealed
}

// paginator fills pages with items in their order. A page is a map of up to three
// keys, of which it writes the heads itself, because it knows their lengths last.
type paginator struct {
	pages  [][]byte
	first  []byte
	lists  [2][]byte // states, heads: encoded items of the present page
	counts [2]int
}

const (
	states = iota
	heads
)

func (p *paginator) add(list int, item []byte) {
	if p.size(list, len(item)) > MaxPage {
		p.close()
	}
	p.lists[list] = append(p.lists[list], item...)
	p.counts[list]++
}

// size is the page's size once another item of n bytes is in that list.
func (p *paginator) size(list, n int) int {
	size := 1
	if p.first != nil {
		size += 1 + len(p.first)
	}
	for i := range p.lists {
		count, bytes := p.counts[i], len(p.lists[i])
		if i == list {
			count, bytes = count+1, bytes+n
		}
		if count > 0 {
			size += 1 + len(wire.AppendHead(nil, wire.Array, uint64(count))) + bytes
		}
	}
	return size
}

func (p *paginator) close() {
	keys := 0
	var body []byte
	if p.first != nil {
		body = append(append(body, 1), p.first...)
		keys++
	}
	for i, list := range p.lists {
		if p.counts[i] == 0 {
			continue
		}
		body = append(body, byte(2+i))
		body = wire.AppendHead(body, wire.Array, uint64(p.counts[i]))
		body = append(body, list...)
		keys++
	}
	page := wire.AppendHead(make([]byte, 0, 1+len(body)), wire.Map, uint64(keys))
	p.pages = append(p.pages, append(page, body...))
	p.first, p.lists, p.counts = nil, [2][]byte{}, [2]int{}
}

// plainPages is the state in its one form.
func (s *State) plainPages() [][]byte {
	p := &paginator{first: wire.Marshal(first{
		Folder: s.chain.Folder, Seq: s.chain.Seq, Hash: s.chain.Hash, Epochs: s.epochs,
		States: int64(len(s.entries)), Heads: int64(len(s.heads)),
	})}
	for _, e := range slices.SortedFunc(maps.Values(s.entries), func(a, b *Entry) int { return compareIDs(a.ID, b.ID) }) {
		p.add(states, wire.Marshal(e.kept()))
	}
	for _, h := range s.sortedHeads() {
		p.add(heads, wire.Marshal(headOf(h)))
	}
	p.close()
	return p.pages
}

// keptHead is a head as it stands in a page.
type keptHead struct {
	Folder id.Folder `cbor:"1,keyasint"`
	Seq    int64     `cbor:"2,keyasint"`
	Hash   Hash      `cbor:"3,keyasint"`
}

func headOf(h Head) keptHead { return keptHead{h.Folder, h.Seq, h.Hash} }

func (s *State) sortedHeads() []Head {
	return slices.SortedFunc(maps.Values(s.heads), func(a, b Head) int { return cmp.Compare(string(a.Folder[:]), string(b.Folder[:])) })
}

func digest(pages [][]byte) Hash {
	h := sha256.New()
	for _, page := range pages {
		sum := sha256.Sum256(page)
		h.Write(sum[:])
	}
	return Hash(h.Sum(nil))
}

// Digest is the digest of the state: equal states have equal ones.
func (s *State) Digest() Hash { return digest(s.plainPages()) }

func pageAAD(head Head, epoch int64, page, pages int) []byte {
	aad := make([]byte, 0, 68)
	aad = append(aad, head.Folder[:]...)
	aad = binary.BigEndian.AppendUint64(aad, uint64(head.Seq))
	aad = binary.BigEndian.AppendUint32(aad, uint32(epoch))
	aad = append(aad, head.Hash[:]...)
	aad = binary.BigEndian.AppendUint32(aad, uint32(page))
	return binary.BigEndian.AppendUint32(aad, uint32(pages))
}

// Checkpoint seals the state in pages. The entry after the state's head is the
// one that may name it.
func (s *State) Checkpoint(key ReadKey) (Checkpoint, error) {
	if s.chain.Seq == 0 || len(s.entries) > maxStates || len(s.heads) > maxStates {
		return Checkpoint{}, fmt.Errorf("%w: %d entries and %d heads", ErrTooLarge, len(s.entries), len(s.heads))
	}
	plain := s.plainPages()
	if len(plain) > MaxPages {
		return Checkpoint{}, fmt.Errorf("%w: %d pages, at most %d allowed", ErrTooLarge, len(plain), MaxPages)
	}
	out := Checkpoint{Head: s.Head(), Digest: digest(plain)}
	for i, page := range plain {
		sealed := seal.SealRecord(key, checkpointType, pageAAD(out.Head, s.chain.Epoch, i, len(plain)), page)
		out.Pages = append(out.Pages, sealed)
		out.Hashes = append(out.Hashes, sha256.Sum256(sealed))
	}
	return out, nil
}

// verifyCheckpoint compares the state with the checkpoint that an entry names.
func (s *State) verifyCheckpoint(outer *Outer, op Operation) error {
	if op.What != OpCheckpoint || op.Seq != s.chain.Seq || *op.Hash != s.chain.Hash {
		return nil // of another place it does not apply
	}
	if s.Digest() != *op.Digest {
		return alarm(s.chain.Folder, BadCheckpoint, outer.Seq, wrong("the digest is another"))
	}
	return nil
}

var errPages = errors.New("the pages are not in their one form")

// Load is the state that the checkpoint holds which naming, an entry not applied
// yet, names. fetch gives the sealed page with that hash. That somebody who may
// write vouches for the checkpoint is known once naming was applied to it, which
// is for the caller to do next, with the entries after it; then Settled.
func Load(anchor Anchor, naming []byte, o *Opener, fetch func(Hash) ([]byte, error)) (*State, error) {
	e, err := parseEnvelope(naming)
	if err != nil {
		return nil, alarm(anchor.Folder, Encoding, 0, err)
	}
	outer, err := decodeOuter(e.Payload)
	if err != nil {
		return nil, alarm(anchor.Folder, Encoding, 0, err)
	}
	if outer.Folder != anchor.Folder || outer.Seq < 2 || outer.Pages == nil {
		return nil, alarm(anchor.Folder, BadCheckpoint, outer.Seq, wrong("the entry names none of this folder"))
	}
	key, err := o.Key(outer.Epoch)
	if err != nil {
		return nil, err
	}
	l := loader{head: Head{Folder: outer.Folder, Seq: outer.Seq - 1, Hash: outer.Previous}, epoch: outer.Epoch, state: Begin(anchor)}
	for i, hash := range outer.Pages {
		sealed, err := fetch(hash)
		if err != nil {
			return nil, fmt.Errorf("journal: page %d of a checkpoint: %w", i, err)
		}
		if err := l.page(key, sealed, hash, i, len(outer.Pages)); err != nil {
			return nil, alarm(anchor.Folder, BadCheckpoint, outer.Seq, err)
		}
	}
	if err := l.finish(); err != nil {
		return nil, alarm(anchor.Folder, BadCheckpoint, outer.Seq, err)
	}
	if anchor.Epoch > l.epoch { // it begins in an entry to come: Settled tells
		return l.state, nil
	}
	return l.state, l.state.Hold(anchor)
}

// loader puts a state together from pages.
type loader struct {
	head  Head
	epoch int64
	state *State
	first *first
	last  id.Entry
	lastH id.Folder
	known int64 // entries so far
	heads int64
	room  int64 // entries for which room may be made before they are there
}

func (l *loader) page(key ReadKey, sealed []byte, hash Hash, i, n int) error {
	if sha256.Sum256(sealed) != hash {
		return wrong("page %d is another", i)
	}
	plain, err := seal.OpenRecord(key, checkpointType, pageAAD(l.head, l.epoch, i, n), sealed, seal.MaxRecord)
	if err != nil {
		return err
	}
	return l.plain(plain, i)
}

// plain takes in page i, opened.
func (l *loader) plain(page []byte, i int) error {
	r := wire.NewReader(page, MaxPage, true)
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			l.readFirst(r)
		case 2:
			for range r.Array(maxStates) {
				l.readState(r)
			}
			r.Leave()
		case 3:
			for range r.Array(maxStates) {
				l.readHead(r)
			}
			r.Leave()
		default:
			m.Unknown()
		}
		if m.Has(1) != (i == 0) {
			r.Note(errPages)
		}
	}
	return r.End()
}

func (l *loader) readFirst(r *wire.Reader) {
	f := &first{}
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			r.Fixed(f.Folder[:])
		case 2:
			f.Seq = r.Uint()
		case 3:
			r.Fixed(f.Hash[:])
		case 4:
			f.Epochs = readEpochs(r)
		case 5:
			f.States = r.Uint()
		case 6:
			f.Heads = r.Uint()
		default:
			m.Unknown()
		}
	}
	m.Need(0b111_1110)
	l.first = f
	if r.OK() {
		r.Note(l.begin())
	}
}

func readEpochs(r *wire.Reader) []epochStart {
	out := make([]epochStart, 0, r.Array(MaxEpoch))
	for range cap(out) {
		var s epochStart
		m := r.Map()
		for m.Next() {
			switch m.Key {
			case 1:
				s.Seq = r.Uint()
			case 2:
				r.Fixed(s.Previous[:])
			case 3:
				r.Fixed(s.Write[:])
			case 4:
				r.Fixed(s.Admin[:])
			case 5:
				s.Handover = &[64]byte{}
				r.Fixed(s.Handover[:])
			default:
				m.Unknown()
			}
		}
		m.Need(0b1_1110)
		out = append(out, s)
	}
	r.Leave()
	return out
}

// begin takes over what page 0 says of the journal.
func (l *loader) begin() error {
	f := l.first
	if (Head{Folder: f.Folder, Seq: f.Seq, Hash: f.Hash}) != l.head || int64(len(f.Epochs)) != l.epoch {
		return wrong("it is of another place in the journal")
	}
	var before int64
	for i, s := range f.Epochs {
		at := place{folder: f.Folder, seq: s.Seq, epoch: int64(i + 1), previous: s.Previous}
		if s.Seq <= before || s.Seq > f.Seq || (i == 0) != (s.Seq == 1 && s.Handover == nil) {
			return wrong("epoch %d begins out of order", i+1)
		}
		if i > 0 && !s.start().verify(f.Epochs[i-1].Admin, at) {
			return wrong("the consent to epoch %d does not verify", i+1)
		}
		before = s.Seq
		l.state.enter(s.start(), at)
	}
	l.state.chain.Seq, l.state.chain.Hash = f.Seq, f.Hash
	if n := min(f.States, l.room); n > 0 {
		l.state.entries, l.state.names, l.state.held = make(map[id.Entry]*Entry, n), make(map[string]*Entry, n), make(map[id.Revision]int32, n)
	}
	return nil
}

func (l *loader) readState(r *wire.Reader) {
	var k kept
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			r.Fixed(k.ID[:])
		case 2:
			k.Descriptor = descriptor.Read(r)
		case 3:
			k.Child = readChild(r)
		case 4:
			day := r.Uint()
			k.Day = &day
		default:
			m.Unknown()
		}
	}
	m.Need(0b110)
	if r.OK() {
		r.Note(l.add(k))
	}
}

func (l *loader) add(k kept) error {
	e := &Entry{ID: k.ID, Descriptor: k.Descriptor, Child: k.Child, Trashed: k.Day != nil}
	if e.Trashed {
		e.Day = *k.Day
	}
	if err := descriptor.CheckName(e.Name()); err != nil {
		return err
	}
	_, taken := l.state.names[e.Name()]
	switch {
	case l.known > 0 && compareIDs(l.last, e.ID) >= 0:
		return errPages
	case e.IsFolder() != (e.Child != nil):
		return wrong("a folder without keys, or a file with keys")
	case taken && !e.Trashed:
		return wrong("two entries of one name")
	}
	if e.Child != nil {
		if _, twice := l.state.children[e.Child.Folder]; twice || e.Child.Folder == l.head.Folder {
			return wrong("a folder twice")
		}
	}
	l.last = e.ID
	l.known++
	l.state.swap(e.ID, nil, e, false)
	e.revisions(func(r id.Revision) { l.state.held[r]++ })
	return nil
}

func (l *loader) readHead(r *wire.Reader) {
	var h Head
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			r.Fixed(h.Folder[:])
		case 2:
			h.Seq = r.Uint()
		case 3:
			r.Fixed(h.Hash[:])
		default:
			m.Unknown()
		}
	}
	m.Need(0b1110)
	if !r.OK() {
		return
	}
	if h.Seq == 0 || l.heads > 0 && compareIDs(l.lastH, h.Folder) >= 0 {
		r.Note(errPages)
		return
	}
	l.lastH = h.Folder
	l.heads++
	l.state.heads[h.Folder] = h
}

// finish checks that all is there, in the one form in which it is written: pages
// cut elsewhere would be another digest, which is found when naming is applied.
func (l *loader) finish() error {
	if l.first == nil || l.first.States != l.known || l.first.Heads != l.heads {
		return wrong("entries or heads are missing")
	}
	return nil
}
