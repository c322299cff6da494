package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/client/resume"
	"holdfast/client/source"
	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// Drive stores contents for an account's drive, and fetches what its folders hold.
// It knows no paths and no journals.
type Drive struct {
	c     *Client
	token string
	who   string // tells accounts apart in names of states; says nothing of them
}

// Drive is the content of an account's drive, by the token of its session.
func (c *Client) Drive(account id.Account, session id.Bytes32) *Drive {
	return &Drive{c: c, token: session.String(), who: account.String()}
}

// StoreOptions says what to store.
type StoreOptions struct {
	// Files are what to store; folders among them are left out. The last component of
	// a file's Path is the name that its descriptor gets.
	Files []source.Entry
	// Goal tells this from other stores: repeated with the same one, what was
	// interrupted goes on. It is taken up by what is still to be stored, whatever that
	// is: files that were not there at the last try, or are no longer, do no harm.
	Goal string
	Report
	// Planned is told once what is stored, before the first byte leaves; may be nil.
	Planned func(Plan)
}

// Stored are contents that two nodes hold, and that nobody can see yet: a commit of
// the drive publishes them with Upload. One of Done, Keep and Abandon ends it.
type Stored struct {
	// Upload is what closes the upload.
	Upload api.DriveUpload
	// Files describe the files of the options, in their order.
	Files []descriptor.Descriptor
	// Nodes hold the copies, by checked receipts.
	Nodes []fleet.Node

	s   *storing
	log *resume.Log
}

// Store seals and stores, and publishes nothing. Repeated after an interruption it
// goes on where it was: what two nodes acknowledged is not sent again.
func (d *Drive) Store(ctx context.Context, o StoreOptions) (*Stored, error) {
	s := &storing{c: d.c, report: o.Report, planned: o.Planned, unlisted: true}
	for _, e := range o.Files {
		if !e.Folder {
			s.tree.Entries = append(s.tree.Entries, e)
		}
	}
	if len(s.tree.Entries) == 0 {
		return nil, source.ErrNothing
	}
	s.count()
	at, err := d.state("put", o.Goal)
	if err != nil {
		return nil, err
	}
	log, state, err := resume.Open(at)
	if err != nil {
		return nil, err
	}
	s.log, s.state = log, state
	out, err := d.store(ctx, s, log)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return out, nil
}

func (d *Drive) store(ctx context.Context, s *storing, log *resume.Log) (*Stored, error) {
	taken := false
	if s.state != nil {
		var err error
		if taken, err = s.takeUp(ctx); err != nil {
			return nil, err
		}
	}
	if !taken {
		if err := s.begin(ctx, log, resume.Head{}, nil, d.open); err != nil {
			return nil, err
		}
	}
	s.announce()
	if err := s.store(ctx); err != nil {
		return nil, err
	}
	staged, last, nodes, err := s.closing(ctx)
	if err != nil {
		return nil, err
	}
	out := &Stored{
		Upload: api.DriveUpload{Upload: s.state.Head.Upload, Secret: s.secret, Pages: staged, Page: last},
		Nodes:  nodes, s: s, log: log,
	}
	for _, f := range s.files {
		out.Files = append(out.Files, f.describe(path.Base(f.entry.Path)))
	}
	return out, nil
}

func (d *Drive) open(ctx context.Context, bytes int64) (api.UploadGrant, error) {
	return api.OpenDriveUpload.Call(ctx, d.c.caller(), api.Args{Secret: d.token}, api.OpenDriveUploadRequest{Bytes: bytes})
}

// Done erases what was kept to resume, keys included: the commit succeeded.
func (s *Stored) Done() error { return s.log.Erase() }

// Keep lets go of the state, which stays for the next try: nobody knows whether the
// commit succeeded. If it did, the upload is closed, and the next try begins anew
// with whatever is left to store.
func (s *Stored) Keep() error { return s.log.Close() }

// Abandon gives up what was stored: the commit was refused for good.
func (s *Stored) Abandon() error {
	return errors.Join(s.s.letGo(s.Upload.Upload), s.log.Erase())
}

// state is where the state of a transfer stands: it is found again by the server, the
// account and what it is for.
func (d *Drive) state(kind string, goal ...string) (string, error) {
	dir, err := d.c.home.Sub(resumeFolder)
	if err != nil {
		return "", err
	}
	forget(dir, d.c.now())
	raw, err := json.Marshal(append([]string{d.c.server, d.who}, goal...))
	if err != nil {
		return "", fmt.Errorf("find the state of the transfer: %w", err)
	}
	sum := sha256.Sum256(raw)
	return filepath.Join(dir, kind+"-"+hex.EncodeToString(sum[:16])), nil
}
