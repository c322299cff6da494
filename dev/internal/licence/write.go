package licence

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const head = `# What others made

Written by ` + "`go run ./dev licences`" + `, which reads each licence's text and refuses what is not on its list; a test keeps it fresh.
What ends up in the program or in the page comes with its texts in every release archive (THIRD-PARTY.txt).

| | package | version | licence | ends up in | text |
| --- | --- | --- | --- | --- | --- |
`

// Sort puts what reaches people first, then goes by kind, name and version.
func Sort(all []Dependency) {
	order := []Part{Program, Page, Building}
	slices.SortFunc(all, func(a, b Dependency) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.Part), slices.Index(order, b.Part)),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
}

// Table is docs/third-party.md. Two equal lines (npm may hold one package at
// two places) are one.
func Table(all []Dependency) []byte {
	Sort(all)
	var b bytes.Buffer
	b.WriteString(head)
	var last string
	for _, d := range all {
		text := d.Note
		if len(d.Texts) > 0 {
			var names []string
			for _, path := range d.Texts {
				names = append(names, filepath.Base(path))
			}
			text = strings.Join(names, ", ")
		}
		line := fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", d.Kind, d.Name, d.Version, d.Licence, d.Part, text)
		if line != last {
			b.WriteString(line)
		}
		last = line
	}
	return b.Bytes()
}

// Notices writes the texts of everything that ends up with people.
func Notices(w io.Writer, all []Dependency) error {
	Sort(all)
	var b bytes.Buffer
	b.WriteString("Holdfast contains work of others, under these licences.\n")
	for _, d := range all {
		if d.Part == Building {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n%s %s (%s), %s\n", strings.Repeat("=", 78), d.Name, d.Version, d.Kind, d.Licence)
		for _, path := range d.Texts {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s\n%s\n\n%s\n", strings.Repeat("-", 78), filepath.Base(path), strings.TrimSpace(strings.ReplaceAll(string(raw), "\r\n", "\n")))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
