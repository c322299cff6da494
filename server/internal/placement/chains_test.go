package placement

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"holdfast/format/id"

	"pgregory.net/rapid"
)

const gib = 1 << 30

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func nodeNumber(i int) id.Node { return id.Node{byte(i >> 8), byte(i), 1} }

// fleet makes candidates of one law and company each, with that much room.
func fleet(free ...int64) []Candidate {
	all := make([]Candidate, len(free))
	for i, f := range free {
		all[i] = Candidate{nodeNumber(i), Exposure{Operator: string(rune('a' + i)), Jurisdiction: string([]rune{'A', rune('A' + i)})}, f}
	}
	return all
}

func TestChainsRefuse(t *testing.T) {
	oneLaw := fleet(gib, gib)
	oneLaw[1].Jurisdiction = oneLaw[0].Jurisdiction
	oneCompany := fleet(gib, gib)
	oneCompany[1].Operator = "A "
	twice := fleet(gib)
	twice = append(twice, twice[0])
	for name, c := range map[string]struct {
		nodes []Candidate
		bytes int64
	}{
		"nobody":                  {nil, 0},
		"one node":                {fleet(gib), 0},
		"one node listed twice":   {twice, 0},
		"two under one law":       {oneLaw, 0},
		"two of one company":      {oneCompany, 0},
		"room at one only":        {fleet(gib, gib-1), gib},
		"room for less than one":  {fleet(1<<20, 1<<20), 0},
		"no room at all":          {fleet(0, 0), 0},
		"more used than capacity": {fleet(-5, -5, -5), 0},
	} {
		t.Run(name, func(t *testing.T) {
			chains, err := Chains(c.nodes, c.bytes, Default, seeded(1))
			if !errors.Is(err, ErrNoPlacement) || chains != nil {
				t.Errorf("got %v, %v", chains, err)
			}
		})
	}
}

func TestChainsOfSmallFleets(t *testing.T) {
	for name, c := range map[string]struct {
		nodes            []Candidate
		chains, shortest int
	}{
		"two nodes: both ways":     {fleet(gib, gib), 2, 2},
		"three nodes: each first":  {fleet(gib, gib, gib), 3, 3},
		"five nodes: four of four": {fleet(gib, gib, gib, gib, gib), 4, 4},
	} {
		t.Run(name, func(t *testing.T) {
			chains, err := Chains(c.nodes, 0, Default, seeded(7))
			if err != nil || len(chains) != c.chains {
				t.Fatalf("%d chains, %v", len(chains), err)
			}
			heads := map[id.Node]bool{}
			for _, chain := range chains {
				if len(chain) < c.shortest {
					t.Errorf("chain of %d nodes", len(chain))
				}
				if heads[chain[0]] {
					t.Errorf("two chains begin with %s", chain[0])
				}
				heads[chain[0]] = true
			}
		})
	}
}

// A node that is dependent on all others but one must not shorten the chains
// that leave it out.
func TestChainsPreferSpares(t *testing.T) {
	nodes := fleet(gib, gib, gib, 100*gib)
	nodes[3].Site, nodes[3].Parent = nodes[1].Jurisdiction, nodes[2].Operator
	for seed := range uint64(50) {
		chains, err := Chains(nodes, 0, Default, seeded(seed))
		if err != nil {
			t.Fatal(err)
		}
		for _, chain := range chains {
			if chain[0] != nodeNumber(3) && len(chain) != 3 {
				t.Fatalf("seed %d: %v has no spare", seed, chain)
			}
		}
	}
}

func TestLoadFollowsFreeBytes(t *testing.T) {
	nodes := fleet(100*gib, 100*gib, 800*gib, 100*gib, 100*gib)
	firsts := map[id.Node]int{}
	const rounds = 2000
	for seed := range uint64(rounds) {
		chains, err := Chains(nodes, gib, Default, seeded(seed))
		if err != nil {
			t.Fatal(err)
		}
		firsts[chains[0][0]]++
	}
	// Two thirds are expected for the large node, a twelfth for each other.
	if got := firsts[nodeNumber(2)]; got < rounds*6/10 || got > rounds*73/100 {
		t.Errorf("the large node is first in %d of %d", got, rounds)
	}
	for _, i := range []int{0, 1, 3, 4} {
		if got := firsts[nodeNumber(i)]; got < rounds*5/100 || got > rounds*12/100 {
			t.Errorf("node %d is first in %d of %d", i, got, rounds)
		}
	}
}

func TestSecondsAreSpread(t *testing.T) {
	nodes := fleet(gib, gib, gib, gib, gib, gib, gib, gib)
	distinct := 0
	const rounds = 500
	for seed := range uint64(rounds) {
		chains, err := Chains(nodes, 0, Default, seeded(seed))
		if err != nil {
			t.Fatal(err)
		}
		seconds := map[id.Node]bool{}
		for _, chain := range chains {
			seconds[chain[1]] = true
		}
		distinct += len(seconds)
	}
	// Drawn without regard to what a node does already, they would be 3.3 of four.
	if distinct < rounds*34/10 {
		t.Errorf("the second nodes of %d times four chains are %d", rounds, distinct)
	}
}

var genCandidates = rapid.Custom(func(t *rapid.T) []Candidate {
	own := rapid.SliceOfN(genOwn, 0, 12).Draw(t, "exposures")
	all := make([]Candidate, len(own))
	for i, e := range own {
		all[i] = Candidate{nodeNumber(rapid.IntRange(0, 15).Draw(t, "id")), e, rapid.Int64Range(-gib, 64*gib).Draw(t, "free")}
	}
	// One declaration a node: where an id comes twice it is the same node.
	for i := range all {
		for _, before := range all[:i] {
			if before.Node == all[i].Node {
				all[i] = before
			}
		}
	}
	return all
})

// TestChainsHold: whatever the nodes are, no chain has two members that depend
// on each other, none lacks room, and chains are made whenever a pair exists.
func TestChainsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := genCandidates.Draw(t, "nodes")
		bytes := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 64*gib)).Draw(t, "bytes")
		seed := rapid.Uint64().Draw(t, "seed")
		policy := Policy{Copies: rapid.IntRange(1, 3).Draw(t, "copies"), MaxLength: rapid.IntRange(3, 5).Draw(t, "length"), MaxChains: rapid.IntRange(1, 8).Draw(t, "chains"), MinFree: 8 << 20}
		chains, err := Chains(nodes, bytes, policy, seeded(seed))
		checkAnswer(t, nodes, bytes, policy, chains, err)

		shuffled := slices.Clone(nodes)
		seeded(seed).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, _ := Chains(shuffled, bytes, policy, seeded(seed))
		if !slices.EqualFunc(chains, again, slices.Equal) {
			t.Fatalf("another order of the same nodes: %v, then %v", chains, again)
		}
	})
}

func checkAnswer(t *rapid.T, nodes []Candidate, bytes int64, p Policy, chains []Chain, err error) {
	byID := map[id.Node]Candidate{}
	var roomyOnes []Exposure
	for _, n := range nodes {
		if _, known := byID[n.Node]; !known && n.Free >= max(bytes, p.MinFree) {
			roomyOnes = append(roomyOnes, n.Exposure)
		}
		byID[n.Node] = n
	}
	if err != nil {
		// With two copies every independent pair must be found. Beyond that the
		// search is greedy and looks one member ahead, so that it finds all triples.
		if !errors.Is(err, ErrNoPlacement) || Satisfies(roomyOnes, p.Copies) {
			t.Fatalf("%v, although there are %d copies", err, p.Copies)
		}
		return
	}
	if len(chains) == 0 || len(chains) > p.MaxChains {
		t.Fatalf("%d chains", len(chains))
	}
	heads := map[id.Node]bool{}
	for _, chain := range chains {
		checkChain(t, chain, byID, bytes, p)
		if heads[chain[0]] {
			t.Fatalf("two chains begin with %s", chain[0])
		}
		heads[chain[0]] = true
	}
}

func checkChain(t *rapid.T, chain Chain, byID map[id.Node]Candidate, bytes int64, p Policy) {
	if len(chain) < p.Copies || len(chain) > p.MaxLength {
		t.Fatalf("chain of %d", len(chain))
	}
	for i, a := range chain {
		n, known := byID[a]
		if !known || n.Free < bytes || n.Free < p.MinFree {
			t.Fatalf("%s is no candidate with room", a)
		}
		for _, b := range chain[:i] {
			if a == b || !plain(n.Exposure, byID[b].Exposure) {
				t.Fatalf("%+v and %+v in one chain", n, byID[b])
			}
		}
	}
}

// TestRoomIsWhatChainsPlace: the greatest upload that is promised is placed, one
// byte more is not.
func TestRoomIsWhatChainsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := genCandidates.Draw(t, "nodes")
		room := Room(nodes, Default)
		if _, err := Chains(nodes, room, Default, seeded(3)); (err == nil) != (room > 0) {
			t.Fatalf("room %d: %v", room, err)
		}
		if _, err := Chains(nodes, room+1, Default, seeded(3)); err == nil && room >= Default.MinFree {
			t.Fatalf("placed %d, one byte more than the room", room+1)
		}
	})
}

func BenchmarkChains(b *testing.B) {
	var nodes []Candidate
	for i := range 1000 {
		nodes = append(nodes, Candidate{nodeNumber(i), Exposure{Operator: names[i%5] + string(rune('a'+i%26)), Jurisdiction: laws[i%2]}, gib})
	}
	for b.Loop() {
		if _, err := Chains(nodes, 0, Default, seeded(1)); err != nil {
			b.Fatal(err)
		}
	}
}
