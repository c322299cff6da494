// Package web holds the web app as it was built (web/dist), embedded into the
// program. A clone that was never built holds placeholder.html alone. It knows
// nothing of how the files are served.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var files embed.FS

// Dist is the folder dist.
func Dist() fs.FS {
	dist, err := fs.Sub(files, "dist")
	if err != nil {
		panic("web: " + err.Error()) // the name is a constant and valid
	}
	return dist
}
