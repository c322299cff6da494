package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"holdfast/client/blobs"
	"holdfast/format/blob"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"
)

// receiveBuffers is the memory of a receive: blobs on their way, and those that
// are being opened and written.
const receiveBuffers = inFlight + 4

// pieces fetches the pieces of a stream ahead of who reads them, in order. It is
// a seal.Source.
type pieces struct {
	ctx   context.Context
	queue chan chan fetched
}

type fetched struct {
	piece *seal.Piece
	err   error
}

// fetch starts to fetch all pieces.
func (d *download) fetch(ctx context.Context, r *revision) *pieces {
	p := &pieces{ctx: ctx, queue: make(chan chan fetched, inFlight)}
	go func() {
		defer close(p.queue)
		for i := range r.pieces {
			buf, free, err := d.buffers.Get(ctx)
			result := make(chan fetched, 1)
			if err != nil {
				result <- fetched{err: err}
			} else {
				go func() {
					data, err := d.piece(ctx, r, i, buf)
					if err != nil {
						free()
						result <- fetched{err: err}
						return
					}
					result <- fetched{piece: &seal.Piece{Index: i, Bytes: data, Name: r.name(i), Free: free}}
				}()
			}
			select {
			case p.queue <- result:
			case <-ctx.Done():
				drop(result)
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return p
}

// drop gives back what comes too late.
func drop(result <-chan fetched) {
	if f := <-result; f.piece != nil {
		f.piece.Release()
	}
}

// Next implements seal.Source.
func (p *pieces) Next() (*seal.Piece, error) {
	result, more := <-p.queue
	if !more {
		if err := context.Cause(p.ctx); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	f := <-result
	return f.piece, f.err
}

// drain gives back what nobody will take; the context has ended.
func (p *pieces) drain() {
	for result := range p.queue {
		drop(result)
	}
}

// name is the name of a piece's own blob; a small stream has none.
func (r *revision) name(i int) id.Name {
	if r.length <= blob.PackMax {
		return id.Name{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.extents[i].Name
}

// piece fetches one piece of a stream into buf.
func (d *download) piece(ctx context.Context, r *revision, i int, buf []byte) ([]byte, error) {
	e, err := r.extent(ctx, i, false)
	if err != nil {
		return nil, err
	}
	data, err := d.take(ctx, r.at(i), e.offset, e.length, buf)
	if err != nil || i > 0 {
		return data, err
	}
	return data, r.checkHeader(data)
}

// checkHeader holds the stream's header against the record, of which reads at
// random take salt and prefix.
func (r *revision) checkHeader(stream []byte) error {
	params, err := seal.ParseHeader(stream)
	if err == nil && params == r.params {
		return nil
	}
	if err == nil { // the stream of another file, or another record of this one
		_, err = seal.NewOpener(r.keys, params, r.content.Commitment)
	}
	if err == nil {
		err = fmt.Errorf("%w (salt or prefix of revision %s)", ErrAnswer, r.content.Revision)
	}
	return integrity(err)
}

// take fetches a range of a blob when it is its turn.
func (d *download) take(ctx context.Context, at blobs.Locator, offset, length int64, buf []byte) ([]byte, error) {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-d.turn }()
	data, err := d.fetcher.Fetch(ctx, at, offset, length, buf)
	if errors.Is(err, blobs.ErrDamaged) {
		return nil, integrity(err)
	}
	return data, err
}

// pour opens a stream and writes its plaintext to w in order. Root and padding
// are known to be right only when it returns nil.
func (d *download) pour(ctx context.Context, r *revision, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	src := d.fetch(ctx, r)
	defer func() {
		cancel(context.Canceled)
		src.drain()
	}()
	reader, err := seal.NewReader(ctx, r.keys, sealContent(r.content), src, seal.Options{
		Workers: min(runtime.GOMAXPROCS(0), inFlight),
	})
	if err != nil {
		return integrity(err)
	}
	defer reader.Close()
	_, err = reader.WriteTo(w)
	return sealed(err)
}

func sealContent(c descriptor.Content) seal.Content {
	return seal.Content{Commitment: c.Commitment, Root: c.Root, TrueSize: c.Size}
}

// sealed tells failures of the seal, which are the sender's or an attacker's
// work, from those of fetching and writing.
func sealed(err error) error {
	for _, e := range []error{seal.ErrVersion, seal.ErrLength, seal.ErrCommitment, seal.ErrSegment, seal.ErrRoot, seal.ErrPadding, seal.ErrRecord} {
		if errors.Is(err, e) && !errors.Is(err, ErrIntegrity) {
			return integrity(err)
		}
	}
	return err
}
