package store

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"holdfast/format/blob"
	"holdfast/format/id"
)

// Mem is a Store in memory, for tests and simulations. It keeps the contract
// except that nothing survives the process.
type Mem struct {
	capacity int64
	now      func() time.Time

	mu         sync.Mutex // guards what follows
	live       map[Key][]byte
	held       map[id.Upload]Usage
	all        Usage
	closed     map[id.Upload]memTrash
	trash      []memTrash
	quarantine map[Key]memTrash
	writers    map[*memWriter]bool
}

type memTrash struct {
	usage Usage
	at    time.Time
}

// NewMem makes an empty store. A nil clock stands for time.Now.
func NewMem(capacity int64, now func() time.Time) *Mem {
	if now == nil {
		now = time.Now
	}
	return &Mem{capacity: capacity, now: now, live: map[Key][]byte{}, held: map[id.Upload]Usage{}, closed: map[id.Upload]memTrash{},
		quarantine: map[Key]memTrash{}, writers: map[*memWriter]bool{}}
}

// Begin implements Store.
func (m *Mem) Begin(key Key, size, budget int64) (Writer, error) {
	if err := checkSize(size); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, closed := m.closed[key.Upload]; closed {
		return nil, ErrClosed
	}
	if m.live[key] != nil {
		return nil, ErrExists
	}
	if m.spoken(key, size).exceeds(budget) {
		return nil, ErrBudget
	}
	if s := m.status(); s.Used()+(Usage{int64(len(m.writers)) + 1, s.Arriving + size}).Room() > m.capacity {
		return nil, ErrFull
	}
	w := &memWriter{store: m, key: key, size: size, hash: blob.NewHasher()}
	w.tail = newTail(&memFile{}, size)
	m.writers[w] = true
	return w, nil
}

// spoken is what the upload would hold with one more writer; a name counts once.
func (m *Mem) spoken(key Key, size int64) Usage {
	sum := m.held[key.Upload]
	sizes := map[id.Name]int64{key.Name: size}
	for w := range m.writers {
		if w.key.Upload == key.Upload && m.live[w.key] == nil {
			sizes[w.key.Name] = max(sizes[w.key.Name], w.size)
		}
	}
	for _, size := range sizes {
		sum = sum.Add(Usage{1, size})
	}
	return sum
}

// change adds a blob or takes one away (nil), with mu held.
func (m *Mem) change(key Key, data []byte) {
	if old := m.live[key]; old != nil {
		gone := Usage{1, int64(len(old))}
		m.held[key.Upload], m.all = m.held[key.Upload].Sub(gone), m.all.Sub(gone)
		delete(m.live, key)
	}
	if data != nil {
		more := Usage{1, int64(len(data))}
		m.held[key.Upload], m.all = m.held[key.Upload].Add(more), m.all.Add(more)
		m.live[key] = data
	}
}

// Open implements Store.
func (m *Mem) Open(key Key) (Reader, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data := m.live[key]
	if data == nil {
		return nil, ErrUnknown
	}
	return &memReader{Reader: bytes.NewReader(data)}, nil
}

// Stat implements Store.
func (m *Mem) Stat(key Key) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data := m.live[key]
	if data == nil {
		return 0, ErrUnknown
	}
	return int64(len(data)), nil
}

// List implements Store.
func (m *Mem) List(u id.Upload, after id.Name, limit int) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Entry
	for key, data := range m.live {
		if key.Upload == u && bytes.Compare(key.Name[:], after[:]) > 0 {
			all = append(all, Entry{key.Name, int64(len(data))})
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return bytes.Compare(a.Name[:], b.Name[:]) })
	return all[:min(max(limit, 0), len(all))], nil
}

// Usage implements Store.
func (m *Mem) Usage(u id.Upload) (Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held[u], nil
}

// CloseUpload implements Store.
func (m *Mem) CloseUpload(u id.Upload) (Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if again, closed := m.closed[u]; closed {
		return again.usage, nil
	}
	gone := m.held[u]
	m.closed[u] = memTrash{gone, m.now()}
	for key := range m.live {
		if key.Upload == u {
			m.change(key, nil)
		}
	}
	m.trash = append(m.trash, memTrash{gone, m.now()})
	return gone, nil
}

// Remove implements Store.
func (m *Mem) Remove(u id.Upload, names []id.Name) (Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var gone Usage
	for _, name := range names {
		if data := m.live[Key{u, name}]; data != nil {
			gone = gone.Add(Usage{1, int64(len(data))})
			m.change(Key{u, name}, nil)
		}
	}
	m.trash = append(m.trash, memTrash{gone, m.now()})
	return gone, nil
}

// Quarantine implements Store.
func (m *Mem) Quarantine(key Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	data := m.live[key]
	if data == nil {
		return ErrUnknown
	}
	m.quarantine[key] = memTrash{Usage{1, int64(len(data))}, m.now()}
	m.change(key, nil)
	return nil
}

// EmptyTrash implements Store.
func (m *Mem) EmptyTrash(before time.Time) (Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := before.UTC().Truncate(24 * time.Hour)
	var gone Usage
	old := func(t memTrash) bool {
		old := t.at.UTC().Truncate(24 * time.Hour).Before(first)
		if old {
			gone = gone.Add(t.usage)
		}
		return old
	}
	m.trash = slices.DeleteFunc(m.trash, old)
	maps.DeleteFunc(m.quarantine, func(_ Key, t memTrash) bool { return old(t) })
	return gone, nil
}

// ForgetClosed implements Store.
func (m *Mem) ForgetClosed(before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	had := len(m.closed)
	maps.DeleteFunc(m.closed, func(_ id.Upload, t memTrash) bool { return t.at.Before(before) })
	return had - len(m.closed), nil
}

// Status implements Store.
func (m *Mem) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status()
}

func (m *Mem) status() Status {
	s := Status{Held: m.all, Capacity: m.capacity, Counted: true}
	for _, t := range m.trash {
		s.Trash = s.Trash.Add(t.usage)
	}
	for _, q := range m.quarantine {
		s.Quarantine = s.Quarantine.Add(q.usage)
	}
	for w := range m.writers {
		s.Arriving += w.size
	}
	if m.capacity-s.Used() < min(room, m.capacity/8) {
		s.Reason = Full
	}
	return s
}

// SelfTest implements Store.
func (m *Mem) SelfTest() error { return nil }

// Close implements Store.
func (m *Mem) Close() error { return nil }

type memWriter struct {
	store  *Mem
	key    Key
	size   int64
	hash   blob.Hasher
	tail   *tail
	have   int64
	failed error
	ended  bool
}

func (w *memWriter) Write(p []byte) (int, error) {
	if w.ended || w.failed != nil || int64(len(p)) > w.size-w.have {
		w.failed = ErrSize
		return 0, ErrSize
	}
	w.tail.file.Write(p)
	w.hash.Write(p)
	w.have += int64(len(p))
	w.tail.grow(w.have)
	return len(p), nil
}

func (w *memWriter) Follow() io.ReadCloser { return w.tail.follow() }

func (w *memWriter) Commit() error {
	if w.ended {
		return ErrAborted
	}
	err := w.failed
	switch {
	case err != nil:
	case w.have != w.size:
		err = ErrSize
	case w.hash.Name() != w.key.Name:
		err = ErrMismatch
	}
	m := w.store
	m.mu.Lock()
	if _, closed := m.closed[w.key.Upload]; closed && err == nil {
		err = ErrClosed
	}
	if err == nil && m.live[w.key] == nil {
		m.change(w.key, w.tail.file.(*memFile).data)
	}
	m.mu.Unlock()
	w.end(err)
	return err
}

func (w *memWriter) Abort(cause error) {
	if w.ended {
		return
	}
	if cause == nil {
		cause = ErrAborted
	}
	w.end(cause)
}

func (w *memWriter) end(err error) {
	w.ended = true
	w.store.mu.Lock()
	delete(w.store.writers, w)
	w.store.mu.Unlock()
	w.tail.end(err)
}

// memFile stands in for the temporary file.
type memFile struct {
	mu   sync.RWMutex
	data []byte // guarded by mu
}

func (f *memFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data = append(f.data, p...)
	return len(p), nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return bytes.NewReader(f.data).ReadAt(p, off)
}

func (f *memFile) Sync() error  { return nil }
func (f *memFile) Close() error { return nil }

type memReader struct{ *bytes.Reader }

func (r *memReader) Size() int64                                   { return r.Reader.Size() }
func (r *memReader) Close() error                                  { return nil }
func (r *memReader) WriteNext(w io.Writer, n int64) (int64, error) { return io.CopyN(w, r.Reader, n) }
