package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"holdfast/client/target"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/seal"

	"golang.org/x/sync/errgroup"
)

// assembly puts the pieces of a file in their places, in any order.
type assembly struct {
	v      *save
	r      *revision
	part   *target.Part
	size   int64 // of the part when it was opened
	sealer *seal.Sealer
	opener *seal.Opener
	names  []id.Name
	dirty  atomic.Bool // a padding byte was not zero
}

// assemble ends with every check that the whole stream allows.
func (v *save) assemble(ctx context.Context, r *revision, part *target.Part) error {
	size, err := part.Size()
	if err != nil {
		return err
	}
	opener, err := seal.NewOpener(r.keys, r.params, r.content.Commitment)
	if err != nil {
		return integrity(err)
	}
	a := &assembly{v: v, r: r, part: part, size: size, opener: opener, names: make([]id.Name, r.pieces),
		sealer: seal.NewSealer(r.keys, r.params)} // what it seals is compared, and never leaves
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	for i := range r.pieces {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return a.piece(ctx, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if blob.Root(a.names) != r.content.Root {
		return integrity(seal.ErrRoot)
	}
	if a.dirty.Load() {
		return integrity(seal.ErrPadding)
	}
	return part.Truncate(r.content.Size)
}

// piece makes one piece be in its place.
func (a *assembly) piece(ctx context.Context, i int) error {
	buf, free, err := a.v.d.buffers.Get(ctx)
	if err != nil {
		return err
	}
	defer free()
	start, end := seal.PieceStart(i), min(seal.PieceStart(i+1), a.r.content.Size)
	there, err := a.there(ctx, i, buf)
	if err != nil {
		return err
	}
	if there {
		kept := max(end-start, 0)
		a.v.mu.Lock()
		a.v.kept += kept
		a.v.mu.Unlock()
		a.v.d.report.progress(Written, kept)
	} else if err := a.fetch(ctx, i, buf); err != nil {
		return err
	}
	a.names[i] = a.r.name(i)
	return nil
}

// there tells whether an earlier try left the piece: whatever the part has at its
// place, sealed again, has the right name. Nothing else is believed of a part.
func (a *assembly) there(ctx context.Context, i int, buf []byte) (bool, error) {
	if a.size == 0 || a.size <= seal.PieceStart(i) {
		return false, nil
	}
	e, err := a.r.extent(ctx, i, false)
	if err != nil {
		return false, err
	}
	src := upTo{a.part, a.r.content.Size} // other pieces make it longer meanwhile
	_, name, err := a.sealer.SealPiece(buf, src, a.r.content.Size, i)
	if errors.Is(err, seal.ErrSource) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at what was received: %w", err)
	}
	return name == e.Name, nil
}

// fetch fetches a piece, opens it and writes what is the file's of it. Once it is
// here it is written even if the receive is being stopped: so it need not come again.
func (a *assembly) fetch(ctx context.Context, i int, buf []byte) error {
	data, err := a.v.d.piece(ctx, a.r, i, buf)
	if err != nil {
		return err
	}
	run := a.part.Run(seal.PieceStart(i))
	return errors.Join(a.open(run, i, data), run.End())
}

// open opens the segments of a piece into a run.
func (a *assembly) open(run *target.Run, i int, data []byte) error {
	at, last := seal.PieceStart(i), i == a.r.pieces-1
	for from := 0; from < len(data); from += seal.SegmentSize {
		to := min(from+seal.SegmentSize, len(data))
		sealed := data[from:to]
		if i == 0 && from == 0 {
			sealed = sealed[seal.HeaderSize:]
		}
		index := i*(blob.MaxSize/seal.SegmentSize) + from/seal.SegmentSize
		text, err := a.opener.OpenSegment(run.Next(), sealed, uint32(index), last && to == len(data))
		if err != nil {
			return integrity(err)
		}
		if err := a.write(run, text, at); err != nil {
			return err
		}
		at += int64(len(text))
	}
	return nil
}

// write writes plaintext as far as it is the file's; behind that are zeros.
func (a *assembly) write(run *target.Run, text []byte, at int64) error {
	mine := int(max(0, min(int64(len(text)), a.r.content.Size-at)))
	for _, b := range text[mine:] {
		if b != 0 {
			a.dirty.Store(true)
			break
		}
	}
	if err := run.Add(mine); err != nil {
		return err
	}
	a.v.d.report.progress(Written, int64(mine))
	return nil
}

// upTo reads no further than the file will be long.
type upTo struct {
	part *target.Part
	size int64
}

func (u upTo) ReadAt(p []byte, off int64) (int, error) {
	if off >= u.size {
		return 0, io.EOF
	}
	return u.part.ReadAt(p, off)
}
