package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/resume"
	"holdfast/client/source"
	"holdfast/format/id"
	"holdfast/format/seal"

	"golang.org/x/sync/errgroup"
)

// differs: a unit did not come out as it was recorded, so that its source
// changed between two tries. Nothing of it was sent.
type differs struct{ unit *unit }

func (e *differs) Error() string { return "a file is not what it was at the last try" }

// connect makes the uploader. Receipts that nodes give are noted, not awaited:
// what is lost of them the nodes say again.
func (s *storing) connect(grant blobs.Grant) {
	s.receipts = blobs.NewReceipts(grant.Upload, s.stored, func(text string) {
		_ = s.log.Note(resume.Record{Receipt: text}) // a log that failed ends the next Write
	})
	s.uploader = &blobs.Uploader{
		HTTP: s.c.http, Receipts: s.receipts, Patience: s.c.Patience,
		Sent:  func(n int) { s.report.progress(Sent, int64(n)) },
		Fault: s.report.fault,
		Renew: func(ctx context.Context) (blobs.Grant, error) {
			return s.getUpload(ctx, grant.Upload, s.c.patience())
		},
	}
	s.uploader.Start(grant)
}

// store makes and stores every unit that is not stored yet. A file that is found
// to be another than at the last try is drawn anew, and with it the listing.
func (s *storing) store(ctx context.Context) error {
	for round := 0; ; round++ {
		err := s.round(ctx, round == 0)
		var d *differs
		if !errors.As(err, &d) {
			return err
		}
		if round == maxRounds {
			return &source.Error{Local: d.unit.parts[0].file.Local, Err: ErrUnsettled}
		}
		if err := s.redraw(d.unit); err != nil {
			return err
		}
		if err := s.extend(ctx, total(s.units)+s.state.Abandoned); err != nil {
			return err
		}
	}
}

// redraw draws the files of a unit anew.
func (s *storing) redraw(u *unit) error {
	numbers := map[int]bool{listingNumber: true}
	for _, p := range u.parts {
		numbers[p.file.Number] = true
	}
	order := make([]resume.File, len(s.files))
	for i, f := range s.files {
		order[i] = f.File
	}
	redrawn, err := s.build(s.state, order, numbers, map[int]resume.File{})
	if err != nil {
		return err
	}
	return s.decide(redrawn)
}

// round works on all units, several at a time.
func (s *storing) round(ctx context.Context, first bool) error {
	var todo []*unit
	for _, u := range s.units {
		if u.known != nil && s.receipts.Enough(u.known.Name) {
			s.skip(u, first)
			continue
		}
		todo = append(todo, u)
	}
	m := newMaker(s, todo)
	defer m.close()
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan *unit)
	g.Go(func() error {
		defer close(queue)
		for _, u := range todo {
			select {
			case queue <- u:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	turn := make(chan struct{}, inFlight)
	for range min(sealers, len(todo)) {
		g.Go(func() error { return s.work(ctx, m, queue, turn) })
	}
	return g.Wait()
}

// work makes units, one after the other, and stores each.
func (s *storing) work(ctx context.Context, m *maker, queue <-chan *unit, turn chan struct{}) error {
	var bench bench
	for u := range queue {
		data, name, err := m.make(ctx, u, &bench)
		if err != nil {
			return err
		}
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		err = s.put(ctx, name, data)
		<-turn
		if err != nil {
			return err
		}
	}
	return nil
}

// put stores one blob, asking for more bytes where the nodes count more than was
// planned.
func (s *storing) put(ctx context.Context, name id.Name, data []byte) error {
	for {
		budget := s.uploader.Grant().Budget
		err := s.uploader.Put(ctx, name, data)
		if !errors.Is(err, blobs.ErrBudget) {
			return err
		}
		if err := s.grow(ctx, budget, int64(len(data))); err != nil {
			return err
		}
	}
}

// grow raises the budget once for all that found it spent.
func (s *storing) grow(ctx context.Context, spent, size int64) error {
	s.extending.Lock()
	defer s.extending.Unlock()
	if s.uploader.Grant().Budget > spent {
		return nil
	}
	return s.raise(ctx, spent+max(size, growth))
}

// growth is by how much a budget is raised at least.
const growth = 64 << 20

// extend raises the budget to bytes in all, if it is lower.
func (s *storing) extend(ctx context.Context, bytes int64) error {
	s.extending.Lock()
	defer s.extending.Unlock()
	if s.uploader.Grant().Budget >= bytes {
		return nil
	}
	return s.raise(ctx, bytes)
}

// raise is called with extending held.
func (s *storing) raise(ctx context.Context, bytes int64) error {
	upload := s.state.Head.Upload
	answer, err := retry(ctx, s.c, s.c.patience(), func(ctx context.Context) (api.UploadGrant, error) {
		return api.ExtendUpload.Call(ctx, s.c.caller(), s.args(upload), api.ExtendUploadRequest{Bytes: bytes})
	})
	if err != nil {
		return err
	}
	if answer.Upload != upload {
		return fmt.Errorf("%w (it is about another upload)", blobs.ErrGrant)
	}
	grant, err := blobs.OpenGrant(answer, s.c.local, time.Now())
	if err != nil {
		return err
	}
	if grant.Budget < bytes {
		return fmt.Errorf("%w (it grants fewer bytes than it says)", blobs.ErrGrant)
	}
	s.uploader.Replace(grant)
	return nil
}

// skip takes over what is known of a unit that is stored already.
func (s *storing) skip(u *unit, first bool) {
	for i, p := range u.parts {
		if p.file.large() {
			p.file.pieces[p.piece] = u.known.Name
		} else if root := u.known.Parts[i].Root; root != nil {
			p.file.root = *root
		}
	}
	if first {
		s.report.progress(Read, u.size)
		s.report.progress(Sealed, u.size)
		s.report.progress(Sent, u.size)
	}
}

// maker seals units.
type maker struct {
	s *storing
	// ready is closed when all units but those with the listing are sealed.
	ready   chan struct{}
	list    sync.Once
	listErr error

	mu     sync.Mutex // guards waited
	waited int        // units without the listing that are not sealed yet
}

func newMaker(s *storing, todo []*unit) *maker {
	m := &maker{s: s, ready: make(chan struct{})}
	for _, u := range todo {
		if !u.listed(s.listing) {
			m.waited++
		}
		for _, p := range u.parts {
			p.file.left.Add(1)
		}
	}
	if m.waited == 0 {
		close(m.ready)
	}
	return m
}

// close lets go of files that a round did not come to the end of.
func (m *maker) close() {
	for _, f := range m.s.files {
		f.left.Store(0)
		_ = f.close(false) // only read from; the error that matters is the round's
	}
	if m.s.listing != nil {
		m.s.listing.left.Store(0)
	}
}

func (m *maker) sealed(u *unit) {
	if u.listed(m.s.listing) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waited--; m.waited == 0 {
		close(m.ready)
	}
}

// bench is a worker's memory.
type bench struct{ out, in []byte }

// room gives memory for n bytes, keeping it for the next time.
func room(buf *[]byte, n int64) []byte {
	if int64(cap(*buf)) < n {
		*buf = make([]byte, n)
	}
	return (*buf)[:n]
}

// sourceChanged turns the seal's word for it into the source's.
func sourceChanged(f *file, err error) error {
	if errors.Is(err, seal.ErrSource) {
		return &source.Error{Local: f.Local, Err: source.ErrChanged}
	}
	var known *source.Error
	if f.entry == nil || errors.As(err, &known) {
		return err
	}
	return &source.Error{Local: f.Local, Err: fmt.Errorf("%w (%w)", source.ErrUnreadable, err)}
}
