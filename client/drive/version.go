package drive

import (
	"context"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// Versions are the contents that a file had, the present one first.
func (d *Drive) Versions(ctx context.Context, path string) (i Item, all []descriptor.Version, err error) {
	err = d.do(ctx, func() (err error) {
		_, i, err = d.file(ctx, path)
		if err != nil {
			return err
		}
		now := i.Entry.Descriptor
		all = append([]descriptor.Version{{Content: *now.Content, ModTime: now.ModTime, ModNanos: now.ModNanos}}, now.Versions...)
		return nil
	})
	return i, all, err
}

func (d *Drive) file(ctx context.Context, path string) (place, Item, error) {
	p, i, err := d.resolve(ctx, path, false)
	if err == nil && i.IsFolder() {
		err = &Error{i.Path, ErrIsFolder}
	}
	return p, i, err
}

// RestoreVersion makes an older content of a file its present one; the present one
// becomes a version.
func (d *Drive) RestoreVersion(ctx context.Context, path string, revision id.Revision) (out Result, err error) {
	err = d.do(ctx, func() error {
		p, i, err := d.file(ctx, path)
		if err != nil {
			return err
		}
		for _, v := range i.Entry.Descriptor.Versions {
			if v.Content.Revision != revision {
				continue
			}
			next := *i.Entry.Descriptor
			next.Content, next.ModTime, next.ModNanos = &v.Content, v.ModTime, v.ModNanos
			next.Versions, next.Thumbnail = nil, nil // the thumbnail shows what is there now
			c := d.change()
			c.add(p.last(), journal.PutFile(i.Entry.ID, next))
			out, err = d.commit(ctx, c)
			return err
		}
		return &Error{i.Path, ErrVersion}
	})
	return out, err
}
