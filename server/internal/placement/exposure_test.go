package placement

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	alpha = Exposure{Operator: "Alpha GmbH", Jurisdiction: "DE"}
	beta  = Exposure{Operator: "Beta Ltd", Jurisdiction: "NZ"}
)

func TestIndependent(t *testing.T) {
	for name, c := range map[string]struct {
		a, b Exposure
		want bool
	}{
		"other law, other company": {alpha, beta, true},
		"the same node":            {alpha, alpha, false},
		"one law":                  {alpha, Exposure{Operator: "Beta Ltd", Jurisdiction: "DE"}, false},
		"one law in other case":    {alpha, Exposure{Operator: "Beta Ltd", Jurisdiction: "de"}, false},
		"one company":              {alpha, Exposure{Operator: "Alpha GmbH", Jurisdiction: "NZ"}, false},
		"one company, other case":  {alpha, Exposure{Operator: "ALPHA GMBH", Jurisdiction: "NZ"}, false},
		"one company, white space": {alpha, Exposure{Operator: "\t Alpha  GmbH ", Jurisdiction: "NZ"}, false},
		"full case folding": {
			Exposure{Operator: "Straße", Jurisdiction: "DE"}, Exposure{Operator: "STRASSE", Jurisdiction: "NZ"}, false},
		"final sigma": {
			Exposure{Operator: "ΟΔΟΣ", Jurisdiction: "GR"}, Exposure{Operator: "οδος", Jurisdiction: "NZ"}, false},
		"composed and decomposed": {
			Exposure{Operator: "Caf\u00e9", Jurisdiction: "FR"}, Exposure{Operator: "Cafe\u0301", Jurisdiction: "NZ"}, false},
		"full width letters": {
			Exposure{Operator: "Ｂｅｔａ", Jurisdiction: "JP"}, Exposure{Operator: "beta", Jurisdiction: "NZ"}, false},
		"one site": {
			Exposure{Operator: "A", Jurisdiction: "DE", Site: "IS"}, Exposure{Operator: "B", Jurisdiction: "NZ", Site: "IS"}, false},
		"site of one is law of the other": {
			Exposure{Operator: "A", Jurisdiction: "DE", Site: "NZ"}, beta, false},
		"one parent": {
			Exposure{Operator: "A", Parent: "Holding", Jurisdiction: "DE"}, Exposure{Operator: "B", Parent: "HOLDING", Jurisdiction: "NZ"}, false},
		"one provider": {
			Exposure{Operator: "A", Provider: "Disks", Jurisdiction: "DE"}, Exposure{Operator: "B", Provider: "disks", Jurisdiction: "NZ"}, false},
		"parent of one provides for the other": {
			Exposure{Operator: "A", Parent: "Big", Jurisdiction: "DE"}, Exposure{Operator: "B", Provider: "big ", Jurisdiction: "NZ"}, false},
		"operator of one is the parent of the other": {
			alpha, Exposure{Operator: "B", Parent: "alpha gmbh", Jurisdiction: "NZ"}, false},
		"nothing declared beyond the operators": {
			Exposure{Operator: "A", Parent: " ", Jurisdiction: "DE"}, Exposure{Operator: "B", Parent: "", Jurisdiction: "NZ"}, true},
		"no operator":          {Exposure{Jurisdiction: "DE"}, beta, false},
		"operator of spaces":   {Exposure{Operator: " \t", Jurisdiction: "DE"}, beta, false},
		"no jurisdiction":      {Exposure{Operator: "A"}, beta, false},
		"site alone is no law": {Exposure{Operator: "A", Site: "DE"}, beta, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Independent(c.a, c.b); got != c.want {
				t.Errorf("Independent(%+v, %+v) = %v", c.a, c.b, got)
			}
			if got := Independent(c.b, c.a); got != c.want {
				t.Errorf("the other way round: %v", got)
			}
		})
	}
}

func TestSame(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Exposure)
		want   bool
	}{
		"nothing":            {func(*Exposure) {}, true},
		"spelling":           {func(e *Exposure) { e.Operator = " ALPHA gmbh" }, true},
		"operator":           {func(e *Exposure) { e.Operator = "Alpha AG" }, false},
		"jurisdiction":       {func(e *Exposure) { e.Jurisdiction = "AT" }, false},
		"parent named":       {func(e *Exposure) { e.Parent = "Holding" }, false},
		"provider named":     {func(e *Exposure) { e.Provider = "Disks" }, false},
		"site named":         {func(e *Exposure) { e.Site = "AT" }, false},
		"operator as parent": {func(e *Exposure) { e.Parent, e.Operator = e.Operator, "New" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			changed := alpha
			c.change(&changed)
			if got := Same(alpha, changed); got != c.want {
				t.Errorf("Same(%+v, %+v) = %v", alpha, changed, got)
			}
		})
	}
}

func TestSatisfies(t *testing.T) {
	gamma := Exposure{Operator: "Gamma ehf", Jurisdiction: "IS"}
	alphaToo := Exposure{Operator: "alpha gmbh", Jurisdiction: "AT"}
	for name, c := range map[string]struct {
		nodes  []Exposure
		copies int
		want   bool
	}{
		"nobody, nothing wanted":        {nil, 0, true},
		"nobody":                        {nil, 1, false},
		"one alone":                     {[]Exposure{alpha}, 2, false},
		"a pair":                        {[]Exposure{alpha, beta}, 2, true},
		"one node twice":                {[]Exposure{alpha, alpha}, 2, false},
		"two of one company":            {[]Exposure{alpha, alphaToo}, 2, false},
		"a pair among three":            {[]Exposure{alpha, alphaToo, beta}, 2, true},
		"three wanted, two independent": {[]Exposure{alpha, alphaToo, beta}, 3, false},
		"three":                         {[]Exposure{alpha, beta, gamma}, 3, true},
		"the first choice misleads":     {[]Exposure{{Operator: "X", Jurisdiction: "DE", Site: "NZ"}, alpha, beta}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Satisfies(c.nodes, c.copies); got != c.want {
				t.Errorf("Satisfies(%+v, %d) = %v", c.nodes, c.copies, got)
			}
		})
	}
}

// Names, laws and spellings collide often, so that every way to be dependent turns up.
var (
	names     = []string{"Acme", "Big Disks", "Straße", "Ωmega", "Zeta"}
	laws      = []string{"DE", "NZ", "IS", "CH", "UY"}
	spellings = []func(string) string{strings.Clone, strings.ToUpper, strings.ToLower, func(s string) string { return " " + s + "\u00a0" }}
	genName   = rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom(spellings).Draw(t, "spelling")(rapid.SampledFrom(names).Draw(t, "name"))
	})
	genOptName = rapid.OneOf(rapid.Just(""), rapid.Just(""), genName)
	genLaw     = rapid.SampledFrom(laws)
	genOptLaw  = rapid.OneOf(rapid.Just(""), rapid.Just(""), genLaw)
	genOwn     = rapid.Custom(func(t *rapid.T) Exposure {
		return Exposure{
			Operator: genName.Draw(t, "operator"), Parent: genOptName.Draw(t, "parent"), Provider: genOptName.Draw(t, "provider"),
			Jurisdiction: genLaw.Draw(t, "jurisdiction"), Site: genOptLaw.Draw(t, "site"),
		}
	})
)

// plain decides independence a second way, for these names only.
func plain(a, b Exposure) bool {
	number := func(name string) int {
		name = strings.TrimSpace(strings.ReplaceAll(strings.ToLower(name), "ß", "ss"))
		for i, n := range names {
			if strings.ReplaceAll(strings.ToLower(n), "ß", "ss") == name {
				return i
			}
		}
		return -1
	}
	for _, x := range []string{a.Operator, a.Parent, a.Provider} {
		for _, y := range []string{b.Operator, b.Parent, b.Provider} {
			if number(x) >= 0 && number(x) == number(y) {
				return false
			}
		}
	}
	for _, x := range []string{a.Jurisdiction, a.Site} {
		for _, y := range []string{b.Jurisdiction, b.Site} {
			if x != "" && x == y {
				return false
			}
		}
	}
	return true
}

func TestIndependentAgreesWithPlainRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genOwn.Draw(t, "a"), genOwn.Draw(t, "b")
		if got, want := Independent(a, b), plain(a, b); got != want {
			t.Fatalf("Independent = %v, the plain rule says %v", got, want)
		}
		if Independent(a, b) != Independent(b, a) {
			t.Fatal("not symmetric")
		}
		if Independent(a, a) {
			t.Fatal("independent of itself")
		}
	})
}

func TestSatisfiesAgreesWithAllSubsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.SliceOfN(genOwn, 0, 7).Draw(t, "nodes")
		copies := rapid.IntRange(0, 4).Draw(t, "copies")
		want := false
		for set := range 1 << len(nodes) {
			var chosen []Exposure
			for i, n := range nodes {
				if set>>i&1 == 1 {
					chosen = append(chosen, n)
				}
			}
			ok := len(chosen) >= copies
			for i, a := range chosen {
				for _, b := range chosen[:i] {
					ok = ok && plain(a, b)
				}
			}
			want = want || ok
		}
		if got := Satisfies(nodes, copies); got != want {
			t.Fatalf("Satisfies = %v, all subsets say %v", got, want)
		}
	})
}

func FuzzIndependent(f *testing.F) {
	f.Add("Alpha", "ALPHA", "DE", "NZ")
	f.Add("İ", "i̇", "TR", "NZ")
	f.Fuzz(func(t *testing.T, a, b, lawA, lawB string) {
		x, y := Exposure{Operator: a, Jurisdiction: lawA}, Exposure{Operator: b, Jurisdiction: lawB}
		if Independent(x, y) != Independent(y, x) {
			t.Error("not symmetric")
		}
		if Independent(x, x) {
			t.Error("independent of itself")
		}
		if strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) && Independent(x, y) {
			t.Errorf("%q and %q differ in simple case only and are called independent", a, b)
		}
	})
}
