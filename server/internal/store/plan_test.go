//go:build linux

package store

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// small are the tables that may be read whole: what grows with uploads, links and
// orders may not. up are the folders above others, which a statement collected itself,
// and first what a statement has bounded.
var small = []string{"node", "n", "invite", "lease", "meta", "m", "total", "up", "first"}

// rare are statements that only an operator's command runs.
var rare = []string{"INSERT INTO node_order", "DELETE FROM node_order WHERE outcome = 0 AND epoch < $1"}

// statements are the SQL texts in this package's sources, put together as the
// compiler does.
func statements(t *testing.T) []string {
	t.Helper()
	fset := token.NewFileSet()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || path == "postgres.go" { // which asks for settings and locks
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	// What is imported is not looked at, of which there are errors: texts have no part in it.
	cfg := types.Config{Importer: importer.Default(), Error: func(error) {}}
	_, _ = cfg.Check("store", fset, files, info)
	verb := regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WITH) `)
	var all []string
	seen := map[string]bool{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			v := info.Types[e].Value
			if v == nil || v.Kind() != constant.String {
				return true
			}
			if text := constant.StringVal(v); verb.MatchString(text) && !seen[text] {
				seen[text] = true
				all = append(all, text)
			}
			return false // parts of it are no statements
		})
	}
	return all
}

var param = regexp.MustCompile(`\$\d+`)

// TestNoStatementReadsTablesWhole: whatever a request or the sweep runs finds its
// rows by an index.
func TestNoStatementReadsTablesWhole(t *testing.T) {
	s := open(t)
	all := statements(t)
	if len(all) < 60 {
		t.Fatalf("%d statements were found: this test does not see them", len(all))
	}
	scan := regexp.MustCompile(`^SCAN (\w+)( USING (COVERING )?INDEX (\w+))?`)
	for _, text := range all {
		if slices.ContainsFunc(rare, func(begin string) bool {
			return strings.HasPrefix(text, begin) && strings.Contains(text, "outcome = 0")
		}) {
			continue
		}
		for _, step := range s.plan(t, text) {
			found := scan.FindStringSubmatch(step)
			if found == nil || slices.Contains(small, found[1]) {
				continue
			}
			if partial := found[4]; slices.Contains([]string{"link_spent", "upload_abandoned", "folder_dropped"}, partial) {
				continue // has only what is to be done
			}
			t.Errorf("%s\n\t%s", step, text)
		}
	}
}

func (s *Store) plan(t *testing.T, text string) (steps []string) {
	t.Helper()
	var args []any
	for i := range 30 {
		if slices.Contains(param.FindAllString(text, -1), fmt.Sprintf("$%d", i+1)) {
			args = append(args, 1)
		}
	}
	rows, err := s.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	err = scanAll(rows, func(scan func(...any) error) error {
		var number, parent, unused int
		var step string
		err := scan(&number, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// TestReferencesHaveIndexes: deleting a row makes the database look for rows that
// refer to it, in every table that does; no plan shows that.
func TestReferencesHaveIndexes(t *testing.T) {
	s := open(t)
	rows := func(query string, args ...any) (all [][]string) {
		t.Helper()
		r, err := s.reader.QueryContext(t.Context(), query, args...)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := r.Columns()
		if err != nil {
			t.Fatal(err)
		}
		err = scanAll(r, func(scan func(...any) error) error {
			row, into := make([]string, len(columns)), make([]any, len(columns))
			for i := range row {
				into[i] = &row[i]
			}
			all = append(all, row)
			return scan(into...)
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	references := rows(`SELECT t.name, f."from", f."table" FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'`)
	if len(references) < 10 {
		t.Fatalf("only %d references", len(references))
	}
	for _, r := range references {
		indexed := rows(`SELECT i.name FROM pragma_index_list($1) i, pragma_index_info(i.name) c WHERE i.partial = 0 AND c.seqno = 0 AND c.name = $2`, r[0], r[1])
		if len(indexed) == 0 {
			t.Errorf("%s.%s refers to %s and begins no index", r[0], r[1], r[2])
		}
	}
}
