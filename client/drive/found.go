package drive

import (
	"context"
	"errors"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// found makes root and heads of an account that has no drive yet, in one commit.
func (d *Drive) found(ctx context.Context) error {
	if !d.heads.gone {
		return d.root.alarm(journal.Missing, "there are heads of it")
	}
	root, err := journal.Found(d.root.anchor, d.pen(d.root))
	if err != nil {
		return d.root.named(err)
	}
	_, chain, err := journal.Chain{Folder: d.root.id}.Check(root)
	if err != nil {
		return d.root.named(err)
	}
	heads, err := journal.Found(d.heads.anchor, d.pen(d.heads), journal.HeadOf(chain.Head()))
	if err != nil {
		return d.heads.named(err)
	}
	_, err = patient(ctx, d, func() (api.CommitDriveResponse, error) {
		return api.CommitDrive.Call(ctx, d.caller, d.args(), api.CommitDriveRequest{
			Key: id.New[id.Commit](), Roots: []id.Folder{d.root.id, d.heads.id},
			Entries: []string{id.Encoding.EncodeToString(root), id.Encoding.EncodeToString(heads)},
		})
	})
	if err != nil && !errors.Is(err, api.FolderExists) && !errors.Is(err, api.HeadMoved) { // else another device was faster
		return err
	}
	d.root.round, d.heads.round = 0, 0
	if err := d.refresh(ctx, d.root); err != nil {
		return err
	}
	if d.root.gone {
		return d.root.alarm(journal.Missing, "it was just made")
	}
	return nil
}
