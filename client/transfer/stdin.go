package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"holdfast/client/resume"
	"holdfast/client/source"
	"holdfast/format/blob"
	"holdfast/format/seal"

	"golang.org/x/sync/errgroup"
)

// unlogged is the log of a send that cannot be resumed: its keys live and die
// with the process, so that no later try can use them.
type unlogged struct{}

func (unlogged) Write(...resume.Record) error { return nil }
func (unlogged) Note(...resume.Record) error  { return nil }

// streamBuffers is what a stream needs besides the blobs on their way.
const streamBuffers = inFlight + 3

// stream sends what a reader yields, whose length nobody knows. It is not
// resumed: what was read is gone.
func (s *send) stream(ctx context.Context) (*Result, error) {
	s.log = unlogged{}
	if err := s.newLink(); err != nil {
		return nil, err
	}
	if err := s.fits(0); err != nil {
		return nil, err
	}
	grant, err := s.openUpload(ctx, 0, s.open)
	if err != nil {
		return nil, err
	}
	s.state = resume.NewState(resume.Head{Upload: grant.Upload})
	s.connect(grant)
	s.announce()
	if err := s.pour(ctx); err != nil {
		return nil, errors.Join(err, s.letGo(grant.Upload))
	}
	result, err := s.commit(ctx, "")
	if err != nil {
		return nil, errors.Join(err, s.unpublish())
	}
	return result, nil
}

// unpublish takes back what a commit that failed here may have published all the
// same: nobody will ever be told of that link.
func (s *send) unpublish() error {
	ctx, cancel := context.WithTimeout(context.Background(), lateTime)
	defer cancel()
	if err := s.takeBack(ctx); err != nil {
		return fmt.Errorf("a link may stand, until it expires, that nobody was told of: %w", err)
	}
	return nil
}

// pour seals and stores the stream while it is read.
func (s *send) pour(ctx context.Context) error {
	drawn := resume.Draw(1, "", source.Stamp{})
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	stream := seal.NewStream(ctx, drawn.Keys(), drawn.Params(), reading{s.o.Stdin, s.read},
		seal.Options{Buffers: seal.NewBuffers(streamBuffers)})
	defer stream.Close()
	var planned int64
	for {
		p, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return ended(ctx, g, err)
		}
		size := int64(len(p.Bytes))
		planned += size
		s.report.progress(Sealed, size)
		err = describable(len(s.units) + 1)
		if err == nil {
			err = s.reserve(ctx, planned)
		}
		if err != nil {
			p.Release()
			return ended(ctx, g, err)
		}
		s.units = append(s.units, &unit{size: size, known: &resume.Blob{Name: p.Name, Size: int(size)}})
		g.Go(func() error {
			defer p.Release()
			return s.put(ctx, p.Name, p.Bytes)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return s.poured(drawn, stream.Result())
}

// ended waits for what is on its way; its failure, if there is one, is what ended
// the stream.
func ended(ctx context.Context, g *errgroup.Group, err error) error {
	failed := context.Cause(ctx) != nil
	if under := g.Wait(); failed && under != nil {
		return under
	}
	return err
}

// poured makes the file of what was read.
func (s *send) poured(drawn resume.File, r seal.Result) error {
	f, err := newFile(drawn, nil, r.TrueSize)
	if err != nil {
		return err
	}
	f.root = r.Root
	copy(f.pieces, r.Names)
	for i, u := range s.units {
		_, n := blob.Piece(f.length, i)
		u.parts = []part{{f, i, 0, n}}
	}
	s.files = []*file{f}
	s.plan.Bytes, s.plan.Stored = r.TrueSize, r.Length
	return nil
}

// reserve asks for more bytes well before they are needed: twice as many as
// were, within what the server takes.
func (s *send) reserve(ctx context.Context, bytes int64) error {
	budget := s.uploader.Grant().Budget
	if bytes <= budget {
		return nil
	}
	want := max(bytes, min(2*budget, s.info.Limits.MaxUploadBytes, budget+1<<30))
	return s.extend(ctx, want)
}

// reading reports what is read through it.
type reading struct {
	io.Reader
	progress func(n int64)
}

func (r reading) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.progress(int64(n))
	return n, err
}
