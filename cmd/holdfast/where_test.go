package main

import (
	"testing"

	"holdfast/client/fleet"
	"holdfast/format/ticket"
)

func TestWhoHoldsACopy(t *testing.T) {
	for _, c := range []struct {
		declared        ticket.Declaration
		companies, laws string
	}{
		{ticket.Declaration{Operator: "A", Jurisdiction: "DE"}, "A", "DE"},
		{ticket.Declaration{Operator: "A", Jurisdiction: "DE", Site: "FR", Parent: "B\t", Storage: "C\x1b"},
			`A, owned by B\u{09}, storage of C\u{1B}`, "DE, stands in FR"},
	} {
		shown := copiesJSON([]fleet.Node{{Declaration: c.declared}})[0]
		if shown.companies() != c.companies || shown.laws() != c.laws {
			t.Errorf("%q, %q", shown.companies(), shown.laws())
		}
	}
}
