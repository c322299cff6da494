package fleet

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"holdfast/format/id"
)

const (
	// DefaultInvite is how long an invite can be used unless said otherwise, and
	// MaxInvite how long at most: a code lies in chats and shell histories.
	DefaultInvite = 7 * 24 * time.Hour
	MaxInvite     = 90 * 24 * time.Hour
	// codePrefix lets people and scanners of leaked secrets know a code when they
	// see it, and keeps it from beginning with a dash, which programs take for an option.
	codePrefix = "hfi-"
)

// Invitation is what is kept of an invite.
type Invitation struct {
	Hash    [sha256.Size]byte
	Expires time.Time
}

// Invite makes an invite with which one node may join, once, until it expires;
// life 0 is DefaultInvite. The code is nowhere else: only its hash is stored.
func Invite(ctx context.Context, store Store, now time.Time, life time.Duration) (code string, expires time.Time, err error) {
	if life == 0 {
		life = DefaultInvite
	}
	if life < 0 || life > MaxInvite {
		return "", time.Time{}, fmt.Errorf("invite: it may live for up to %d days, not %s", MaxInvite/(24*time.Hour), life)
	}
	secret := id.Bytes32(id.New32())
	expires = now.Add(life).Truncate(time.Second)
	if err := store.AddInvite(ctx, Invitation{Hash: inviteHash(secret), Expires: expires}, now); err != nil {
		return "", time.Time{}, fmt.Errorf("invite: %w", err)
	}
	return codePrefix + secret.String(), expires, nil
}

// inviteHash needs no salt and no slowness: nobody guesses 32 random bytes.
func inviteHash(secret id.Bytes32) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("holdfast/v1/invite-hash\x00"), secret[:]...))
}

// parseInvite returns the hash of a code.
func parseInvite(code string) ([sha256.Size]byte, error) {
	if code == "" {
		return [sha256.Size]byte{}, fmt.Errorf("%w: a new node needs an invite", ErrInvite)
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(code), codePrefix)
	secret, err := id.Parse32(text)
	if !ok || err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("%w: this is not a whole invite, which is %q and 43 characters", ErrInvite, codePrefix)
	}
	return inviteHash(secret), nil
}
