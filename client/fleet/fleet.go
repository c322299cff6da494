// Package fleet checks what a server says of storage nodes against what the
// nodes themselves have signed. It promises that a Node's operator, laws, address
// and key stand in a declaration signed by the key that the node's id names, so
// that a server can invent nodes but never speak for one. It knows no network.
package fleet

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"holdfast/api"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

// ErrNode: what the server says of a node is not what the node has signed.
var ErrNode = errors.New("the server named a storage node that does not prove who it is; nothing was sent to it")

// Node is a node whose declaration holds.
type Node struct {
	ID  id.Node
	URL string
	ticket.Declaration
}

// Key is the key that the node signs with.
func (n Node) Key() ed25519.PublicKey { return n.Public[:] }

// Label names the node's operator and jurisdiction for people. Both come from a
// stranger, so that it escapes what could disturb a terminal.
func (n Node) Label() string {
	return fmt.Sprintf("%s (%s)", descriptor.Display(n.Operator), n.Jurisdiction)
}

// Check opens the declaration of a node and holds it against what the server
// says. Plain http is accepted only of a node on this machine, and only if local
// is true: where the server itself is reached on it.
func Check(n api.Node, local bool) (Node, error) {
	envelope, err := ticket.ParseText(n.Declaration)
	if err != nil {
		return Node{}, fmt.Errorf("%w (node %s: %w)", ErrNode, n.ID, err)
	}
	d, err := ticket.OpenDeclaration(envelope)
	if err != nil {
		return Node{}, fmt.Errorf("%w (node %s: %w)", ErrNode, n.ID, err)
	}
	switch {
	case d.Node() != n.ID:
		return Node{}, fmt.Errorf("%w (node %s shows the declaration of node %s)", ErrNode, n.ID, d.Node())
	case d.URL != n.URL:
		return Node{}, fmt.Errorf("%w (node %s declared another address)", ErrNode, n.ID)
	}
	if plain, err := IsLocal(d.URL); err != nil || plain && !local {
		return Node{}, fmt.Errorf("%w (node %s is reached without encryption)", ErrNode, n.ID)
	}
	return Node{ID: n.ID, URL: strings.TrimSuffix(d.URL, "/"), Declaration: d}, nil
}

// CheckAll checks every node of an answer.
func CheckAll(nodes []api.Node, local bool) ([]Node, error) {
	out := make([]Node, len(nodes))
	for i, n := range nodes {
		var err error
		if out[i], err = Check(n, local); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// IsLocal tells whether a base URL is plain http to this machine, and fails for
// plain http to any other.
func IsLocal(base string) (bool, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false, errors.New("not a server's address; expected https://HOST")
	}
	switch u.Scheme {
	case "https":
		return false, nil
	case "http":
		ip := net.ParseIP(u.Hostname())
		if strings.EqualFold(u.Hostname(), "localhost") || ip != nil && ip.IsLoopback() {
			return true, nil
		}
		return false, errors.New("plain http is for this machine only; use https://HOST")
	}
	return false, errors.New("not a server's address; expected https://HOST")
}

// Independent tells whether no law and no company named in the declarations
// could take both nodes away (docs/protocol.md).
func Independent(a, b Node) bool {
	return !meet(laws(a), laws(b)) && !meet(companies(a), companies(b))
}

func laws(n Node) []string { return named(n.Jurisdiction, n.Site) }

func companies(n Node) []string { return named(n.Operator, n.Parent, n.Storage) }

// named folds the texts, so that no spelling makes two of one (NFKC, case, white
// space), and leaves out what was not declared.
func named(texts ...string) []string {
	var out []string
	for _, text := range texts {
		folded := cases.Fold().String(norm.NFKC.String(text))
		if text = strings.Join(strings.Fields(folded), " "); text != "" {
			out = append(out, text)
		}
	}
	return out
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// Enough tells whether two of the nodes are independent of each other.
func Enough(nodes []Node) bool {
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			if Independent(a, b) {
				return true
			}
		}
	}
	return false
}
