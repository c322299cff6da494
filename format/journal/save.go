package journal

// Saved is a state as a device keeps it for itself. It is not sealed: whoever keeps it
// sees to it that nobody reads or changes it.
type Saved struct {
	Head  Head
	Epoch int64
	Tail  int      // operations since the last checkpoint
	Pages [][]byte // as those of a checkpoint (docs/format.md §24), not sealed
}

// Save is the state for Restore.
func (s *State) Save() Saved {
	return Saved{Head: s.Head(), Epoch: s.chain.Epoch, Tail: s.tail, Pages: s.plainPages()}
}

// Restore is the state that was saved. It believes the pages, of which the caller knows
// that they are those that Save gave; what is no state all the same is a BadCheckpoint.
// The journal is still to lead to the anchor: Settled tells, once the newest entries
// were applied.
func Restore(anchor Anchor, saved Saved) (*State, error) {
	l := loader{head: saved.Head, epoch: saved.Epoch, state: Begin(anchor), room: maxStates}
	if anchor.Folder != saved.Head.Folder {
		return nil, alarm(anchor.Folder, BadCheckpoint, 0, wrong("it is of folder %s", saved.Head.Folder))
	}
	for i, page := range saved.Pages {
		if err := l.plain(page, i); err != nil {
			return nil, alarm(anchor.Folder, BadCheckpoint, saved.Head.Seq, err)
		}
	}
	if err := l.finish(); err != nil {
		return nil, alarm(anchor.Folder, BadCheckpoint, saved.Head.Seq, err)
	}
	l.state.tail = saved.Tail
	return l.state, nil
}
