package descriptor

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const windows = "windows"

// substitute stands for every character that cannot be kept.
const substitute = '_'

// reserved are the characters that Windows allows in no name: separators, the
// colon of drives and of streams, wildcards, quotes and pipes.
const reserved = `<>:"/\|?*`

// LocalPath is the relative path below a target folder at which an entry with
// that path is written on the operating system goos (runtime.GOOS). It is
// separated by slashes, of one component or more, none of which is empty, "."
// or "..", longer than MaxName bytes, or holds NUL, a control character, or one
// that changes the direction of text. On Windows it also avoids reserved
// characters, names of devices, names that look like generated short names, and
// dots and spaces at the end, all of which mean other files there. It is total:
// any text whatever has a path, and never one outside the folder.
//
// Two paths may come to one; Planner keeps them apart.
func LocalPath(path, goos string) string {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" {
			names = append(names, localName(name, goos))
		}
	}
	if names == nil {
		return string(substitute)
	}
	return strings.Join(names, "/")
}

// localName is LocalPath for a single component that is not empty.
func localName(name, goos string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || turns(r) || r == '/' || goos == windows && strings.ContainsRune(reserved, r) {
			return substitute
		}
		return r
	}, strings.ToValidUTF8(name, string(substitute)))
	if name == "." || name == ".." {
		name = strings.ReplaceAll(name, ".", string(substitute))
	}
	if goos == windows {
		return windowsName(name)
	}
	return fit(name, "", MaxName)
}

// shortName is what Windows may generate for another file beside this one, such
// as PROGRA~1.TXT.
var shortName = regexp.MustCompile(`^[^.]{1,6}~[0-9]{1,6}(\.[^.]{0,3})?$`)

// windowsName mends the end of a name last, because shortening it may bring a
// dot or space there.
func windowsName(name string) string {
	if isDevice(name) {
		name = string(substitute) + name
	}
	name = fit(name, "", MaxName)
	kept := strings.TrimRight(name, ". ")
	name = kept + strings.Repeat(string(substitute), len(name)-len(kept))
	if shortName.MatchString(name) {
		name = strings.ReplaceAll(name, "~", string(substitute))
	}
	return name
}

// isDevice tells whether Windows takes name for a device: it looks at what
// stands before the first dot, and not at case or spaces around it.
func isDevice(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.ToUpper(strings.Trim(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	port, number := strings.TrimPrefix(stem, "COM"), strings.TrimPrefix(stem, "LPT")
	if port == stem {
		port = number
	}
	if port == stem {
		return false
	}
	r, size := utf8.DecodeRuneInString(port)
	return size == len(port) && (r >= '0' && r <= '9' || r == '\u00b9' || r == '\u00b2' || r == '\u00b3')
}

// maxExtension is how many bytes at the end of a name, dot included, are kept
// as its extension when the name is shortened or numbered.
const maxExtension = 16

// splitName parts a name into stem and extension. A dot at the beginning begins no
// extension.
func splitName(name string) (stem, extension string) {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || len(name)-dot > maxExtension {
		return name, ""
	}
	return name[:dot], name[dot:]
}

// fit joins the name's stem, suffix and the name's extension, and cuts the stem
// between two characters so that all is at most most bytes.
func fit(name, suffix string, most int) string {
	stem, extension := splitName(name)
	room := most - len(suffix) - len(extension)
	for len(stem) > room {
		_, size := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-size]
	}
	return stem + suffix + extension
}
