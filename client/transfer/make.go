package transfer

import (
	"context"
	"fmt"

	"holdfast/client/resume"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/seal"
)

// make seals a unit and returns it once its name is durable: only then may its
// bytes leave (docs/format.md §12).
func (m *maker) make(ctx context.Context, u *unit, b *bench) ([]byte, id.Name, error) {
	var data []byte
	var name id.Name
	var err error
	if u.packed() {
		data, name, err = m.pack(ctx, u, b)
	} else {
		data, name, err = m.piece(ctx, u, b)
	}
	if err != nil {
		return nil, name, err
	}
	m.s.report.progress(Sealed, u.size)
	if u.known != nil && u.known.Name != name {
		return nil, name, &differs{u}
	}
	if u.known == nil {
		if err := m.s.record(u, name); err != nil {
			return nil, name, err
		}
	}
	m.sealed(u)
	return data, name, nil
}

// record writes down what is about to leave.
func (s *storing) record(u *unit, name id.Name) error {
	b := resume.Blob{Name: name, Size: int(u.size)}
	for _, p := range u.parts {
		part := resume.Part{File: p.file.Number, Piece: p.piece}
		if !p.file.large() {
			root := id.Bytes32(p.file.root)
			part.Root = &root
		}
		b.Parts = append(b.Parts, part)
	}
	rec := resume.Record{Blob: &b}
	if err := s.log.Write(rec); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Apply(rec)
	u.known = &b
	return nil
}

// piece makes one piece of a large stream.
func (m *maker) piece(ctx context.Context, u *unit, b *bench) ([]byte, id.Name, error) {
	p := u.parts[0]
	if err := m.fill(ctx, p.file); err != nil {
		return nil, id.Name{}, err
	}
	src, err := p.file.open()
	if err != nil {
		return nil, id.Name{}, err
	}
	data, name, err := p.file.sealer.SealPiece(room(&b.out, u.size), counted{src, m.s.read}, p.file.Size, p.piece)
	if err != nil {
		return nil, name, sourceChanged(p.file, err)
	}
	p.file.pieces[p.piece] = name
	return data, name, p.file.done()
}

func (s *storing) read(n int64) { s.report.progress(Read, n) }

// pack makes a blob of small streams.
func (m *maker) pack(ctx context.Context, u *unit, b *bench) ([]byte, id.Name, error) {
	data := room(&b.out, u.size)[:0]
	for _, p := range u.parts {
		if err := context.Cause(ctx); err != nil {
			return nil, id.Name{}, err
		}
		if err := m.fill(ctx, p.file); err != nil {
			return nil, id.Name{}, err
		}
		src, err := p.file.open()
		if err != nil {
			return nil, id.Name{}, err
		}
		text, err := readWhole(counted{src, m.s.read}, p.file.Size, room(&b.in, p.file.Size+1))
		if err != nil {
			return nil, id.Name{}, sourceChanged(p.file, err)
		}
		var content seal.Content
		if data, content, err = seal.Seal(data, p.file.Keys(), p.file.Params(), text); err != nil {
			return nil, id.Name{}, sourceChanged(p.file, err)
		}
		p.file.root = content.Root
		if err := p.file.done(); err != nil {
			return nil, id.Name{}, err
		}
	}
	return data, blob.Name(data), nil
}

// fill makes the listing's text, once all that it lists is sealed.
func (m *maker) fill(ctx context.Context, f *file) error {
	if f != m.s.listing {
		return nil
	}
	select {
	case <-m.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	m.list.Do(func() {
		if f.text, m.listErr = m.s.list(); m.listErr == nil && int64(len(f.text)) != f.Size {
			m.listErr = fmt.Errorf("the listing has %d bytes instead of %d", len(f.text), f.Size)
		}
	})
	return m.listErr
}
