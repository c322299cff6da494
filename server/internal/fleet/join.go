package fleet

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/placement"
)

// maxSuperseded is how often a node may replace its declaration within a day.
const maxSuperseded = 16

// Joined is what a node pins when it has joined.
type Joined struct {
	Node                id.Node
	TicketKey, OrderKey ed25519.PublicKey
	Epoch               int64
}

// Join makes a node a member with an invite and its signed declaration. A
// member renews its declaration without one, and may change URL and capacity
// with it, but not who runs it and under which laws: copies were counted on
// that. It fails with ErrInvite or ErrDeclaration.
func (f *Fleet) Join(ctx context.Context, invite, declaration string) (Joined, error) {
	m, err := f.declared(declaration)
	if err != nil {
		return Joined{}, err
	}
	// A node that is added, or renews itself, through another server at the same
	// moment makes one more round.
	const rounds = 3
	for range rounds {
		if err = f.admitOrRenew(ctx, m, invite); !errors.Is(err, ErrKnown) && !errors.Is(err, ErrChanged) {
			break
		}
		f.forget()
	}
	if errors.Is(err, ErrPlaceTaken) {
		err = fmt.Errorf("%w: %w; one URL is one node", ErrDeclaration, ErrPlaceTaken)
	}
	if err != nil {
		return Joined{}, err
	}
	epoch, err := f.cfg.Store.Epoch(ctx)
	if err != nil {
		return Joined{}, fmt.Errorf("join: %w", err)
	}
	return Joined{Node: m.Node, TicketKey: f.cfg.TicketKey, OrderKey: f.cfg.OrderKey.Public().(ed25519.PublicKey), Epoch: epoch}, nil
}

// declared opens a declaration and checks what does not depend on who is a
// member already.
func (f *Fleet) declared(text string) (member, error) {
	envelope, err := ticket.ParseText(text)
	if err != nil {
		return member{}, fmt.Errorf("%w: %w", ErrDeclaration, err)
	}
	d, err := ticket.OpenDeclaration(envelope)
	if err != nil {
		return member{}, fmt.Errorf("%w: %w", ErrDeclaration, err)
	}
	if err := checkNames(d); err != nil {
		return member{}, err
	}
	at, err := placeOf(d.URL)
	if err != nil {
		return member{}, err
	}
	if f.cfg.Public && at.local {
		return member{}, fmt.Errorf("%w: nobody else reaches a node on loopback; declare the URL at which clients find it", ErrDeclaration)
	}
	today := ticket.Day(f.cfg.Now())
	if d.Day < today-1 || d.Day > today+1 {
		return member{}, fmt.Errorf("%w: it is of day %d and today is day %d; check the node's clock and sign it anew", ErrDeclaration, d.Day, today)
	}
	return member{Member: Member{Node: d.Node(), Declaration: envelope, Place: at.key, JoinedDay: today}, declared: d, origin: at.origin, text: text}, nil
}

// checkNames refuses what a person could not see or would see elsewhere than it
// stands: names are shown to senders and compared by eye.
func checkNames(d ticket.Declaration) error {
	if strings.TrimSpace(d.Operator) == "" {
		return fmt.Errorf("%w: the operator has no name", ErrDeclaration)
	}
	for _, company := range []struct{ role, name string }{{"operator", d.Operator}, {"parent company", d.Parent}, {"storage provider", d.Storage}} {
		for _, r := range company.name {
			if !unicode.IsPrint(r) {
				return fmt.Errorf("%w: the %s's name has an unprintable character (%U)", ErrDeclaration, company.role, r)
			}
		}
	}
	return nil
}

func (f *Fleet) admitOrRenew(ctx context.Context, m member, invite string) error {
	before, err := f.member(ctx, m.Node)
	if errors.Is(err, ErrUnknownNode) {
		return f.admit(ctx, m, invite)
	}
	if err != nil {
		return err
	}
	return f.renew(ctx, before, m)
}

func (f *Fleet) admit(ctx context.Context, m member, invite string) error {
	hash, err := parseInvite(invite)
	if err != nil {
		return err
	}
	if err := f.cfg.Store.AdmitNode(ctx, m.Member, hash, f.cfg.Now()); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	f.forget()
	f.cfg.Log.Info("node joined", "node", m.Node, "operator", m.declared.Operator, "jurisdiction", m.declared.Jurisdiction)
	return nil
}

func (f *Fleet) renew(ctx context.Context, before, m member) error {
	if before.Removed {
		return fmt.Errorf("%w: this node was removed; join as a new node, with a new key and an invite", ErrDeclaration)
	}
	if bytes.Equal(before.Declaration, m.Declaration) {
		return nil
	}
	if !placement.Same(exposure(before.declared), exposure(m.declared)) {
		return fmt.Errorf("%w: a member's operator, parent company, storage provider, jurisdiction and site stay what they were; "+
			"join as a new node, with a new key and an invite", ErrDeclaration)
	}
	superseded, err := supersede(before, m)
	if err != nil {
		return err
	}
	m.Superseded = superseded
	if err := f.cfg.Store.RenewNode(ctx, m.Member, before.Declaration); err != nil {
		return fmt.Errorf("renew declaration: %w", err)
	}
	f.forget()
	f.cfg.Log.Info("node renewed its declaration", "node", m.Node, "capacity", m.declared.Capacity)
	return nil
}

// supersede returns the digests to keep when m replaces before, and refuses a
// declaration that was replaced earlier.
func supersede(before, m member) ([][sha256.Size]byte, error) {
	switch {
	case m.declared.Day < before.declared.Day:
		return nil, fmt.Errorf("%w: a newer declaration of this node is here; check its clock and sign it anew", ErrDeclaration)
	case m.declared.Day > before.declared.Day:
		return nil, nil
	case slices.Contains(before.Superseded, sha256.Sum256(m.Declaration)):
		return nil, fmt.Errorf("%w: it was replaced earlier today", ErrDeclaration)
	case len(before.Superseded) >= maxSuperseded:
		return nil, fmt.Errorf("%w: it was replaced %d times today; try again tomorrow", ErrDeclaration, maxSuperseded)
	}
	return append(slices.Clone(before.Superseded), sha256.Sum256(before.Declaration)), nil
}
