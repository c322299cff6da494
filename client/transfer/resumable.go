package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/home"
	"holdfast/client/resume"
	"holdfast/format/id"
	"holdfast/format/link"
)

const (
	resumeFolder  = "resume"
	commitSuffix  = ".commit"
	forgottenDays = 7
)

// statePath is where the state of this send stands: it is found again by the
// server, the options and what is sent, not by its content.
func (s *send) statePath() (string, error) {
	dir, err := s.c.home.Sub(resumeFolder)
	if err != nil {
		return "", err
	}
	forget(dir, s.c.now())
	wish := struct {
		Server, Name string
		Paths        []string
		Expires      time.Duration
		Downloads    int64
		Password     bool
	}{s.c.server, s.o.Name, nil, s.o.Expires, s.o.Downloads, s.o.Password != ""}
	for _, path := range s.o.Paths {
		local, err := filepath.Abs(path)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		wish.Paths = append(wish.Paths, local)
	}
	raw, err := json.Marshal(wish)
	if err != nil {
		return "", fmt.Errorf("find the state of the transfer: %w", err)
	}
	sum := sha256.Sum256(raw)
	return filepath.Join(dir, "send-"+hex.EncodeToString(sum[:16])), nil
}

// forget removes states of transfers that nobody took up again for a week: the
// uploads behind them closed after a day. What cannot be removed waits for the next time.
func forget(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && now.Sub(info.ModTime()) > forgottenDays*day {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}

// resumable sends files and folders, taking an earlier try up where there is one.
func (s *send) resumable(ctx context.Context) (*Result, error) {
	path, err := s.statePath()
	if err != nil {
		return nil, err
	}
	log, state, err := resume.Open(path)
	if err != nil {
		return nil, err
	}
	s.log, s.state = log, state
	result, err := s.run(ctx, log, path+commitSuffix)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	result.erase = func() error {
		// The commit first: it says nothing without the log.
		return errors.Join(home.Remove(path+commitSuffix), log.Erase())
	}
	return result, nil
}

func (s *send) run(ctx context.Context, log *resume.Log, commitPath string) (*Result, error) {
	if s.state != nil {
		if done, err := s.settle(ctx, commitPath); done != nil || err != nil {
			return done, err
		}
	}
	if err := home.Remove(commitPath); err != nil {
		return nil, err
	}
	if s.state != nil {
		taken, err := s.takeUp(ctx)
		if err != nil {
			return nil, err
		}
		if !taken {
			s.state = nil
		}
	}
	if s.state == nil {
		if err := s.begin(ctx, log); err != nil {
			return nil, err
		}
	}
	s.announce()
	if err := s.store(ctx); err != nil {
		return nil, err
	}
	return s.commit(ctx, commitPath)
}

// begin opens an upload, draws everything anew and starts the log.
func (s *send) begin(ctx context.Context, log *resume.Log) error {
	if err := s.newLink(); err != nil {
		return err
	}
	state := resume.NewState(resume.Head{})
	files, err := s.prepare(state)
	if err != nil {
		return err
	}
	s.plan.Stored = total(s.units)
	if err := s.fits(s.plan.Stored); err != nil {
		return err
	}
	grant, err := s.openUpload(ctx, s.plan.Stored)
	if err != nil {
		return err
	}
	state.Head = resume.Head{
		Upload: grant.Upload, Secret: s.secret, Handle: s.link.Handle, Link: id.Bytes32(s.link.Secret),
		Flags: byte(s.link.Flags), Manage: id.Bytes32(s.manage),
	}
	s.state = state
	if err := log.Start(state.Head, files); err != nil {
		return errors.Join(err, s.letGo(grant.Upload)) // no later try could go on with it
	}
	s.connect(grant)
	return nil
}

// newLink draws the link. Its keys are derived before any buffer is made:
// stretching a password takes 64 MiB for a moment.
func (s *send) newLink() (err error) {
	flags := link.Flags(0)
	if s.o.Password != "" {
		flags = link.NeedsPassword
	}
	s.link, s.manage = link.New(flags), link.NewSecret()
	s.keys, err = s.link.Keys(s.o.Password)
	return err
}

func (s *send) openUpload(ctx context.Context, bytes int64) (blobs.Grant, error) {
	grant, err := retry(ctx, s.c, firstPatience, func(ctx context.Context) (api.UploadGrant, error) {
		return api.OpenUpload.Call(ctx, s.c.caller(), api.Args{}, api.OpenUploadRequest{Bytes: bytes, Days: s.plan.Days})
	})
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

// takeUp goes on with the recorded upload, if the server still has it open.
func (s *send) takeUp(ctx context.Context) (bool, error) {
	h := s.state.Head
	s.secret, s.manage = h.Secret, link.Secret(h.Manage)
	s.link = link.Link{Handle: h.Handle, Secret: link.Secret(h.Link), Flags: link.Flags(h.Flags)}
	var err error
	if s.keys, err = s.link.Keys(s.o.Password); err != nil {
		return false, err
	}
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
	if errors.Is(err, api.OverLimit) || errors.Is(err, api.NoCapacity) {
		return false, s.abandon(ctx, h.Upload)
	}
	return err == nil, err
}

// gone tells whether an upload can no longer be gone on with.
func gone(err error) bool {
	return errors.Is(err, api.UploadUnknown) || errors.Is(err, api.UploadClosed) || errors.Is(err, api.Unauthorized)
}

func (s *send) getUpload(ctx context.Context, upload id.Upload, patience time.Duration) (blobs.Grant, error) {
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

func (s *send) args(upload id.Upload) api.Args {
	return api.Args{Path: map[string]string{"upload": upload.String()}, Secret: s.secret}
}

// recall counts what earlier tries stored: by receipts that were kept, and by
// what the nodes say now.
func (s *send) recall(ctx context.Context) {
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
func (s *send) abandon(ctx context.Context, upload id.Upload) error {
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
