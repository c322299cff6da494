package drive

import "fmt"

// effect is what several entries of one folder do together to what it holds: revisions,
// or folders.
type effect[T comparable] struct {
	steps map[T]step
	order []T // in which they came, for a fixed sequence of work
}

// step is the first and the last that was done to one of them.
type step struct{ firstAdds, lastAdds bool }

// note takes the lists of one entry: ErrEntry if one is added twice, or dropped twice.
func (e *effect[T]) note(added, dropped []T) error {
	if e.steps == nil {
		e.steps = map[T]step{}
	}
	before := len(e.order)
	for i, v := range append(append(make([]T, 0, len(added)+len(dropped)), added...), dropped...) {
		adds := i < len(added)
		s, seen := e.steps[v]
		if seen && s.lastAdds == adds {
			return fmt.Errorf("%w: %v is added or dropped twice", ErrEntry, v)
		}
		if !seen {
			s.firstAdds = adds
			e.order = append(e.order, v)
		}
		s.lastAdds = adds
		e.steps[v] = s
	}
	// An entry says what is held after it and was not before, or the other way about:
	// nothing can be both.
	for _, v := range e.order[before:] {
		if s := e.steps[v]; s.firstAdds != s.lastAdds {
			return fmt.Errorf("%w: %v is added and dropped at once", ErrEntry, v)
		}
	}
	return nil
}

// pick lists what was first and last done so.
func (e *effect[T]) pick(want func(step) bool) []T {
	var out []T
	for _, v := range e.order {
		if want(e.steps[v]) {
			out = append(out, v)
		}
	}
	return out
}

// added were not held before, ended are not held after, kept are held before and after.
func (e *effect[T]) added() []T { return e.pick(func(s step) bool { return s.firstAdds }) }
func (e *effect[T]) ended() []T { return e.pick(func(s step) bool { return !s.lastAdds }) }
func (e *effect[T]) kept() []T {
	return e.pick(func(s step) bool { return !s.firstAdds && s.lastAdds })
}
func (e *effect[T]) held() []T { return e.pick(func(s step) bool { return !s.firstAdds }) }
