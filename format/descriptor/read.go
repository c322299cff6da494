package descriptor

import "holdfast/format/wire"

// Read takes the next value of r for a descriptor, which it checks: what Decode
// takes, and nothing else. A fault is r's to tell.
func Read(r *wire.Reader) *Descriptor {
	d := &Descriptor{}
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			d.Path = r.Text()
		case 2:
			d.Kind = Kind(r.Int())
		case 3:
			d.Content = readContent(r)
		case 4:
			d.MediaType = r.Text()
		case 5:
			d.ModTime = readTime(r)
		case 6:
			d.ModNanos = readNanos(r)
		case 7:
			d.Executable = r.True()
		case 8:
			d.Versions = readVersions(r)
		case 9:
			d.Thumbnail = readContent(r)
		default:
			m.Unknown()
		}
	}
	m.Need(1<<1 | 1<<2)
	if r.OK() {
		r.Note(d.Check())
	}
	return d
}

func readContent(r *wire.Reader) *Content {
	c := &Content{}
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			r.Fixed(c.File[:])
		case 2:
			r.Fixed(c.Revision[:])
		case 3:
			r.Fixed(c.Key[:])
		case 4:
			r.Fixed(c.Commitment[:])
		case 5:
			r.Fixed(c.Root[:])
		case 6:
			c.Size = r.Int()
		default:
			m.Unknown()
		}
	}
	m.Need(1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6)
	return c
}

func readVersions(r *wire.Reader) []Version {
	versions := make([]Version, 0, r.Array(MaxVersions))
	for range cap(versions) {
		versions = append(versions, readVersion(r))
	}
	r.Leave()
	return versions
}

func readVersion(r *wire.Reader) Version {
	var v Version
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			v.Content = *readContent(r)
		case 2:
			v.ModTime = readTime(r)
		case 3:
			v.ModNanos = readNanos(r)
		default:
			m.Unknown()
		}
	}
	m.Need(1 << 1)
	return v
}

func readTime(r *wire.Reader) *int64 {
	t := r.Int()
	return &t
}

// readNanos refuses 0, which is left out instead.
func readNanos(r *wire.Reader) int64 {
	n := r.Uint()
	if n == 0 {
		r.Fail("nanoseconds of 0 are left out")
	}
	return n
}
