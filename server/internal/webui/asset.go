package webui

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// asset is a file of the build.
type asset struct {
	name string // path in the build
	variant
	hashed bool // its name changes with its content
}

// variant is a body in the encodings that there are.
type variant struct {
	kind  string // media type
	plain []byte
	// gzip and brotli are nil where there is none.
	gzip, brotli []byte
	tag          string
}

// kinds are media types by extension. The list is ours, because what a system
// has differs, and a wrong type with nosniff is a page that does not run.
var kinds = map[string]string{
	".html":        "text/html; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".css":         "text/css; charset=utf-8",
	".json":        "application/json",
	".webmanifest": "application/manifest+json",
	".wasm":        "application/wasm",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".ico":         "image/x-icon",
	".webp":        "image/webp",
	".woff2":       "font/woff2",
	".txt":         "text/plain; charset=utf-8",
}

// hashedName is how the build names what it may be kept for ever.
var hashedName = regexp.MustCompile(`^assets/.+-[A-Za-z0-9_-]{8}\.[a-z0-9]+$`)

// load reads the build. Files that end in .gz and .br are encodings of others,
// and are not served by their own names.
func load(files fs.FS) (map[string]*asset, error) {
	assets, encodings := map[string]*asset{}, map[string][]byte{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		extension := path.Ext(name)
		if extension == ".gz" || extension == ".br" {
			encodings[name] = body
			return nil
		}
		kind, known := kinds[extension]
		if !known {
			kind = "application/octet-stream"
		}
		assets["/"+name] = &asset{name: name, variant: variant{kind: kind, plain: body, tag: digest(body)}, hashed: hashedName.MatchString(name)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("webui: read the build: %w", err)
	}
	for name, body := range encodings {
		a := assets["/"+strings.TrimSuffix(name, path.Ext(name))]
		switch {
		case a == nil:
			return nil, fmt.Errorf("webui: %s is the encoding of a file that is not there", name)
		case path.Ext(name) == ".gz":
			a.gzip = body
		default:
			a.brotli = body
		}
	}
	return assets, nil
}
