package journal

import (
	"bytes"
	"slices"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

// rebaseVector is what is intended in one or two folders, what came meanwhile,
// and what becomes of it. Operations are as encoded.
type rebaseVector struct {
	golden.Name
	Folders []rebaseFolder `json:"folders"`
	Parents []parentVector `json:"parents,omitempty"` // where folders lie by now
	Notices []noticeVector `json:"notices,omitempty"`
}

type rebaseFolder struct {
	Folder   golden.Hex   `json:"folder"`
	Base     []golden.Hex `json:"base,omitempty"`     // operations, one journal entry
	Newer    []golden.Hex `json:"newer,omitempty"`    // operations, one journal entry each
	Intended []golden.Hex `json:"intended,omitempty"` // operations
	Becomes  []golden.Hex `json:"becomes,omitempty"`  // operations
	Names    []string     `json:"names,omitempty"`    // live names once they are done
}

type parentVector struct {
	Folder golden.Hex `json:"folder"`
	Parent golden.Hex `json:"parent"`
}

type noticeVector struct {
	Folder golden.Hex `json:"folder"`
	Op     golden.Hex `json:"op"`
	Reason string     `json:"reason"`
	Name   string     `json:"name,omitempty"`
}

// scene is one rebase case as it is written here; folders 1 and 2.
type scene struct {
	name                  string
	base, newer, intended [2][]Operation
	parents               map[int]int
}

func scenes(t *testing.T) []scene {
	one := func(ops ...Operation) [2][]Operation { return [2][]Operation{ops, nil} }
	two := func(a, b []Operation) [2][]Operation { return [2][]Operation{a, b} }
	file := one(put(1, "a.txt", 1))
	versions := one(put(1, "a", 1), put(1, "a", 2), put(1, "a", 3))
	touched := fileOf("a.txt", 1)
	touched.Executable = true
	trash := one(put(1, "a.txt", 1), RemoveOn(entryID(1), 5))
	gone := []Operation{RemoveOn(entryID(1), 6), PurgeEntry(entryID(1))}
	at := placeOf(folderID(1), 1)
	folder := PutFolder(entryID(4), folderOf("d"), fixedChild(t, at, placeOf(folderID(3), 1), true))
	move := func(name string, revision int) [2][]Operation {
		d := fileOf(name, revision)
		out, in := Move(&Entry{ID: entryID(1), Descriptor: &d}, folderID(1), folderID(2), name, nil)
		return two([]Operation{out}, []Operation{in})
	}
	elsewhere := Operation{What: OpMoveOut, Entry: ptr(entryID(1)), Folder: ptr(folderID(8))}
	child := fixedChild(t, placeOf(folderID(2), 1), placeOf(folderID(3), 1), true)
	child.AdminFolder, child.SealedAdmin = folderID(1), fixedChild(t, at, placeOf(folderID(3), 1), true).SealedAdmin
	d := folderOf("d")
	outFolder, inFolder := Move(&Entry{ID: entryID(4), Descriptor: &d}, folderID(1), folderID(2), "d", &child)
	return []scene{
		{name: "nothing came meanwhile", base: file, intended: one(put(2, "b", 2), RenameTo(entryID(1), "c"))},
		{name: "put, put of one name", newer: one(put(1, "a.txt", 1)), intended: one(put(2, "a.txt", 2))},
		{name: "put, put of names that differ by case", newer: one(put(1, "A.TXT", 1)), intended: one(put(2, "a.txt", 2))},
		{name: "put, put of names that differ by composition", newer: one(put(1, "\u00e9", 1)), intended: one(put(2, "e\u0301", 2))},
		{name: "put of a name whose number is taken too", newer: one(put(1, "a.txt", 1), put(3, "a (2).txt", 3)), intended: one(put(2, "a.txt", 2))},
		{name: "put, put of a folder", newer: one(put(1, "d", 1)), intended: one(folder)},
		{name: "put of a version, put of a version", base: file, newer: one(put(1, "a.txt", 2)), intended: one(put(1, "a.txt", 3))},
		{name: "put of a version, rename", base: file, newer: one(RenameTo(entryID(1), "b.txt")), intended: one(put(1, "a.txt", 2))},
		{name: "put of a version, remove", base: file, newer: one(RemoveOn(entryID(1), 6)), intended: one(put(1, "a.txt", 2))},
		{name: "put of a version, remove, and the name is taken", base: file, newer: one(RemoveOn(entryID(1), 6), put(2, "a.txt", 5)), intended: one(put(1, "a.txt", 2))},
		{name: "put of a version, purge", base: file, newer: one(gone...), intended: one(put(1, "a.txt", 2))},
		{name: "put of a version, move", base: file, newer: one(elsewhere), intended: one(put(1, "a.txt", 2))},
		{name: "attributes, put of a version", base: file, newer: one(put(1, "a.txt", 2)), intended: one(PutFile(entryID(1), touched))},
		{name: "attributes, rename", base: file, newer: one(RenameTo(entryID(1), "b")), intended: one(PutFile(entryID(1), touched))},
		{name: "attributes, purge", base: file, newer: one(gone...), intended: one(PutFile(entryID(1), touched))},
		{name: "older version back, forgotten", base: versions, newer: one(ForgetVersion(entryID(1), revisionID(1))), intended: one(put(1, "a", 1))},
		{name: "rename, rename", base: file, newer: one(RenameTo(entryID(1), "b")), intended: one(RenameTo(entryID(1), "c"))},
		{name: "rename, the same rename", base: file, newer: one(RenameTo(entryID(1), "b")), intended: one(RenameTo(entryID(1), "b"))},
		{name: "rename, put of that name", base: file, newer: one(put(2, "b", 2)), intended: one(RenameTo(entryID(1), "b"))},
		{name: "rename that changes case only", base: file, newer: one(put(2, "b", 2)), intended: one(RenameTo(entryID(1), "A.txt"))},
		{name: "rename, remove", base: file, newer: one(RemoveOn(entryID(1), 6)), intended: one(RenameTo(entryID(1), "b"))},
		{name: "rename, purge", base: file, newer: one(gone...), intended: one(RenameTo(entryID(1), "b"))},
		{name: "remove, rename", base: file, newer: one(RenameTo(entryID(1), "b")), intended: one(RemoveOn(entryID(1), 7))},
		{name: "remove, put of a version", base: file, newer: one(put(1, "a.txt", 2)), intended: one(RemoveOn(entryID(1), 7))},
		{name: "remove, remove", base: file, newer: one(RemoveOn(entryID(1), 6)), intended: one(RemoveOn(entryID(1), 7))},
		{name: "remove and purge, put of a version", base: file, newer: one(put(1, "a.txt", 2)), intended: one(RemoveOn(entryID(1), 7), PurgeEntry(entryID(1)))},
		{name: "restore, restore", base: trash, newer: one(RestoreAs(entryID(1), "b")), intended: one(RestoreAs(entryID(1), "a.txt"))},
		{name: "restore, put of that name", base: trash, newer: one(put(2, "a.txt", 2)), intended: one(RestoreAs(entryID(1), "a.txt"))},
		{name: "restore, purge", base: trash, newer: one(PurgeEntry(entryID(1))), intended: one(RestoreAs(entryID(1), "a.txt"))},
		{name: "purge, restore", base: trash, newer: one(RestoreAs(entryID(1), "b")), intended: one(PurgeEntry(entryID(1)))},
		{name: "forget, forget", base: versions, newer: one(ForgetVersion(entryID(1), revisionID(1))), intended: one(ForgetVersion(entryID(1), revisionID(1)))},
		{name: "move, rename", base: file, newer: one(RenameTo(entryID(1), "b.txt")), intended: move("a.txt", 1)},
		{name: "move under another name, rename", base: file, newer: one(RenameTo(entryID(1), "b.txt")), intended: move("c.txt", 1)},
		{name: "move, put of a version", base: file, newer: one(put(1, "a.txt", 2)), intended: move("a.txt", 1)},
		{name: "move, remove", base: file, newer: one(RemoveOn(entryID(1), 6)), intended: move("a.txt", 1)},
		{name: "move, move", base: file, newer: one(elsewhere), intended: move("a.txt", 1)},
		{name: "move, name taken there", base: file, newer: two(nil, []Operation{put(2, "A.txt", 2)}), intended: move("a.txt", 1)},
		{name: "move of a folder", base: one(folder), newer: two(nil, []Operation{put(2, "d", 2)}), intended: two([]Operation{outFolder}, []Operation{inFolder})},
		{name: "move of a folder below itself", base: one(folder), intended: two([]Operation{outFolder}, []Operation{inFolder}), parents: map[int]int{2: 5, 5: 3}},
		{name: "head, a later head", newer: one(HeadOf(Head{Folder: folderID(7), Seq: 3})), intended: one(HeadOf(Head{Folder: folderID(7), Seq: 2}))},
		{name: "head, an earlier head", newer: one(HeadOf(Head{Folder: folderID(7), Seq: 1})), intended: one(HeadOf(Head{Folder: folderID(7), Seq: 2}))},
		{name: "several, one of which is void", base: file, newer: one(gone...), intended: one(put(2, "b", 2), RenameTo(entryID(1), "c"), put(3, "c", 3))},
	}
}

func encodedOps(ops []Operation) []golden.Hex {
	var out []golden.Hex
	for _, op := range ops {
		out = append(out, wire.Marshal(op))
	}
	return out
}

func decodedOps(t *testing.T, encoded []golden.Hex) []Operation {
	var out []Operation
	for _, b := range encoded {
		var op Operation
		r := wire.NewReader(b, MaxEntry, true)
		readOperation(r, &op, new(id.Entry))
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
		out = append(out, op)
	}
	return out
}

func (c scene) vector() rebaseVector {
	v := rebaseVector{Name: golden.Name{Name: c.name}}
	for i := range 2 {
		folder := folderID(i + 1)
		f := rebaseFolder{Folder: folder[:], Base: encodedOps(c.base[i]), Newer: encodedOps(c.newer[i]), Intended: encodedOps(c.intended[i])}
		v.Folders = append(v.Folders, f)
	}
	for at := range 10 {
		if above, ok := c.parents[at]; ok {
			folder, parent := folderID(at), folderID(above)
			v.Parents = append(v.Parents, parentVector{folder[:], parent[:]})
		}
	}
	return v
}

// outcome rebases what v intends.
func (v rebaseVector) outcome(t *testing.T) rebaseVector {
	states := map[id.Folder]*State{}
	var intents []Intent
	for i, f := range v.Folders {
		b := newBook(t, i+1)
		if f.Base != nil {
			b.do(decodedOps(t, f.Base)...)
		}
		in := b.state.intent(decodedOps(t, f.Intended))
		for _, op := range decodedOps(t, f.Newer) {
			b.do(op)
		}
		states[b.folder] = b.state
		intents = append(intents, in)
	}
	parent := func(at id.Folder) (id.Folder, bool) {
		for _, p := range v.Parents {
			if bytes.Equal(p.Folder, at[:]) {
				return id.Folder(p.Parent), true
			}
		}
		return id.Folder{}, false
	}
	out, notices, err := Rebase(intents, World{State: func(f id.Folder) *State { return states[f] }, Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	v.Folders = slices.Clone(v.Folders)
	v.Notices = nil
	for i := range out {
		v.Folders[i].Becomes, v.Folders[i].Names = encodedOps(out[i].Ops), nil
		s := states[out[i].Folder]
		if len(out[i].Ops) > 0 {
			raw, err := s.Write(Pen{Keys: keysFor(out[i].Folder, 1)}, out[i].Ops...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(raw, NewOpener(1, keysFor(out[i].Folder, 1).Read)); err != nil {
				t.Fatal(err)
			}
		}
		v.Folders[i].Names = names(s)
	}
	for _, n := range notices {
		v.Notices = append(v.Notices, noticeVector{Folder: n.Folder[:], Op: wire.Marshal(n.Op), Reason: string(n.Reason), Name: n.Name})
	}
	return v
}

func TestRebaseVectors(t *testing.T) {
	var cases []rebaseVector
	for _, c := range scenes(t) {
		cases = append(cases, c.vector().outcome(t))
	}
	for _, c := range golden.Sync(t, "journal-rebase.json", "rebase (docs/format.md, sections 22 and 23; fields in docs/vectors.md)", cases) {
		t.Run(c.CaseName(), func(t *testing.T) {
			again := c.outcome(t)
			for i := range c.Folders {
				a, b := again.Folders[i], c.Folders[i]
				if !equalOps(a.Becomes, b.Becomes) || len(a.Names) != len(b.Names) {
					t.Fatalf("folder %d becomes %s, names %q", i, shown(decodedOps(t, a.Becomes)), a.Names)
				}
			}
			if len(again.Notices) != len(c.Notices) {
				t.Fatalf("%d notices", len(again.Notices))
			}
		})
	}
}

func equalOps(a, b []golden.Hex) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// TestRebaseOutcomes says in words what the vectors hold.
func TestRebaseOutcomes(t *testing.T) {
	want := map[string]struct {
		names  [2][]string
		reason []Reason
	}{
		"nothing came meanwhile":                          {names: [2][]string{{"b", "c"}}},
		"put, put of one name":                            {[2][]string{{"a (2).txt", "a.txt"}}, []Reason{Numbered}},
		"put, put of names that differ by case":           {[2][]string{{"A.TXT", "a (2).txt"}}, []Reason{Numbered}},
		"put, put of names that differ by composition":    {[2][]string{{"e\u0301 (2)", "\u00e9"}}, []Reason{Numbered}},
		"put of a name whose number is taken too":         {[2][]string{{"a (2).txt", "a (3).txt", "a.txt"}}, []Reason{Numbered}},
		"put, put of a folder":                            {[2][]string{{"d", "d (2)"}}, []Reason{Numbered}},
		"put of a version, put of a version":              {[2][]string{{"a.txt"}}, []Reason{Merged}},
		"put of a version, rename":                        {[2][]string{{"b.txt"}}, nil},
		"put of a version, remove":                        {[2][]string{{"a.txt"}}, []Reason{Revived}},
		"put of a version, remove, and the name is taken": {[2][]string{{"a (2).txt", "a.txt"}}, []Reason{Numbered, Revived}},
		"put of a version, purge":                         {[2][]string{{"a.txt"}}, []Reason{Again}},
		"put of a version, move":                          {[2][]string{{"a.txt"}}, []Reason{Again}},
		"attributes, put of a version":                    {[2][]string{{"a.txt"}}, []Reason{Changed}},
		"attributes, rename":                              {[2][]string{{"b"}}, nil},
		"attributes, purge":                               {[2][]string{nil}, []Reason{Gone}},
		"older version back, forgotten":                   {[2][]string{{"a"}}, []Reason{Gone}},
		"rename, rename":                                  {[2][]string{{"c"}}, nil},
		"rename, the same rename":                         {[2][]string{{"b"}}, []Reason{Done}},
		"rename, put of that name":                        {[2][]string{{"b", "b (2)"}}, []Reason{Numbered}},
		"rename that changes case only":                   {[2][]string{{"A.txt", "b"}}, nil},
		"rename, remove":                                  {[2][]string{nil}, nil},
		"rename, purge":                                   {[2][]string{nil}, []Reason{Gone}},
		"remove, rename":                                  {[2][]string{nil}, nil},
		"remove, put of a version":                        {[2][]string{{"a.txt"}}, []Reason{Changed}},
		"remove, remove":                                  {[2][]string{nil}, []Reason{Done}},
		"remove and purge, put of a version":              {[2][]string{{"a.txt"}}, []Reason{Changed, Changed}},
		"restore, restore":                                {[2][]string{{"b"}}, []Reason{Done}},
		"restore, put of that name":                       {[2][]string{{"a (2).txt", "a.txt"}}, []Reason{Numbered}},
		"restore, purge":                                  {[2][]string{nil}, []Reason{Gone}},
		"purge, restore":                                  {[2][]string{{"b"}}, []Reason{Changed}},
		"forget, forget":                                  {[2][]string{{"a"}}, []Reason{Gone}},
		"move, rename":                                    {[2][]string{nil, {"b.txt"}}, nil},
		"move under another name, rename":                 {[2][]string{nil, {"c.txt"}}, nil},
		"move, put of a version":                          {[2][]string{nil, {"a.txt"}}, nil},
		"move, remove":                                    {[2][]string{nil, nil}, []Reason{Gone, Gone}},
		"move, move":                                      {[2][]string{nil, nil}, []Reason{Gone, Gone}},
		"move, name taken there":                          {[2][]string{nil, {"A.txt", "a (2).txt"}}, []Reason{Numbered}},
		"move of a folder":                                {[2][]string{nil, {"d", "d (2)"}}, []Reason{Numbered}},
		"move of a folder below itself":                   {[2][]string{{"d"}, nil}, []Reason{Circle, Circle}},
		"head, a later head":                              {[2][]string{nil}, []Reason{Stale}},
		"head, an earlier head":                           {[2][]string{nil}, nil},
		"several, one of which is void":                   {[2][]string{{"b", "c"}}, []Reason{Gone}},
	}
	for _, c := range scenes(t) {
		t.Run(c.name, func(t *testing.T) {
			w, ok := want[c.name]
			if !ok {
				t.Fatal("nothing is said of it")
			}
			v := c.vector().outcome(t)
			for i := range 2 {
				if len(v.Folders[i].Names) != len(w.names[i]) {
					t.Fatalf("names %q, want %q", v.Folders[i].Names, w.names[i])
				}
				for j := range w.names[i] {
					if v.Folders[i].Names[j] != w.names[i][j] {
						t.Fatalf("names %q, want %q", v.Folders[i].Names, w.names[i])
					}
				}
			}
			if len(v.Notices) != len(w.reason) {
				t.Fatalf("notices %+v, want %v", v.Notices, w.reason)
			}
			for j := range w.reason {
				if v.Notices[j].Reason != string(w.reason[j]) {
					t.Fatalf("notices %+v, want %v", v.Notices, w.reason)
				}
			}
		})
	}
}
