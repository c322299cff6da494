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

// begin draws a link and opens an upload for it. The link's keys are derived before
// any buffer is made: stretching a password takes 64 MiB for a moment.
func (s *send) begin(ctx context.Context, log *resume.Log) error {
	if err := s.newLink(); err != nil {
		return err
	}
	head := resume.Head{
		Handle: s.link.Handle, Link: id.Bytes32(s.link.Secret), Flags: byte(s.link.Flags), Manage: id.Bytes32(s.manage),
	}
	return s.storing.begin(ctx, log, head, s.fits, s.open)
}

func (s *send) newLink() (err error) {
	flags := link.Flags(0)
	if s.o.Password != "" {
		flags = link.NeedsPassword
	}
	s.link, s.manage = link.New(flags), link.NewSecret()
	s.keys, err = s.link.Keys(s.o.Password)
	return err
}

func (s *send) open(ctx context.Context, bytes int64) (api.UploadGrant, error) {
	return api.OpenUpload.Call(ctx, s.c.caller(), api.Args{}, api.OpenUploadRequest{Bytes: bytes, Days: s.plan.Days})
}

// takeUp goes on with the recorded upload and its link.
func (s *send) takeUp(ctx context.Context) (bool, error) {
	if err := s.recorded(); err != nil {
		return false, err
	}
	return s.storing.takeUp(ctx)
}

// recorded takes the link from the log.
func (s *send) recorded() (err error) {
	h := s.state.Head
	s.secret, s.manage = h.Secret, link.Secret(h.Manage)
	s.link = link.Link{Handle: h.Handle, Secret: link.Secret(h.Link), Flags: link.Flags(h.Flags)}
	s.keys, err = s.link.Keys(s.o.Password)
	return err
}
