package httpapi

import (
	"strings"

	"holdfast/api"
	"holdfast/format/id"
)

// pathID reads an id in the path. What is no id names nothing.
func pathID[T ~[id.Size]byte](r api.Request, name string, code api.Code) (T, error) {
	v, err := id.Parse[T](r.PathValue(name))
	if err != nil {
		return v, api.NewProblem(code, "The path has no valid id: 22 characters of base64url are expected.")
	}
	return v, nil
}

// bytesOf decodes base64url text that has no type of its own.
func bytesOf(field, text string) ([]byte, error) {
	raw, err := id.Encoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return nil, api.NewProblem(api.BadRequest, "The field %s has to be base64url without padding.", field)
	}
	return raw, nil
}
