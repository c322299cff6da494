package drive

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"holdfast/client/home"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/kdf"
	"holdfast/format/keys"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

const (
	cacheLabel = "holdfast/v1/drive-cache"
	cacheType  = "drive-cache"
	pinsType   = "drive-pins"
	// maxFrame bounds a frame of a cache: an entry is the longest.
	maxFrame = journal.MaxEntry
	// lockTime bounds waiting for another process that writes what this one is to write,
	// which takes milliseconds.
	lockTime = 10 * time.Second
	lockStep = 10 * time.Millisecond
)

// errCache: a cache that is not what was written.
var errCache = errors.New("not what was written")

// store keeps on disk what is known of an account's drive: pins, which outlast
// everything, and a cache of each folder, which may be lost. All of it is sealed under a
// key that follows from the root key, or verifies itself (entries do).
type store struct {
	dir     string
	account id.Account
	key     [32]byte
}

func newStore(dir home.Dir, root keys.Root) (*store, error) {
	path, err := dir.Sub(filepath.Join("drive", root.Account.String()))
	if err != nil {
		return nil, err
	}
	if _, err := dir.Sub(filepath.Join("drive", root.Account.String(), "cache")); err != nil {
		return nil, err
	}
	return &store{dir: path, account: root.Account, key: kdf.Key32(root.Key[:], cacheLabel, root.Account[:])}, nil
}

func (s *store) file(f id.Folder) string { return filepath.Join(s.dir, "cache", f.String()) }
func (s *store) pins() string            { return filepath.Join(s.dir, "pins") }

// locked does something while no other process writes.
func (s *store) locked(do func() error) error {
	for deadline := time.Now().Add(lockTime); ; time.Sleep(lockStep) {
		lock, err := home.OpenLocked(filepath.Join(s.dir, "lock"))
		if errors.Is(err, home.ErrBusy) && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			return err
		}
		return errors.Join(do(), lock.Close())
	}
}

// seen are the pins of folders, and of what heads said of them the heads that they
// were held against.
type seen struct{ pins, held *journal.Pins }

type seenBytes struct {
	Pins []byte `cbor:"1,keyasint"`
	Held []byte `cbor:"2,keyasint"`
}

const maxSeen = 2*journal.MaxPinBytes + 1024

func (s *store) readSeen() (seen, error) {
	none := seen{&journal.Pins{}, &journal.Pins{}}
	raw, err := os.ReadFile(s.pins())
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("read pins: %w", err)
	}
	damaged := func(err error) (seen, error) {
		return none, fmt.Errorf("%w: %w. Remove %s to go on without it: then an older state of the drive is not noticed until it was seen anew", ErrPins, err, s.pins())
	}
	plain, err := seal.OpenRecord(s.key, pinsType, s.account[:], raw, maxSeen)
	if err != nil {
		return damaged(err)
	}
	var b seenBytes
	if err := wire.Unmarshal(plain, maxSeen, &b); err != nil {
		return damaged(err)
	}
	pins, one := journal.DecodePins(b.Pins)
	held, two := journal.DecodePins(b.Held)
	if err := errors.Join(one, two); err != nil {
		return damaged(err)
	}
	return seen{pins, held}, nil
}

func (s *store) writeSeen(v seen) error {
	pins, one := v.pins.Encode()
	held, two := v.held.Encode()
	if err := errors.Join(one, two); err != nil {
		return err
	}
	return home.WriteFile(s.pins(), seal.SealRecord(s.key, pinsType, s.account[:], wire.Marshal(seenBytes{pins, held})))
}

// head is the first frame of a cache.
type head struct {
	Folder id.Folder    `cbor:"1,keyasint"`
	Seq    int64        `cbor:"2,keyasint"`
	Hash   journal.Hash `cbor:"3,keyasint"`
	Epoch  int64        `cbor:"4,keyasint"`
	Tail   int64        `cbor:"5,keyasint"`
	Pages  int64        `cbor:"6,keyasint"`
	Digest [32]byte     `cbor:"7,keyasint"`
	// Keys are the read keys of epochs 1 to Epoch, without the last; zeros for those that are not known.
	Keys [][32]byte `cbor:"8,keyasint" most:"4096"`
}

// mark tells which cache is on disk.
type mark struct {
	salt [32]byte // of the first frame
	size int64
	base int64 // of it without entries
}

// Frames of a cache: kind and length, then what it is.
const (
	frameHead  = 'H'
	framePage  = 'P'
	frameEntry = 'E'
)

func writeFrame(w io.Writer, kind byte, b []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(b))), b...))
	return err
}

// readFrame gives io.EOF at the end, and where a crash cut the file.
func readFrame(r io.Reader) (byte, []byte, error) {
	var first [5]byte
	if _, err := io.ReadFull(r, first[:]); err != nil {
		return 0, nil, io.EOF
	}
	n := binary.BigEndian.Uint32(first[1:])
	if n > maxFrame {
		return 0, nil, errCache
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, nil, io.EOF
	}
	return first[0], b, nil
}

func (s *store) pageAAD(h head, i int) []byte {
	aad := append(h.Folder[:], h.Hash[:]...)
	aad = binary.BigEndian.AppendUint64(aad, uint64(h.Seq))
	return binary.BigEndian.AppendUint32(aad, uint32(i))
}

// read gives a folder its state from the cache. What is not as it was written is an
// error, and the folder stays unknown.
func (s *store) read(f *folder) error {
	file, err := os.Open(s.file(f.id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read cache: %w", err)
	}
	defer file.Close()
	state, m, err := s.readState(bufio.NewReaderSize(file, 1<<20), f)
	if errors.Is(err, io.EOF) { // cut by a crash, or empty: nothing is kept
		return nil
	}
	if err == nil {
		f.state, f.kept = state, m
	}
	return err
}

func (s *store) readState(r io.Reader, f *folder) (*journal.State, mark, error) {
	kind, raw, err := readFrame(r)
	if err != nil || kind != frameHead {
		return nil, mark{}, errors.Join(err, errIf(err == nil, errCache))
	}
	h, err := s.openHead(raw, f)
	if err != nil {
		return nil, mark{}, err
	}
	m := mark{salt: [32]byte(raw[1:33]), size: int64(5 + len(raw))}
	saved := journal.Saved{Head: journal.Head{Folder: h.Folder, Seq: h.Seq, Hash: h.Hash}, Epoch: h.Epoch, Tail: int(h.Tail)}
	sum := sha256.New()
	for i := range int(h.Pages) {
		kind, raw, err := readFrame(r)
		if err != nil || kind != framePage {
			return nil, m, errors.Join(err, errIf(err == nil, errCache))
		}
		page, err := seal.OpenRecord(s.key, cacheType, s.pageAAD(h, i), raw, maxFrame)
		if err != nil {
			return nil, m, err
		}
		sum.Write(raw[:seal.RecordOverhead]) // the seal vouches for the rest
		m.size += int64(5 + len(raw))
		saved.Pages = append(saved.Pages, page)
	}
	if [32]byte(sum.Sum(nil)) != h.Digest {
		return nil, m, errCache
	}
	state, err := journal.Restore(f.anchor, saved)
	if err != nil {
		return nil, m, err
	}
	m.base = m.size
	return state, m, s.replay(r, f, state, &m)
}

func errIf(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}

func (s *store) openHead(raw []byte, f *folder) (head, error) {
	var h head
	plain, err := seal.OpenRecord(s.key, cacheType, f.id[:], raw, seal.MaxRecord)
	if err != nil {
		return h, err
	}
	if err := wire.Unmarshal(plain, seal.MaxRecord, &h); err != nil {
		return h, err
	}
	for i, key := range h.Keys {
		if _, err := f.opener.Key(int64(i + 1)); err != nil && key != ([32]byte{}) {
			f.opener.Learn(int64(i+1), journal.ReadKey(key))
		}
	}
	return h, nil
}

// replay applies the entries behind the pages, which verify themselves.
func (s *store) replay(r io.Reader, f *folder, state *journal.State, m *mark) error {
	for {
		kind, raw, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return nil // what a crash cut off comes from the server again
		}
		if err != nil || kind != frameEntry {
			return errors.Join(err, errIf(err == nil, errCache))
		}
		if _, err := state.Apply(raw, f.opener); err != nil {
			return err
		}
		m.size += int64(5 + len(raw))
	}
}

// write keeps what is new of a folder. Another process may have written meanwhile: then
// all of it is written anew.
func (s *store) write(f *folder) error {
	if len(f.fresh) == 0 {
		return nil
	}
	more := int64(0)
	for _, raw := range f.fresh {
		more += int64(5 + len(raw))
	}
	err := errCache
	if log := f.kept.size - f.kept.base + more; f.kept.size > 0 && log <= max(64<<10, f.kept.base/4) {
		err = s.add(f)
	}
	if err != nil {
		err = s.rewrite(f)
	}
	if err == nil {
		f.fresh = nil
	}
	return err
}

// add writes new entries behind those that are there.
func (s *store) add(f *folder) error {
	file, err := os.OpenFile(s.file(f.id), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close() // what a failed close loses is read from the server again
	var first [5 + 33]byte
	info, err := file.Stat()
	if err == nil {
		_, err = io.ReadFull(file, first[:])
	}
	switch {
	case err != nil:
		return err
	case info.Size() != f.kept.size || [32]byte(first[6:]) != f.kept.salt:
		return errCache
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	size := f.kept.size
	for _, raw := range f.fresh {
		if err := writeFrame(w, frameEntry, raw); err != nil {
			return err
		}
		size += int64(5 + len(raw))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	f.kept.size = size
	return nil
}

// rewrite writes the whole state. It is not synced: a cache that a power cut takes is
// read from the server again.
func (s *store) rewrite(f *folder) error {
	saved := f.state.Save()
	h := head{Folder: f.id, Seq: saved.Head.Seq, Hash: saved.Head.Hash, Epoch: saved.Epoch, Tail: int64(saved.Tail), Pages: int64(len(saved.Pages)), Keys: [][32]byte{}}
	for epoch := int64(1); epoch < saved.Epoch; epoch++ {
		key, err := f.opener.Key(epoch)
		if err != nil {
			key = journal.ReadKey{}
		}
		h.Keys = append(h.Keys, key)
	}
	sum, pages := sha256.New(), make([][]byte, len(saved.Pages))
	for i, page := range saved.Pages {
		pages[i] = seal.SealRecord(s.key, cacheType, s.pageAAD(h, i), page)
		sum.Write(pages[i][:seal.RecordOverhead])
	}
	h.Digest = [32]byte(sum.Sum(nil))
	first := seal.SealRecord(s.key, cacheType, f.id[:], wire.Marshal(h))
	file, err := os.CreateTemp(filepath.Join(s.dir, "cache"), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	w := bufio.NewWriterSize(file, 1<<20)
	err = writeFrame(w, frameHead, first)
	size := int64(5 + len(first))
	for _, page := range pages {
		err = errors.Join(err, writeFrame(w, framePage, page))
		size += int64(5 + len(page))
	}
	if err = errors.Join(err, w.Flush(), file.Close()); err == nil {
		err = os.Rename(file.Name(), s.file(f.id))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write cache: %w", err), os.Remove(file.Name()))
	}
	f.kept = mark{salt: [32]byte(first[1:33]), size: size, base: size}
	return nil
}

// drop removes a folder's cache.
func (s *store) drop(f id.Folder) error { return home.Remove(s.file(f)) }
