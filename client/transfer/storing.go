package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/fleet"
	"holdfast/client/resume"
	"holdfast/client/source"
	"holdfast/format/id"
)

// storing is content on its way to two nodes: what a send and the drive have in
// common. It ends with everything stored, and publishes nothing.
type storing struct {
	c       *Client
	report  Report
	planned func(Plan)
	tree    source.Tree
	title   string // of the listing
	// unlisted makes no listing: journals say what there is.
	unlisted bool
	plan     Plan

	secret   string // the upload's
	files    []*file
	listing  *file // nil for one file, and where none is made
	units    []*unit
	receipts *blobs.Receipts
	uploader *blobs.Uploader

	mu        sync.Mutex // guards what follows
	state     *resume.State
	log       recorder
	announced bool
	early     map[Stage]int64 // stored before it was announced

	extending sync.Mutex // held while asking for more bytes
}

// recorder keeps what must survive: a *resume.Log, or nothing where nothing can
// be resumed.
type recorder interface {
	Write(records ...resume.Record) error
	Note(records ...resume.Record) error
}

// count fills the plan with what is to be stored.
func (s *storing) count() {
	p := &s.plan
	p.Skipped, p.Stored = s.tree.Skipped, -1
	for _, e := range s.tree.Entries {
		if e.Folder {
			p.Folders++
			continue
		}
		p.Files++
		p.Bytes += e.Size
	}
}

// announce tells what will happen, once, and then what is stored already.
func (s *storing) announce() {
	if s.planned != nil {
		s.planned(s.plan)
	}
	s.mu.Lock()
	early := s.early
	s.early, s.announced = nil, true
	s.mu.Unlock()
	for _, stage := range []Stage{StoredOne, StoredTwo} {
		s.report.progress(stage, early[stage])
	}
}

// stored is told by the receipts. Those of an earlier try are found before
// anything is announced, and count from then on.
func (s *storing) stored(_ id.Name, size int64, copies int) {
	stage := StoredTwo
	if copies == 1 {
		stage = StoredOne
	}
	s.mu.Lock()
	announced := s.announced
	if !announced {
		if s.early == nil {
			s.early = map[Stage]int64{}
		}
		s.early[stage] += size
	}
	s.mu.Unlock()
	if announced {
		s.report.progress(stage, size)
	}
}

// opening opens an upload for so many bytes.
type opening func(ctx context.Context, bytes int64) (api.UploadGrant, error)

// openUpload opens an upload and checks what it grants.
func (s *storing) openUpload(ctx context.Context, bytes int64, open opening) (blobs.Grant, error) {
	grant, err := retry(ctx, s.c, firstPatience, func(ctx context.Context) (api.UploadGrant, error) { return open(ctx, bytes) })
	if err != nil {
		return blobs.Grant{}, err
	}
	s.secret = grant.Secret
	opened, err := blobs.OpenGrant(grant, s.c.local, time.Now())
	if err != nil {
		return blobs.Grant{}, errors.Join(err, s.letGo(grant.Upload))
	}
	return opened, nil
}

// begin opens an upload, draws everything anew and starts the log. fits, which may
// be nil, judges what it will take before that.
func (s *storing) begin(ctx context.Context, log *resume.Log, head resume.Head, fits func(bytes int64) error, open opening) error {
	state := resume.NewState(resume.Head{})
	files, err := s.prepare(state)
	if err != nil {
		return err
	}
	s.plan.Stored = total(s.units)
	if fits != nil {
		if err := fits(s.plan.Stored); err != nil {
			return err
		}
	}
	grant, err := s.openUpload(ctx, s.plan.Stored, open)
	if err != nil {
		return err
	}
	head.Upload, head.Secret = grant.Upload, s.secret
	state.Head = head
	s.state = state
	if err := log.Start(head, files); err != nil {
		return errors.Join(err, s.letGo(grant.Upload)) // no later try could go on with it
	}
	s.connect(grant)
	return nil
}

// takeUp goes on with the recorded upload, if the server still has it open.
func (s *storing) takeUp(ctx context.Context) (bool, error) {
	h := s.state.Head
	s.secret = h.Secret
	grant, err := s.getUpload(ctx, h.Upload, firstPatience)
	switch {
	case gone(err):
		return false, nil
	case err != nil:
		return false, err
	}
	redrawn, err := s.prepare(s.state)
	if err != nil {
		return false, err
	}
	if err := s.decide(redrawn); err != nil {
		return false, err
	}
	s.connect(grant)
	s.recall(ctx)
	if !s.plan.Resumed { // nothing of it is of use: begin anew rather than drag it along
		return false, s.abandon(ctx, h.Upload)
	}
	err = s.extend(ctx, total(s.units)+s.state.Abandoned)
	// What was given up of it counts as well: without that it may fit.
	over := errors.Is(err, api.OverQuota) && s.state.Abandoned > 0
	if over || errors.Is(err, api.OverLimit) || errors.Is(err, api.NoCapacity) {
		return false, s.abandon(ctx, h.Upload)
	}
	return err == nil, err
}

// gone tells whether an upload can no longer be gone on with.
func gone(err error) bool {
	return errors.Is(err, api.UploadUnknown) || errors.Is(err, api.UploadClosed) || errors.Is(err, api.Unauthorized)
}

func (s *storing) getUpload(ctx context.Context, upload id.Upload, patience time.Duration) (blobs.Grant, error) {
	grant, err := retry(ctx, s.c, patience, func(ctx context.Context) (api.UploadGrant, error) {
		return api.GetUpload.Call(ctx, s.c.caller(), s.args(upload), api.Empty{})
	})
	if err != nil {
		return blobs.Grant{}, err
	}
	if grant.Upload != upload {
		return blobs.Grant{}, fmt.Errorf("%w (it is about another upload)", blobs.ErrGrant)
	}
	return blobs.OpenGrant(grant, s.c.local, time.Now())
}

func (s *storing) args(upload id.Upload) api.Args {
	return api.Args{Path: map[string]string{"upload": upload.String()}, Secret: s.secret}
}

// recall counts what earlier tries stored: by receipts that were kept, and by
// what the nodes say now.
func (s *storing) recall(ctx context.Context) {
	for _, u := range s.units {
		if u.known != nil {
			s.receipts.Expect(u.known.Name, u.size)
		}
	}
	for _, text := range s.state.Receipts {
		// One that does not hold any more, of a node that left, has nothing to add.
		_, _ = s.receipts.Accept(text, s.uploader.Grant().Nodes)
	}
	s.uploader.Ask(ctx)
	for _, u := range s.units {
		if u.known != nil && s.receipts.Enough(u.known.Name) {
			s.plan.Kept += u.size
		}
	}
	s.plan.Stored = total(s.units)
	s.plan.Resumed = s.plan.Kept > 0 || len(s.state.Blobs) > 0
}

// abandon gives an upload up; the server may know it no more.
func (s *storing) abandon(ctx context.Context, upload id.Upload) error {
	_, err := retry(ctx, s.c, firstPatience, func(ctx context.Context) (api.Empty, error) {
		return api.AbandonUpload.Call(ctx, s.c.caller(), s.args(upload), api.Empty{})
	})
	if err != nil && !gone(err) {
		return err
	}
	s.plan.Resumed, s.plan.Kept = false, 0
	s.mu.Lock()
	defer s.mu.Unlock()
	s.early = nil
	return nil
}

// lateTime bounds what is done when a transfer's own time is over.
const lateTime = 2 * firstPatience

// letGo abandons an upload that nobody could go on with, so that what it reserved
// is given back now and not when it closes.
func (s *storing) letGo(upload id.Upload) error {
	ctx, cancel := context.WithTimeout(context.Background(), lateTime)
	defer cancel()
	if err := s.abandon(ctx, upload); err != nil && ctx.Err() == nil {
		return err
	}
	return nil // the server closes it by itself
}

// closing is what closes the upload: staged pages and the last one, which was not
// sent, with the nodes that hold the copies.
func (s *storing) closing(ctx context.Context) (staged int, last api.Page, nodes []fleet.Node, err error) {
	names := make([]id.Name, len(s.units))
	for i, u := range s.units {
		names[i] = u.known.Name
	}
	proof, nodes, ok := s.receipts.Proof(names)
	if !ok {
		return 0, last, nil, fmt.Errorf("commit: %w", blobs.ErrNoCopies) // round returned before all were stored
	}
	pages := s.pages(names, proof)
	staged = len(pages) - 1
	for i, p := range pages[:staged] {
		if err := s.stage(ctx, i, p); err != nil {
			return 0, last, nil, err
		}
	}
	return staged, pages[staged], nodes, nil
}
