package link

import (
	"errors"

	"holdfast/format/kdf"
	"holdfast/format/password"
)

// Errors of Keys.
var (
	// ErrPasswordNeeded: the link has a password and none was given.
	ErrPasswordNeeded = errors.New("link: a password is needed; ask the sender for it")
	// ErrPasswordUnused: a password was given for a link that has none. Whoever
	// makes such a link would believe it protected.
	ErrPasswordUnused = errors.New("link: has no password, but one was given")
)

// Keys are what a link's two sides derive from it.
type Keys struct {
	Final  Secret // what the others come from; used for nothing else
	Auth   Secret // shown to the server, which stores AuthHash of it
	Record Secret // purpose key of the link record
}

// Keys derives the link's keys. The password is "" if the link needs none;
// otherwise it is prepared and stretched, which takes 64 MiB and a while.
func (l Link) Keys(pass string) (Keys, error) {
	ikm := append([]byte(nil), l.Secret[:]...)
	switch {
	case l.NeedsPassword() && pass == "":
		return Keys{}, ErrPasswordNeeded
	case !l.NeedsPassword() && pass != "":
		return Keys{}, ErrPasswordUnused
	case l.NeedsPassword():
		stretched, err := password.LinkKey(pass, l.Handle)
		if err != nil {
			return Keys{}, err
		}
		ikm = append(ikm, stretched[:]...)
	}
	final := kdf.Key32(ikm, kdf.LinkFinal, l.Handle[:])
	return Keys{
		Final:  final,
		Auth:   kdf.Key32(final[:], kdf.LinkAuth, l.Handle[:]),
		Record: kdf.Key32(final[:], kdf.LinkRecord, l.Handle[:]),
	}, nil
}
