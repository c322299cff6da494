package drive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"holdfast/api"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/kdf"
	"holdfast/format/link"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

// ErrLinkAdmin: the keys at hand do not administer the folder.
var ErrLinkAdmin = errors.New("only who administers a folder makes links to it")

// LinkOptions of Share.
type LinkOptions struct {
	Password string
	// Expires is when the link ends; zero is never. Downloads is the limit, 0 for none.
	Expires   time.Time
	Downloads int64
}

// Link is a link to something in the drive, as its owner sees it.
type Link struct {
	Handle id.Handle
	// Path is where it lay when the link was made: the end of it, if it is long.
	Path     string
	Folder   bool
	Password bool
	// Expires in Unix seconds, 0 for never. Downloads were started, of Limit, 0 for none.
	Expires, Downloads, Limit int64
}

// Share makes a link to a file, as it is now, or to a folder with all that is and will
// be in it. It returns the link and when it ends, 0 for never.
func (d *Drive) Share(ctx context.Context, path string, o LinkOptions) (l link.Link, expires int64, err error) {
	var flags link.Flags
	if o.Password != "" {
		flags = link.NeedsPassword
	}
	l = link.New(flags)
	k, err := l.Keys(o.Password)
	if err != nil {
		return l, 0, err
	}
	err = d.do(ctx, func() error {
		p, i, err := d.resolve(ctx, path, true)
		if err != nil {
			return err
		}
		spec := api.DriveLinkSpec{Handle: l.Handle, AuthHash: link.AuthHash(k.Auth), Downloads: o.Downloads}
		if !o.Expires.IsZero() {
			spec.Expires = o.Expires.Unix()
		}
		var record link.Record
		if i.IsFolder() {
			record, err = d.linkFolder(p.last(), i, &spec)
		} else {
			record = linkFile(i, &spec)
		}
		if err != nil {
			return err
		}
		sealed, err := link.SealRecord(k.Record, l.Handle, record)
		if err != nil {
			return &Error{i.Path, err}
		}
		spec.Record = id.Encoding.EncodeToString(sealed)
		spec.Own = d.sealOwn(l, i)
		made, err := patient(ctx, d, func() (api.DriveLinkMade, error) { return api.ShareDrive.Call(ctx, d.caller, d.args(), spec) })
		expires = made.Expires
		return err
	})
	return l, expires, err
}

// linkFile is the record of a link to a file: its content and its thumbnail.
func linkFile(i Item, spec *api.DriveLinkSpec) link.Record {
	about := *i.Descriptor()
	about.Versions = nil
	spec.Folder, spec.Revisions = i.Folder, []id.Revision{about.Content.Revision}
	if about.Thumbnail != nil {
		spec.Revisions = append(spec.Revisions, about.Thumbnail.Revision)
	}
	return link.ForFile(about)
}

// linkFolder is the record of a link to a folder, and the grant that lets it in.
func (d *Drive) linkFolder(f *folder, i Item, spec *api.DriveLinkSpec) (link.Record, error) {
	if f == d.root { // nor can its keys be changed, if the link went astray
		return link.Record{}, &Error{f.path, ErrSharedRoot}
	}
	at, err := f.present()
	if err != nil {
		return link.Record{}, err
	}
	if at.Keys.Admin.IsZero() {
		return link.Record{}, &Error{f.path, ErrLinkAdmin}
	}
	grant, err := journal.Grant{Folder: f.id, Link: &spec.Handle, Role: journal.Reads, Epoch: at.Epoch, Serial: 1}.Seal(at.Keys.Admin)
	if err != nil {
		return link.Record{}, f.named(err)
	}
	spec.Folder, spec.Grant = f.id, id.Encoding.EncodeToString(grant)
	name := f.path[strings.LastIndexByte(f.path, '/')+1:] // of somebody else's, as it is called here
	if i.Entry != nil {
		name = i.Entry.Name()
	}
	head, public := f.state.Head(), f.state.Anchor().Public
	return link.ForFolder(link.Folder{
		ID: f.id, Epoch: at.Epoch, Read: link.Secret(at.Keys.Read), Write: id.Bytes32(public.Write), Admin: id.Bytes32(public.Admin),
		Name: name, Seq: head.Seq, Hash: id.Bytes32(head.Hash),
	}), nil
}

// own is what an account notes of its link (docs/format.md §11).
type own struct {
	Path     string `cbor:"1,keyasint"`
	Folder   bool   `cbor:"2,keyasint,omitempty"`
	Password bool   `cbor:"3,keyasint,omitempty"`
}

const (
	ownType = "drive-link"
	// maxOwnPath bounds the path in it, in bytes, and maxOwn all of it, sealed.
	maxOwnPath = 1024
	maxOwn     = 4 << 10
)

func (d *Drive) ownKey() [32]byte {
	root := d.access.Root
	return kdf.Key32(root.Key[:], kdf.DriveLinks, root.Account[:])
}

func (d *Drive) sealOwn(l link.Link, i Item) string {
	path := i.Path
	if len(path) > maxOwnPath {
		path = path[len(path)-maxOwnPath:]
		for !utf8.RuneStart(path[0]) {
			path = path[1:]
		}
		path = "…" + path[max(strings.IndexByte(path, '/'), 0):]
	}
	note := wire.Marshal(own{path, i.IsFolder(), l.NeedsPassword()})
	return id.Encoding.EncodeToString(seal.SealRecord(d.ownKey(), ownType, l.Handle[:], note))
}

func (d *Drive) openOwn(handle id.Handle, text string) (o own, err error) {
	sealed, err := id.Encoding.DecodeString(text)
	if err != nil {
		return o, ErrAnswer
	}
	b, err := seal.OpenRecord(d.ownKey(), ownType, handle[:], sealed, maxOwn)
	if err == nil {
		err = wire.Unmarshal(b, maxOwn, &o)
	}
	if err != nil {
		return o, fmt.Errorf("link %s: what was noted of it is not what this account wrote: %w", handle, err)
	}
	return o, nil
}

// Links are those that the account made, the newest first.
func (d *Drive) Links(ctx context.Context) ([]Link, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	res, err := patient(ctx, d, func() (api.DriveLinks, error) { return api.ListDriveLinks.Call(ctx, d.caller, d.args(), api.Empty{}) })
	if err != nil {
		return nil, err
	}
	all := make([]Link, len(res.Links))
	for i, l := range res.Links {
		o, err := d.openOwn(l.Handle, l.Own)
		if err != nil {
			return nil, err
		}
		all[i] = Link{Handle: l.Handle, Path: o.Path, Folder: o.Folder, Password: o.Password, Expires: l.Expires, Downloads: l.Downloads, Limit: l.Limit}
	}
	return all, nil
}

// Unlink ends a link that the account made, at once.
func (d *Drive) Unlink(ctx context.Context, handle id.Handle) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	args := d.args()
	args.Path = map[string]string{"handle": handle.String()}
	_, err := patient(ctx, d, func() (api.Empty, error) { return api.UnlinkDrive.Call(ctx, d.caller, args, api.Empty{}) })
	return err
}

// SessionOf is the token of this account's session of a link that it saves from: the
// same each time, so that a save which is repeated within a day counts once.
func (d *Drive) SessionOf(handle id.Handle) string {
	root := d.access.Root
	return id.Bytes32(kdf.Key32(root.Key[:], kdf.DriveLinks, root.Account[:], handle[:])).String()
}

// Save puts what a link opens into the drive, for a session of it that lives. No content
// moves. More than MaxFiles come in several commits.
func (d *Drive) Save(ctx context.Context, folders []string, entries []NewFile, handle id.Handle, session string) (out Result, err error) {
	err = d.do(ctx, func() error {
		if len(folders) > 0 {
			if out, err = d.mkdir(ctx, folders, true); err != nil {
				return err
			}
		}
		for len(entries) > 0 {
			n := min(len(entries), MaxFiles)
			got, err := d.putFrom(ctx, entries[:n], nil, []api.LinkSource{{Handle: handle, Session: session}})
			out.Notices = append(out.Notices, got.Notices...)
			if err != nil {
				return err
			}
			entries = entries[n:]
			d.round++
		}
		return nil
	})
	return out, err
}

// Saved is where an entry of a link goes below a folder of the drive.
func Saved(below string, about descriptor.Descriptor) NewFile {
	in, name := "", about.Path
	if i := strings.LastIndexByte(about.Path, '/'); i >= 0 {
		in, name = about.Path[:i], about.Path[i+1:]
	}
	about.Path, about.Versions = name, nil
	return NewFile{Folder: join(below, in), Descriptor: about}
}
