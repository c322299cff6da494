package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"holdfast/api"
)

// releaseVersion and releaseCommit are set by the linker in release builds (go run ./dev release).
var releaseVersion, releaseCommit string

type versionCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run prints what this program is and speaks.
func (c *versionCmd) Run() error {
	if c.JSON {
		return printJSON(struct {
			Version  string `json:"version"`
			Commit   string `json:"commit"`
			Protocol string `json:"protocol"`
			Go       string `json:"go"`
			System   string `json:"system"`
		}{programVersion(), programCommit(), api.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
	}
	commit := ""
	if c := programCommit(); c != "" {
		commit = " (commit " + c[:min(12, len(c))] + ")"
	}
	fmt.Printf("holdfast %s%s, protocol %s, %s, %s/%s\n", programVersion(), commit, api.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// programVersion is what the build knows of itself.
func programVersion() string {
	if releaseVersion != "" {
		return releaseVersion
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return info.Main.Version
}

// programCommit is the commit that the program was built from; "" where the
// build does not tell.
func programCommit() string {
	if releaseCommit != "" {
		return releaseCommit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}
