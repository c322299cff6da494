package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"holdfast/client/home"
	"holdfast/format/link"
)

// managed is a link's management secret together with the one server that it
// goes to. It is made whole or not at all: an address that somebody handed over
// has no say in where a secret of this machine is sent.
type managed struct {
	server string
	secret link.Secret
	// sent is what this machine remembers of the send; nil if another made the link.
	sent *home.Send
}

// ownSend finds the link among the sends of this machine. It is a usage error if
// the address names another server than the one that the send was made with, and
// home.ErrUnknownSend if the send is not known.
func ownSend(dir home.Dir, l link.Link, base string) (managed, error) {
	sent, err := dir.FindSend(l.Handle)
	if err != nil {
		return managed{}, err
	}
	if linkBase(sent.Server) != base {
		return managed{}, usagef("this machine made that link with %s, and the address names %s: nothing was sent to either", sent.Server, base)
	}
	secret, err := link.ParseSecret(sent.Manage)
	return managed{sent.Server, secret, &sent}, err
}

// given is a secret that a person brings along, for the server of the address.
func given(dir home.Dir, l link.Link, base, path string) (managed, error) {
	file, err := os.Open(path)
	if err != nil {
		return managed{}, fmt.Errorf("--manage-file: %w", err)
	}
	defer file.Close()
	text, err := firstLine(file)
	if err != nil {
		return managed{}, fmt.Errorf("--manage-file: %w", err)
	}
	secret, err := link.ParseSecret(strings.TrimSpace(text))
	if err != nil {
		return managed{}, fmt.Errorf("--manage-file: %w", err)
	}
	m := managed{server: base, secret: secret}
	sent, err := dir.FindSend(l.Handle)
	switch {
	case err == nil && linkBase(sent.Server) == base:
		m.sent = &sent
	case err != nil && !errors.Is(err, home.ErrUnknownSend):
		return managed{}, err
	}
	return m, nil
}
