package main

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// version VAR BYTES: puts the id of a version of that size into a variable, out of what
// versions --json printed.
func cmdVersion(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var v versionJSON
		ts.Check(json.Unmarshal([]byte(line), &v))
		if v.Bytes == n {
			ts.Setenv(args[0], v.ID)
			return
		}
	}
	ts.Fatalf("no version of %d bytes", n)
}
