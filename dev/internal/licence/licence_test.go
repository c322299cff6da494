package licence

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	mit   = "MIT License\n\nPermission is hereby granted, free of charge, to any person\n * obtaining a copy of this ... The above copyright notice and this permission notice shall be included in"
	bsd2  = "Redistribution and use in source and binary forms, with or without modification, are permitted provided that the following conditions are met:"
	isc   = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above"
	zero  = "Permission to use, copy, modify, and/or distribute this software for any\npurpose with or without fee is hereby granted."
	odd   = "You may use this on Tuesdays."
	mixed = mit + "\n\n# What is bundled\n" + bsd2
)

func TestRecognise(t *testing.T) {
	for text, want := range map[string]string{mit: "MIT", bsd2: "BSD-2-Clause", bsd2 + " Neither the name of": "BSD-3-Clause", isc: "ISC", zero: "0BSD", odd: "", "": "", mixed: "MIT",
		"Mozilla Public License Version 2.0 … Secondary License means the GNU General Public License, Version 2.0, the GNU Affero General Public License": "MPL-2.0"} {
		if have := Recognise(text); have != want {
			t.Errorf("%.40q: %q instead of %q", text, have, want)
		}
	}
	for name, want := range map[string]string{"AGPL-3.0-only": "AGPL-3.0", "Apache-2.0": "Apache-2.0"} {
		raw, err := os.ReadFile("../../../LICENSES/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if have := Recognise(string(raw)); have != want {
			t.Errorf("%s: %q", name, have)
		}
	}
}

func TestExpressions(t *testing.T) {
	for expression, want := range map[string]bool{"MIT": true, "(MIT OR GPL-3.0)": true, "MIT AND GPL-3.0": false, "MIT AND ISC": true, "GPL-2.0 OR LGPL-2.1": false, "": false, "UNLICENSED": false, "SEE LICENSE IN x": false} {
		if permits(expression) != want {
			t.Errorf("%q: %t", expression, !want)
		}
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestJudge(t *testing.T) {
	agpl, err := os.ReadFile("../../../LICENSES/AGPL-3.0-only.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files    map[string]string
		declared string
		part     Part
		want     error
		licence  string
	}{
		"a text":                {map[string]string{"LICENSE": mit}, "", Program, nil, "MIT"},
		"two":                   {map[string]string{"LICENSE-MIT": mit, "LICENSE-APACHE": "Apache License\nVersion 2.0, January 2004"}, "MIT OR Apache-2.0", Page, nil, "MIT OR Apache-2.0"},
		"one beside":            {map[string]string{"COPYING": bsd2, "LICENSE-LOGO": odd, "license.go": odd}, "", Program, nil, "BSD-2-Clause"},
		"declared, not shipped": {nil, "MIT", Building, nil, "MIT"},
		"declared, shipped":     {nil, "MIT", Page, ErrNone, ""},
		"nothing":               {map[string]string{"README": mit}, "", Building, ErrNone, ""},
		"odd":                   {map[string]string{"LICENSE": odd}, "", Building, ErrUnknown, ""},
		"odd, declared":         {map[string]string{"LICENSE": odd}, "MIT", Building, ErrUnknown, ""},
		"not on the list":       {map[string]string{"LICENSE": string(agpl)}, "", Building, ErrNotAllowed, ""},
		"says another":          {map[string]string{"LICENSE": mit}, "ISC", Building, ErrOther, ""},
		"declared, forbidden":   {nil, "GPL-3.0-only", Building, ErrNotAllowed, ""},
	} {
		d := Dependency{Name: name, Part: c.part}
		err := d.judge(folder(t, c.files), c.declared)
		if !errors.Is(err, c.want) || err == nil && d.Licence != c.licence {
			t.Errorf("%s: %v, %q", name, err, d.Licence)
		}
	}
}

func TestNPM(t *testing.T) {
	lock := `{"packages":{"":{"version":"0"},
		"node_modules/a":{"version":"1","license":"MIT"},
		"node_modules/a/node_modules/@x/b":{"version":"2","license":"MIT"},
		"node_modules/far":{"version":"3","license":"MIT","optional":true,"os":["plan9"]}`
	files := map[string]string{"node_modules/a/LICENSE": mit, "node_modules/a/node_modules/@x/b/license.md": mit}
	web := func(more string) string {
		all := map[string]string{"package-lock.json": lock + more + "}}"}
		for k, v := range files {
			all[k] = v
		}
		return folder(t, all)
	}
	all, err := NPM(web(""), []string{"@x/b"})
	if err != nil {
		t.Fatal(err)
	}
	table := string(Table(all))
	for _, line := range []string{"| npm | @x/b | 2 | MIT | page | license.md |\n", "| npm | a | 1 | MIT | building, tests | LICENSE |\n", "| npm | far | 3 | MIT | building, tests | declared; for one kind of machine |\n"} {
		if !strings.Contains(table, line) {
			t.Errorf("lacks %s%s", line, table)
		}
	}
	var notices bytes.Buffer
	if err := Notices(&notices, all); err != nil || !strings.Contains(notices.String(), "@x/b 2 (npm), MIT") || strings.Contains(notices.String(), "far") {
		t.Errorf("%v: %s", err, &notices)
	}
	if _, err := NPM(web(`,"node_modules/c":{"version":"1"}`), nil); err == nil {
		t.Error("a package that is neither installed nor licensed")
	}
	if _, err := NPM(web(""), []string{"z"}); err == nil {
		t.Error("something in the page that is not in the lock file")
	}
}

func TestBundled(t *testing.T) {
	dir := folder(t, map[string]string{"a.js.map": `{"sources":["../src/x.ts","../../node_modules/@x/b/dist/i.js"]}`, "s/b.js.map": `{"sources":["../node_modules/a/node_modules/c/i.js"]}`, "b.js": "x"})
	if have, err := Bundled(dir); err != nil || !slices.Equal(have, []string{"@x/b", "c", "rolldown", "vite"}) {
		t.Errorf("%v, %v", have, err)
	}
	if _, err := Bundled(t.TempDir()); err == nil {
		t.Error("no source map, and no error")
	}
}
