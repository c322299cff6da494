// Package licence finds out under which licences the things are that Holdfast
// is built from, by their texts, and refuses those that it may not be built from.
package licence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Allowed are the licences that may be part of a program under AGPL-3.0 (docs/decisions/0007-licences.md).
var Allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CC0-1.0", "ISC", "MIT", "MPL-2.0", "Unlicense"}

// Errors of a dependency; each comes wrapped with its name.
var (
	ErrNone       = errors.New("has no licence")
	ErrUnknown    = errors.New("has a licence text that is not recognised")
	ErrNotAllowed = errors.New("has a licence that is not on the list")
	ErrOther      = errors.New("declares another licence than its text")
)

// Part is where a dependency ends up.
type Part string

// Parts, from what reaches people to what does not.
const (
	Program  Part = "program"         // within holdfast
	Page     Part = "page"            // within the web app
	Building Part = "building, tests" // nowhere
)

// Dependency is one thing that somebody else made.
type Dependency struct {
	Kind          string // "Go" or "npm"
	Name, Version string
	Licence       string   // SPDX expression
	Part          Part     // where it ends up
	Texts         []string // files on this machine that say it; the first decides
	Note          string   // why there is no text
}

// marks are phrases of which all stand in a licence and that together tell it
// from the others. Of several that fit the one counts whose first phrase comes
// first in the text (others follow where a package lists what it bundles, or
// speaks of other licences), then the one that stands first here.
var marks = []struct {
	id      string
	phrases []string
}{
	{"AGPL-3.0", []string{"gnu affero general public license"}},
	{"LGPL", []string{"gnu lesser general public license", "version"}},
	{"GPL", []string{"gnu general public license", "terms and conditions"}},
	{"MPL-2.0", []string{"mozilla public license version 2.0"}},
	{"MPL-2.0", []string{"mozilla public license, version 2.0"}},
	{"Apache-2.0", []string{"licensed under the apache license, version 2.0"}},
	{"Apache-2.0", []string{"apache license", "version 2.0, january 2004"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "provided that the following conditions are met", "neither the name"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "provided that the following conditions are met", "may not be used to endorse"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms", "provided that the following conditions are met"}},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "the above copyright notice and this permission notice shall be included"}},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that"}},
	{"ISC", []string{"permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted, provided that"}},
	{"0BSD", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted."}},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}},
	{"CC0-1.0", []string{"cc0 1.0 universal"}},
	{"BlueOak-1.0.0", []string{"blue oak model license", "1.0.0"}},
}

var blanks = regexp.MustCompile(`[\s*#>]+`)

// Recognise returns the SPDX id of a licence's text, or "".
func Recognise(text string) string {
	text = strings.ToLower(blanks.ReplaceAllString(text, " "))
	id, first := "", len(text)
	for _, m := range marks {
		lacking := slices.ContainsFunc(m.phrases, func(p string) bool { return !strings.Contains(text, p) })
		if at := strings.Index(text, m.phrases[0]); !lacking && at < first {
			id, first = m.id, at
		}
	}
	return id
}

// permits tells whether an SPDX expression of AND and OR, without brackets
// within, leaves a way that uses allowed licences only.
func permits(expression string) bool {
	expression = strings.Trim(expression, "()")
	for either := range strings.SplitSeq(expression, " OR ") {
		all := true
		for one := range strings.SplitSeq(either, " AND ") {
			all = all && slices.Contains(Allowed, strings.TrimSpace(one))
		}
		if all {
			return true
		}
	}
	return false
}

// names tells whether an expression names a licence.
func names(expression, id string) bool {
	return slices.Contains(strings.Fields(strings.Trim(expression, "()")), id)
}

// sayers are names of files with a licence's text. Those of the first pattern
// decide; the others are passed on with them.
var (
	sayer  = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)(\.md|\.txt|-mit|-apache)?$`)
	beside = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense|notice|patents)([.-].*)?$`)
)

// texts lists the files of a folder that say its licence, the deciding ones
// first, and what those are, in order.
func texts(dir string) (files, ids []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	var others []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
		case sayer.MatchString(e.Name()):
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil, nil, err
			}
			files, ids = append(files, path), append(ids, Recognise(string(raw)))
		case beside.MatchString(e.Name()):
			others = append(others, path)
		}
	}
	return append(files, others...), ids, nil
}

// judge fills in the licence by the texts in dir and refuses what may not be
// used. declared is what the package says of itself; "" where it says nothing.
func (d *Dependency) judge(dir, declared string) error {
	files, ids, err := texts(dir)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", d.Name, err)
	case len(ids) == 0 && declared == "":
		return fmt.Errorf("%s: %w", d.Name, ErrNone)
	case len(ids) == 0 && d.Part != Building:
		return fmt.Errorf("%s: %w whose text could be passed on", d.Name, ErrNone)
	case slices.Contains(ids, ""):
		return fmt.Errorf("%s: %w: %s", d.Name, ErrUnknown, files[slices.Index(ids, "")])
	}
	d.Texts, d.Licence = files, declared
	if declared == "" {
		d.Licence = strings.Join(slices.Compact(ids), " AND ")
	}
	for _, id := range ids {
		if !names(d.Licence, id) {
			return fmt.Errorf("%s: %w: %s, %s", d.Name, ErrOther, d.Licence, id)
		}
	}
	if len(ids) == 0 {
		d.Note = "declared; the package holds no text"
	}
	return d.allowed()
}

func (d *Dependency) allowed() error {
	if !permits(d.Licence) {
		return fmt.Errorf("%s: %w: %s", d.Name, ErrNotAllowed, d.Licence)
	}
	return nil
}
