package drive

import (
	"context"
	"errors"
	"fmt"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/invite"
	"holdfast/format/journal"
)

// Errors of members.
var (
	// ErrNotAdmin: the keys at hand do not administer the folder.
	ErrNotAdmin = errors.New("only who administers this folder, and the folder in which it lies, may do that")
	// ErrSharedRoot: the root is its owner's alone.
	ErrSharedRoot = errors.New("the root is yours alone: share a folder in it")
	// ErrNotMember: nobody gave the account a role in this folder itself.
	ErrNotMember = errors.New("this folder itself is not shared with them (perhaps one above it is)")
)

// Member is an account that has a role in a folder, by a grant on that folder itself.
type Member struct {
	Account id.Account
	Role    journal.Role
	serial  int64
}

// shareable is a folder that can be shared.
func (d *Drive) shareable(ctx context.Context, path string) (*folder, error) {
	p, i, err := d.resolve(ctx, path, true)
	switch {
	case err != nil:
		return nil, err
	case !i.IsFolder():
		return nil, &Error{i.Path, ErrNotFolder}
	case p.last() == d.root:
		return nil, &Error{i.Path, ErrSharedRoot}
	}
	return p.last(), nil
}

// Members are those with a role in a folder itself, besides its owner. The server says
// which grants stand; that an administrator gave them is verified.
func (d *Drive) Members(ctx context.Context, path string) (all []Member, err error) {
	err = d.do(ctx, func() error {
		f, err := d.shareable(ctx, path)
		if err == nil {
			all, err = d.members(ctx, f)
		}
		return err
	})
	return all, err
}

func (d *Drive) members(ctx context.Context, f *folder) (all []Member, err error) {
	args := d.args()
	args.Path = map[string]string{"folder": f.id.String()}
	got, err := patient(ctx, d, func() (api.FolderGrantsResponse, error) {
		return api.FolderGrants.Call(ctx, d.caller, args, api.Empty{})
	})
	if err != nil {
		return nil, err
	}
	for _, text := range got.Grants {
		g, err := f.grant(text)
		if err != nil {
			return nil, f.named(err)
		}
		if g.Account != nil && g.File == nil && g.Role > journal.Nobody {
			all = append(all, Member{*g.Account, g.Role, g.Serial})
		}
	}
	return all, nil
}

// grant verifies a grant under the admin key of the epoch in which it was given.
func (f *folder) grant(text string) (journal.Grant, error) {
	raw, err := id.Encoding.DecodeString(text)
	if err != nil {
		return journal.Grant{}, f.alarm(journal.Encoding, "a grant that is not base64url text")
	}
	claimed, err := journal.ClaimedGrant(raw)
	if err != nil {
		return journal.Grant{}, err
	}
	public, known := f.state.PublicOf(claimed.Epoch)
	if !known {
		return journal.Grant{}, f.alarm(journal.Epoch, "a grant of epoch %d", claimed.Epoch)
	}
	return journal.ReadGrant(raw, f.id, public.Admin)
}

// serial is later than every one before: of those that were revoked the server tells
// none, so that the clock has to.
func (d *Drive) serial(before int64) int64 { return max(before+1, d.now().UnixMilli()) }

// Grant gives an account a role in a folder, in place of the one that it had, and makes
// the invitation that brings it the keys.
func (d *Drive) Grant(ctx context.Context, path string, to id.Account, role journal.Role) (i *invite.Invitation, err error) {
	err = d.do(ctx, func() error {
		f, err := d.shareable(ctx, path)
		if err != nil {
			return err
		}
		if i, err = f.invitation(role); err != nil {
			return err
		}
		if f.place.Keys.Admin.IsZero() {
			return &Error{f.path, ErrNotAdmin}
		}
		before, err := d.members(ctx, f)
		if err != nil {
			return err
		}
		raw, err := d.sealed(f.place, to, role, before)
		if err != nil {
			return f.named(err)
		}
		req := api.CommitDriveRequest{Key: id.New[id.Commit](), Grants: []string{id.Encoding.EncodeToString(raw)}}
		_, err = patient(ctx, d, func() (api.CommitDriveResponse, error) {
			return api.CommitDrive.Call(ctx, d.caller, d.args(), req)
		})
		return err
	})
	return i, err
}

func (d *Drive) sealed(p journal.Place, to id.Account, role journal.Role, before []Member) ([]byte, error) {
	g := journal.Grant{Folder: p.Folder, Account: &to, Role: role, Epoch: p.Epoch}
	for _, m := range before {
		if m.Account == to {
			g.Serial = m.serial
		}
	}
	g.Serial = d.serial(g.Serial)
	return g.Seal(p.Keys.Admin)
}

// invitation brings somebody the folder's present keys.
func (f *folder) invitation(role journal.Role) (*invite.Invitation, error) {
	p, err := f.present()
	if err != nil {
		return nil, err
	}
	name := f.path[lastSlash(f.path)+1:]
	i, err := invite.For(p, f.state.Anchor().Public, role, name)
	return i, f.named(err)
}

func lastSlash(path string) int {
	at := len(path) - 1
	for at >= 0 && path[at] != '/' {
		at--
	}
	return at
}

// Renewed are the members that stay in a folder, each with the invitation that brings the
// present keys.
type Renewed struct {
	Member
	Invitation *invite.Invitation
}

// Revoke takes an account's role in a folder from it, and begins a new epoch in the same
// commit: what is written from then on it cannot read. The folders below follow with
// Rekey. It returns who stays: they need the new keys.
func (d *Drive) Revoke(ctx context.Context, path string, from id.Account) (stay []Renewed, err error) {
	err = d.do(ctx, func() error {
		f, err := d.shareable(ctx, path)
		if err != nil {
			return err
		}
		if f.parent == nil {
			return &Error{f.path, ErrNotAdmin}
		}
		before, err := d.members(ctx, f)
		if err != nil {
			return err
		}
		if !holds(before, from) {
			return &Error{f.path, ErrNotMember}
		}
		if err := d.store.writeRekey(f.id, rekeyed{}); err != nil {
			return err
		}
		err = d.newEpoch(ctx, f, func(next journal.Place) ([][]byte, error) {
			raw, err := d.sealed(next, from, journal.Nobody, before)
			return [][]byte{raw}, err
		})
		if err != nil {
			return fmt.Errorf("%w (nothing was revoked)", err)
		}
		stay, err = d.renewals(f, before, from)
		return err
	})
	return stay, err
}

func holds(all []Member, account id.Account) bool {
	for _, m := range all {
		if m.Account == account {
			return true
		}
	}
	return false
}

func (d *Drive) renewals(f *folder, members []Member, but id.Account) (all []Renewed, err error) {
	for _, m := range members {
		if m.Account == but {
			continue
		}
		i, err := f.invitation(m.Role)
		if err != nil {
			return nil, err
		}
		all = append(all, Renewed{m, i})
	}
	return all, nil
}

// Staying are a folder's members with the invitations that bring the present keys, for
// those who did not get them.
func (d *Drive) Staying(ctx context.Context, path string) (all []Renewed, err error) {
	err = d.do(ctx, func() error {
		f, err := d.shareable(ctx, path)
		if err != nil {
			return err
		}
		members, err := d.members(ctx, f)
		if err == nil {
			all, err = d.renewals(f, members, id.Account{})
		}
		return err
	})
	return all, err
}
