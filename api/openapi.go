package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object; encoding/json sorts its keys, which keeps the
// document the same from run to run.
type object = map[string]any

// OpenAPI returns the OpenAPI 3.1 document of the whole protocol.
func OpenAPI(docs Docs) []byte {
	paths := object{}
	for _, d := range All() {
		item, ok := paths[d.Path].(object)
		if !ok {
			item = object{}
			paths[d.Path] = item
		}
		item[strings.ToLower(d.Method)] = operation(d)
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Holdfast", "version": Version,
			"description": generated + " Endpoints tagged \"server\" are the control plane's, those tagged \"node\" a storage node's. docs/protocol.md tells what they are for.",
		},
		"tags":  []object{{"name": string(Server)}, {"name": string(Storage)}},
		"paths": paths,
		"components": object{
			"schemas": schemas(docs),
			"securitySchemes": object{
				AuthUpload.String():  object{"type": "http", "scheme": "bearer", "description": "The upload's secret, given when it was opened."},
				AuthManage.String():  object{"type": "http", "scheme": "bearer", "description": "The link's management secret."},
				AuthAccount.String(): object{"type": "http", "scheme": "bearer", "description": "The token of an account's session."},
			},
		},
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		panic("api: " + err.Error()) // maps of strings and numbers always encode
	}
	return b.Bytes()
}

func operation(d Described) object {
	op := object{
		"operationId": d.ID, "summary": d.Summary, "tags": []string{string(d.Party)},
		"responses": responses(d), "x-timeout-seconds": int(d.Timeout.Seconds()),
	}
	if params := parameters(d); len(params) > 0 {
		op["parameters"] = params
	}
	if d.Auth != AuthNone {
		op["security"] = []object{{d.Auth.String(): []string{}}}
	}
	if d.RequestType != "" {
		op["requestBody"] = object{"required": true, "content": content(d.RequestType, d.Request)}
		op["x-max-body"] = d.MaxBody
	}
	return op
}

func parameters(d Described) []object {
	var out []object
	for _, part := range strings.Split(d.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			out = append(out, parameter("path", Param{Name: strings.TrimSuffix(name, "}"), Required: true}))
		}
	}
	for _, p := range d.Headers {
		out = append(out, parameter("header", p))
	}
	for _, p := range d.Query {
		out = append(out, parameter("query", p))
	}
	return out
}

func parameter(in string, p Param) object {
	o := object{"name": p.Name, "in": in, "required": p.Required, "schema": object{"type": "string"}}
	if p.About != "" {
		o["description"] = p.About
	}
	return o
}

func content(media string, t reflect.Type) object {
	if t == nil {
		return object{media: object{}}
	}
	return object{media: object{"schema": schemaOf(t)}}
}

// responses lists success and, by status, the codes of problems.
func responses(d Described) object {
	out := object{}
	if d.ResponseType == "" {
		out["204"] = object{"description": "Done."}
	} else {
		c := content(d.ResponseType, d.Response)
		if d.ID == GetBlob.ID {
			c[TypeSlice] = object{}
		}
		about := "The answer."
		if d.ResponseType == TypeEvents {
			about = "One JSON value a line, as things happen."
		}
		out["200"] = object{"description": about, "content": c}
	}
	byStatus := map[int][]string{}
	for _, code := range d.AllCodes() {
		byStatus[statuses[code].status] = append(byStatus[statuses[code].status], string(code))
	}
	for status, codes := range byStatus {
		slices.Sort(codes)
		out[strconv.Itoa(status)] = object{
			"description": http.StatusText(status) + ": " + strings.Join(codes, ", "),
			"content": object{TypeProblem: object{"schema": object{
				"allOf":      []object{ref("Problem")},
				"properties": object{"code": object{"enum": codes}},
			}}},
		}
	}
	return out
}

// AllCodes are the endpoint's own codes and the general ones that apply to it.
func (i Info) AllCodes() []Code {
	all := append([]Code{UnknownVersion, BadRequest, Unavailable, Internal}, i.Codes...)
	if i.MaxBody > 0 {
		all = append(all, BodyTooLarge)
	}
	if i.Auth != AuthNone {
		all = append(all, Unauthorized)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func schemas(docs Docs) object {
	out := object{}
	for t, n := range named {
		s := object{"type": "string", "description": n.about}
		if n.name == "Code" {
			s["enum"] = Codes()
		} else {
			length := (t.Len()*8 + 5) / 6
			s["pattern"] = fmt.Sprintf("^[A-Za-z0-9_-]{%d}$", length)
		}
		out[n.name] = s
	}
	all := shapes(docs)
	byName := map[string]shape{}
	for _, s := range all {
		byName[s.name] = s
	}
	for _, s := range all {
		properties, required := object{}, []string{}
		gather(s, byName, properties, &required)
		o := object{"type": "object", "properties": properties}
		if len(required) > 0 {
			slices.Sort(required)
			o["required"] = required
		}
		if s.about != "" {
			o["description"] = s.about
		}
		out[s.name] = o
	}
	return out
}

// gather flattens embedded types, as encoding/json does.
func gather(s shape, byName map[string]shape, properties object, required *[]string) {
	for _, name := range s.embeds {
		gather(byName[name], byName, properties, required)
	}
	for _, f := range s.fields {
		o := schemaOf(f.kind)
		if f.about != "" {
			o["description"] = f.about
		}
		properties[f.name] = o
		if !f.optional {
			*required = append(*required, f.name)
		}
	}
}

func schemaOf(t reflect.Type) object {
	if n, ok := named[t]; ok {
		return ref(n.name)
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "minimum": 0, "maximum": int64(1)<<53 - 1}
	case reflect.Struct:
		return ref(t.Name())
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": schemaOf(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	}
	panic("api: no schema for " + t.String()) // found by the first test run
}
