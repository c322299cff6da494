package drive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"holdfast/api"
	"holdfast/format/id"
)

// A folder that is moved out of a shared one takes its keys along, which members of that
// one know. It gets a new epoch, and so do all below it: what is written from then on they
// cannot read, whatever the server gives them. What is to be done is noted before the move,
// and goes on with the next move of this machine if it was interrupted.

// leaving are the folders, by their place in a move, that come out of a shared folder.
func (d *Drive) leaving(ctx context.Context, places []place, targets []target) (map[int]*folder, error) {
	all := map[int]*folder{}
	shared := map[*folder]bool{}
	var linked map[id.Folder]bool
	for i, p := range places {
		if p.entry.Child == nil || p.last() == targets[i].in {
			continue
		}
		stays := targets[i].in.above()
		for _, above := range p.last().above() {
			if above == d.root || slices.Contains(stays, above) {
				break // and so is everything above it
			}
			is, known := shared[above]
			if !known {
				members, err := d.members(ctx, above)
				if err != nil {
					return nil, err
				}
				if linked == nil {
					if linked, err = d.linked(ctx); err != nil {
						return nil, err
					}
				}
				is = len(members) > 0 || linked[above.id]
				shared[above] = is
			}
			if !is {
				continue
			}
			f, err := d.child(p.last(), p.entry)
			if err != nil {
				return nil, err
			}
			if f.place.Keys.Admin.IsZero() || targets[i].in.place.Keys.Admin.IsZero() {
				return nil, &Error{join(p.last().path, p.entry.Name()), fmt.Errorf("it comes out of %s, which is shared, and needs new keys: %w", above.path, ErrNotAdmin)}
			}
			all[i] = f
			break
		}
	}
	return all, nil
}

// linked are the folders to which links of the account lead.
func (d *Drive) linked(ctx context.Context) (map[id.Folder]bool, error) {
	got, err := patient(ctx, d, func() (api.DriveLinks, error) {
		return api.ListDriveLinks.Call(ctx, d.caller, d.args(), api.Empty{})
	})
	if err != nil {
		return nil, err
	}
	all := map[id.Folder]bool{}
	for _, l := range got.Links {
		all[l.Folder] = true
	}
	return all, nil
}

// noteLeaving writes down what is to be done after a move.
func (d *Drive) noteLeaving(leaving map[int]*folder, targets []target) error {
	for i, f := range leaving {
		if err := d.store.writeRekey(f.id, rekeyed{Moved: join(targets[i].in.path, targets[i].name)}); err != nil {
			return err
		}
	}
	return nil
}

// left gives the folders that a move took out of shared ones their new keys.
func (d *Drive) left(ctx context.Context, leaving map[int]*folder, targets []target) error {
	for i, f := range leaving {
		e, there := targets[i].in.state.Child(f.id)
		if !there { // somebody else moved it meanwhile, and sees to it
			if err := d.store.forgetRekey(f.id); err != nil {
				return err
			}
			continue
		}
		moved, err := d.child(targets[i].in, e)
		if err == nil {
			err = d.renewed(ctx, moved)
		}
		if err != nil {
			return fmt.Errorf("it is moved, and has not all of its new keys yet; the next mv goes on: %w", err)
		}
	}
	return nil
}

func (d *Drive) renewed(ctx context.Context, f *folder) error {
	if err := d.refresh(ctx, chain(f)...); err != nil {
		return err
	}
	return d.rekey(ctx, f, func(done, all int) {
		if d.Rekeyed != nil {
			d.Rekeyed(f.path, done, all)
		}
	})
}

// goOn finishes what earlier moves left to do.
func (d *Drive) goOn(ctx context.Context) error {
	jobs, err := d.store.movedJobs()
	if err != nil {
		return err
	}
	for folder, path := range jobs {
		p, i, err := d.resolve(ctx, path, true)
		if errors.Is(err, ErrNotFound) || err == nil && i.Self != folder {
			if d.Warn != nil {
				d.Warn(fmt.Sprintf("a folder that was put at %s, out of a shared one, has not all of its new keys and is no longer there: take it from whoever should not read it with 'holdfast revoke --again'", path))
			}
			if err := d.store.forgetRekey(folder); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			err = d.renewed(ctx, p.last())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// movedJobs are the jobs of folders that were moved, and where to.
func (s *store) movedJobs() (map[id.Folder]string, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	jobs := map[id.Folder]string{}
	for _, e := range entries {
		text, is := strings.CutPrefix(e.Name(), rekeyPrefix)
		folder, err := id.Parse[id.Folder](text)
		if !is || err != nil {
			continue // a temporary file
		}
		job, _, err := s.readRekey(folder)
		if err != nil {
			return nil, err
		}
		if job.Moved != "" {
			jobs[folder] = job.Moved
		}
	}
	return jobs, nil
}
