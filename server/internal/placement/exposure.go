// Package placement decides which nodes may hold the copies of one blob.
//
// It promises that no set of nodes it makes or approves contains two that one
// court or one company could take away together, whatever their spelling. It is
// pure: it keeps nothing, reads no clock and draws only from the source of
// randomness that it is given, so that a choice can be repeated. It knows
// exposures and free bytes, and nothing of keys, addresses or whether a node
// lives.
package placement

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Exposure is what could take a node away: the companies behind it and the laws
// that it stands under, as its declaration says. Parent, Provider and Site are
// empty where nothing was declared.
type Exposure struct {
	Operator     string
	Parent       string
	Provider     string
	Jurisdiction string
	Site         string
}

// Independent tells whether a and b share neither a jurisdiction nor a company.
// Each company named by a is compared with each named by b, for a parent of one
// may be the storage provider of the other; jurisdictions likewise. Whoever
// names no operator or no jurisdiction is independent of nobody.
func Independent(a, b Exposure) bool { return independent(ties(a), ties(b)) }

// Same tells whether a and b expose a node to the same companies and laws in
// the same roles, however they are spelled.
func Same(a, b Exposure) bool {
	return company(a.Operator) == company(b.Operator) && company(a.Parent) == company(b.Parent) &&
		company(a.Provider) == company(b.Provider) && law(a.Jurisdiction) == law(b.Jurisdiction) && law(a.Site) == law(b.Site)
}

// Satisfies tells whether some of the nodes, as many as copies, are pairwise
// independent: whether they may be counted as that many copies.
func Satisfies(nodes []Exposure, copies int) bool {
	all := make([]tied, len(nodes))
	for i, n := range nodes {
		all[i] = ties(n)
	}
	return chooses(nil, all, copies)
}

// chooses tries to extend chosen by members of rest until there are enough.
func chooses(chosen, rest []tied, copies int) bool {
	if len(chosen) >= copies {
		return true
	}
	for i, t := range rest {
		if len(chosen)+len(rest)-i < copies {
			return false
		}
		if fits(chosen, t) && chooses(append(chosen, t), rest[i+1:], copies) {
			return true
		}
	}
	return false
}

// tied is an exposure in the form that is compared.
type tied struct {
	companies, laws []string
	known           bool // operator and jurisdiction are declared
}

func ties(e Exposure) tied {
	return tied{
		companies: declared(company(e.Operator), company(e.Parent), company(e.Provider)),
		laws:      declared(law(e.Jurisdiction), law(e.Site)),
		known:     company(e.Operator) != "" && law(e.Jurisdiction) != "",
	}
}

func declared(texts ...string) []string {
	var all []string
	for _, t := range texts {
		if t != "" {
			all = append(all, t)
		}
	}
	return all
}

// company is a name as it is compared: case folded as Unicode has it, composed
// and compatible characters made one, white space trimmed and made single. It
// is a little broader than docs/protocol.md asks, in the direction in which an
// error costs a choice and not a copy.
func company(name string) string {
	valid := strings.ToValidUTF8(name, "\uFFFD")
	folded := cases.Fold().String(norm.NFKC.String(valid))
	return strings.Join(strings.Fields(folded), " ")
}

func law(code string) string { return strings.ToUpper(strings.TrimSpace(code)) }

func independent(a, b tied) bool {
	return a.known && b.known && disjoint(a.companies, b.companies) && disjoint(a.laws, b.laws)
}

func disjoint(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return false
			}
		}
	}
	return true
}

// fits tells whether t is independent of all that are chosen.
func fits(chosen []tied, t tied) bool {
	for _, c := range chosen {
		if !independent(c, t) {
			return false
		}
	}
	return true
}
