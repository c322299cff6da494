package descriptor

import "holdfast/format/wire"

// Read takes the next value of r for a descriptor, which it checks: what Decode
// takes, and nothing else. A fault is r's to tell.
func Read(r *wire.Reader) *Descriptor {
	in := &room{}
	d := &in.descriptor
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			d.Path = r.Text()
		case 2:
			d.Kind = Kind(r.Int())
		case 3:
			d.Content = &in.content
			readContent(r, d.Content)
		case 4:
			d.MediaType = mediaType(r.TextBytes())
		case 5:
			in.seconds = r.Int()
			d.ModTime = &in.seconds
		case 6:
			d.ModNanos = readNanos(r)
		case 7:
			d.Executable = r.True()
		case 8:
			d.Versions = readVersions(r)
		case 9:
			d.Thumbnail = &Content{}
			readContent(r, d.Thumbnail)
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

// room is what most files take, in one piece: of the journal of a large folder a
// million are read.
type room struct {
	descriptor Descriptor
	content    Content
	seconds    int64
}

// common are media types of which many files have one.
var common = func() map[string]string {
	types := map[string]string{}
	for _, t := range []string{
		"application/octet-stream", "application/pdf", "application/zip", "audio/mpeg", "image/gif", "image/heic",
		"image/jpeg", "image/png", "image/webp", "text/html", "text/plain", "video/mp4", "video/quicktime",
	} {
		types[t] = t
	}
	return types
}()

func mediaType(b []byte) string {
	if t, ok := common[string(b)]; ok { // makes no string
		return t
	}
	return string(b)
}

func readContent(r *wire.Reader, c *Content) {
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
			readContent(r, &v.Content)
		case 2:
			seconds := r.Int()
			v.ModTime = &seconds
		case 3:
			v.ModNanos = readNanos(r)
		default:
			m.Unknown()
		}
	}
	m.Need(1 << 1)
	return v
}

// readNanos refuses 0, which is left out instead.
func readNanos(r *wire.Reader) int64 {
	n := r.Uint()
	if n == 0 {
		r.Fail("nanoseconds of 0 are left out")
	}
	return n
}
