package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"holdfast/client/blobs"
	"holdfast/client/target"
	"holdfast/format/blob"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"

	"golang.org/x/sync/errgroup"
)

// maxPacked is the longest stream that shares a blob with others.
const maxPacked = blob.PackMax

func parent(local string) string { return path.Dir(local) }

// member is a small file, whose stream lies in one blob with others.
type member struct {
	entry int
	r     *revision
	at    extent
}

// pack is a run of small files that lie side by side in a blob: they are read as
// one range.
type pack struct {
	members        []member
	place          spot
	offset, length int64
}

// spotKey tells blobs of one answer apart, and the tickets of a blob that needs several.
type spotKey struct {
	upload id.Upload
	name   id.Name
	index  int
}

// join merges small files of one answer into packs.
func join(members []member) []*pack {
	byBlob := map[spotKey][]member{}
	var order []spotKey
	for _, m := range members {
		key := spotKey{m.at.Upload, m.at.Name, m.at.index}
		if byBlob[key] == nil {
			order = append(order, key)
		}
		byBlob[key] = append(byBlob[key], m)
	}
	var out []*pack
	for _, key := range order {
		out = append(out, runs(byBlob[key])...)
	}
	return out
}

// runs splits the files of a blob where there is a gap between them.
func runs(members []member) []*pack {
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.at.offset, b.at.offset) })
	var out []*pack
	for _, m := range members {
		e := m.at
		if n := len(out); n > 0 && out[n-1].offset+out[n-1].length == e.offset {
			out[n-1].members = append(out[n-1].members, m)
			out[n-1].length += e.length
			continue
		}
		out = append(out, &pack{members: []member{m}, place: e.spot, offset: e.offset, length: e.length})
	}
	return out
}

// Locate finds the blob of a pack; a fresh ticket must cover the whole run again,
// so that all its files are asked for.
func (p *pack) Locate(ctx context.Context, fresh bool) (blobs.Place, error) {
	if !fresh && !p.place.stale(time.Now()) {
		return p.place.Place, nil
	}
	contents := make([]descriptor.Content, len(p.members))
	for i, m := range p.members {
		contents[i] = m.r.content
	}
	revs, err := p.members[0].r.d.revisions(ctx, contents)
	if err != nil {
		return blobs.Place{}, err
	}
	for _, m := range p.members {
		r := revs[m.r.content.Revision]
		if r == nil || r.extents[0].Name != p.place.Name || r.extents[0].offset != m.at.offset {
			return blobs.Place{}, fmt.Errorf("%w (files were moved meanwhile; repeat the command)", ErrAnswer)
		}
		p.place = r.extents[0].spot
	}
	return p.place.Place, nil
}

// pack fetches a run and writes its files.
func (v *save) pack(ctx context.Context, p *pack) error {
	buf, free, err := v.d.buffers.Get(ctx)
	if err != nil {
		return err
	}
	defer free()
	data, err := v.d.take(ctx, p, p.offset, p.length, buf)
	if err != nil {
		for _, m := range p.members { // damage is all of theirs; anything else ends with the first
			if err := v.spoilt(m.entry, err); err != nil {
				return err
			}
		}
		return nil
	}
	for members := range slices.Chunk(p.members, togetherMax) {
		if err := v.together(ctx, p, members, data); err != nil {
			return err
		}
	}
	return nil
}

const (
	// togetherMax bounds the files that a pack holds open at once; with savers
	// packs at a time this stays well below the usual limit of 1,024.
	togetherMax = 128
	// syncers is how many files are made durable at once: the file system does
	// many in one go, and waiting for each alone would take seconds.
	syncers = 16
)

// together writes some files of a pack, then gives them their names.
func (v *save) together(ctx context.Context, p *pack, members []member, data []byte) error {
	parts := map[int]*target.Part{} // by entry
	var text []byte
	var err error
	for _, m := range members {
		if err = context.Cause(ctx); err != nil {
			break
		}
		stream := data[m.at.offset-p.offset:][:m.at.length]
		var part *target.Part
		if part, text, err = v.small(m, stream, text[:0]); err == nil {
			parts[m.entry] = part
		} else if err = v.spoilt(m.entry, err); err != nil {
			break
		}
	}
	if err != nil {
		for _, part := range parts {
			err = errors.Join(err, part.Discard())
		}
		return err
	}
	var g errgroup.Group
	g.SetLimit(syncers)
	for entry, part := range parts {
		g.Go(func() error { return v.whole(entry, part) })
	}
	return g.Wait()
}

// small opens a stream that is in memory as a whole and writes it to a part,
// using the memory of text.
func (v *save) small(m member, stream, text []byte) (*target.Part, []byte, error) {
	if err := m.r.checkHeader(stream); err != nil {
		return nil, text, err
	}
	text, err := seal.Open(text, m.r.keys, sealContent(m.r.content), stream)
	if err != nil {
		return nil, text, integrity(err)
	}
	part, err := v.part(m.entry)
	if err != nil {
		return nil, text, err
	}
	if err := fill(part, text); err != nil {
		return nil, text, errors.Join(err, part.Discard())
	}
	v.d.report.progress(Written, int64(len(text)))
	return part, text, nil
}

func fill(part *target.Part, text []byte) error {
	if err := part.Truncate(0); err != nil {
		return err
	}
	_, err := part.WriteAt(text, 0)
	return err
}
