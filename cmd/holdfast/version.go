package main

import (
	"fmt"
	"runtime"

	"holdfast/api"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run prints what this program is and speaks.
func (c *versionCmd) Run() error {
	if c.JSON {
		return printJSON(struct {
			Version  string `json:"version"`
			Protocol string `json:"protocol"`
			Go       string `json:"go"`
		}{programVersion(), api.Version, runtime.Version()})
	}
	fmt.Printf("holdfast %s, protocol %s, %s\n", programVersion(), api.Version, runtime.Version())
	return nil
}
