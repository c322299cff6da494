package api

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"holdfast/format/id"
)

// Docs holds the comments of types ("Page") and fields ("Page.Blobs"), so that
// generated documents say what the source says.
type Docs map[string]string

// ReadDocs collects the comments of the Go files in dir.
func ReadDocs(dir string) (Docs, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	docs := Docs{}
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read comments: %w", err)
		}
		ast.Inspect(file, docs.collect)
	}
	return docs, nil
}

func (d Docs) collect(n ast.Node) bool {
	decl, ok := n.(*ast.GenDecl)
	if !ok || decl.Tok != token.TYPE {
		return true
	}
	for _, spec := range decl.Specs {
		t := spec.(*ast.TypeSpec)
		d.add(t.Name.Name, decl.Doc, t.Doc)
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				d.add(t.Name.Name+"."+name.Name, f.Doc, f.Comment)
			}
		}
	}
	return false
}

func (d Docs) add(key string, groups ...*ast.CommentGroup) {
	var parts []string
	for _, g := range groups {
		if text := strings.Join(strings.Fields(g.Text()), " "); text != "" {
			parts = append(parts, text)
		}
	}
	if len(parts) > 0 {
		d[key] = strings.Join(parts, " ")
	}
}

// shape is a JSON object type as generators see it.
type shape struct {
	name   string
	about  string
	embeds []string
	fields []field
}

type field struct {
	name, about string
	kind        reflect.Type
	optional    bool
}

// named are the types that have one text form and a name of their own.
var named = map[reflect.Type]struct{ name, about string }{
	reflect.TypeFor[id.Upload]():   {"UploadID", "Id of an upload: 16 bytes, 22 characters of base64url."},
	reflect.TypeFor[id.Node]():     {"NodeID", "Id of a node's key: 16 bytes, 22 characters of base64url."},
	reflect.TypeFor[id.Revision](): {"RevisionID", "Id of a revision: 16 bytes, 22 characters of base64url."},
	reflect.TypeFor[id.Handle]():   {"Handle", "Public half of a link: 16 bytes, 22 characters of base64url."},
	reflect.TypeFor[id.Account]():  {"AccountID", "Handle of an account: 16 bytes, 22 characters of base64url."},
	reflect.TypeFor[id.Folder]():   {"FolderID", "Id of a folder: 16 bytes, 22 characters of base64url."},
	reflect.TypeFor[id.Commit]():   {"CommitID", "Id of one change of a drive: 16 bytes, 22 characters of base64url."},
	reflect.TypeFor[id.Message]():  {"MessageID", "Id of a message: 16 bytes, 22 characters of base64url."},
	reflect.TypeFor[id.Bytes32]():  {"Bytes32", "A name, key, hash or secret: 32 bytes, 43 characters of base64url."},
	reflect.TypeFor[Code]():        {"Code", "Stable name of a problem."},
}

// shapes lists every struct that All mentions, sorted by name.
func shapes(docs Docs) []shape {
	seen := map[reflect.Type]bool{}
	var out []shape
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		if _, ok := named[t]; ok || seen[t] {
			return
		}
		switch t.Kind() {
		case reflect.Slice, reflect.Array, reflect.Pointer:
			visit(t.Elem())
		case reflect.Struct:
			seen[t] = true
			out = append(out, shapeOf(t, docs))
			for i := range t.NumField() {
				visit(t.Field(i).Type)
			}
		}
	}
	visit(reflect.TypeFor[Problem]())
	for _, d := range All() {
		for _, t := range []reflect.Type{d.Request, d.Response} {
			if t != nil {
				visit(t)
			}
		}
	}
	slices.SortFunc(out, func(a, b shape) int { return cmp.Compare(a.name, b.name) })
	return out
}

func shapeOf(t reflect.Type, docs Docs) shape {
	s := shape{name: t.Name(), about: docs[t.Name()]}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			s.embeds = append(s.embeds, f.Type.Name())
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			panic("api: " + t.Name() + "." + f.Name + " has no JSON name") // found by the first test run
		}
		s.fields = append(s.fields, field{
			name: name, about: docs[t.Name()+"."+f.Name], kind: f.Type,
			optional: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"),
		})
	}
	return s
}

// Codes lists every code, sorted.
func Codes() []Code {
	all := make([]Code, 0, len(statuses))
	for code := range statuses {
		all = append(all, code)
	}
	slices.Sort(all)
	return all
}
