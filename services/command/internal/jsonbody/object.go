package jsonbody

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/google/uuid"
)

// Object is the members of one JSON object in the order of the text. The zero value is the empty object.
type Object []Member

// Member is one field of an Object.
type Member struct {
	Name  string
	Value json.RawMessage // a slice of the body
}

// FieldError says that a field is missing or has the wrong type. Its text names the field and is meant for the client.
type FieldError struct {
	Field string
	Want  string // completes "field … must be"
}

func (e *FieldError) Error() string { return fmt.Sprintf("field %q must be %s", e.Field, e.Want) }

// Parse checks body as Check does and splits it into its members. The error wraps ErrMalformed.
func Parse(body []byte, depth int) (Object, error) {
	if err := Check(body, depth); err != nil {
		return nil, err
	}
	body = bytes.TrimSpace(body)
	if body[0] != '{' {
		return nil, malformed("it must be an object")
	}
	return split(body), nil
}

// split cuts a valid JSON object into its members.
func split(body []byte) Object {
	object := make(Object, 0, 8)
	i := skipSpace(body, 1)
	for body[i] == '"' {
		end := skipString(body, i)
		name := text(body[i:end])
		i = skipSpace(body, skipSpace(body, end)+1) // over the colon
		end = skipValue(body, i)
		object = append(object, Member{Name: name, Value: body[i:end:end]})
		i = skipSpace(body, end)
		if body[i] == '}' {
			break
		}
		i = skipSpace(body, i+1)
	}
	return object
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index after the value that begins at i.
func skipValue(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
		default:
			i = skipScalar(b, i)
		}
		if depth == 0 {
			return i
		}
	}
}

// skipScalar returns the index after the number or word that begins at i.
func skipScalar(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case ',', ':', ']', '}', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
	return i
}

// text is the value of a valid JSON string with its quotes.
func text(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s) // it has been checked
	return s
}

// Raw returns the value of the field, or nil when it is missing or null. Of duplicates the last counts.
func (o Object) Raw(field string) json.RawMessage {
	for i := len(o) - 1; i >= 0; i-- {
		if o[i].Name == field {
			if o[i].Value[0] == 'n' {
				return nil
			}
			return o[i].Value
		}
	}
	return nil
}

// Text returns a string field and whether it is there. The error is a *FieldError.
func (o Object) Text(field string) (string, bool, error) {
	raw := o.Raw(field)
	if raw == nil {
		return "", false, nil
	}
	if raw[0] != '"' {
		return "", false, &FieldError{Field: field, Want: "a string"}
	}
	return text(raw), true, nil
}

// UUID returns a field that is the text of a UUID; the zero id when it is missing. The error is a *FieldError.
func (o Object) UUID(field string) (uuid.UUID, error) {
	s, ok, err := o.Text(field)
	if err != nil || !ok {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return uuid.Nil, &FieldError{Field: field, Want: "the text of a UUID"}
	}
	return id, nil
}

// Number returns a numeric field and whether it is there. The error is a *FieldError, also for a number that is too
// big for a float64.
func (o Object) Number(field string) (float64, bool, error) {
	raw := o.Raw(field)
	if raw == nil {
		return 0, false, nil
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || raw[0] == '"' || math.IsInf(v, 0) {
		return 0, false, &FieldError{Field: field, Want: "a number"}
	}
	return v, true, nil
}

// Count returns a field that is a whole number from 0 to 2^53, and whether it is there. The error is a *FieldError.
func (o Object) Count(field string) (uint64, bool, error) {
	v, ok, err := o.Number(field)
	if err != nil || !ok {
		return 0, false, err
	}
	if v < 0 || v != math.Trunc(v) || v > 1<<53 {
		return 0, false, &FieldError{Field: field, Want: "a whole number that is not negative"}
	}
	return uint64(v), true, nil
}

// Object returns a field that is an object, and whether it is there. The error is a *FieldError.
func (o Object) Object(field string) (Object, bool, error) {
	raw := o.Raw(field)
	if raw == nil {
		return nil, false, nil
	}
	if raw[0] != '{' {
		return nil, false, &FieldError{Field: field, Want: "an object"}
	}
	return split(raw), true, nil
}

// Objects returns a field that is a list of objects, and whether it is there. The error is a *FieldError that names the
// first element which is something else.
func (o Object) Objects(field string) ([]Object, bool, error) {
	raw := o.Raw(field)
	if raw == nil {
		return nil, false, nil
	}
	if raw[0] != '[' {
		return nil, false, &FieldError{Field: field, Want: "a list of objects"}
	}
	list := make([]Object, 0, 8)
	for i := skipSpace(raw, 1); raw[i] != ']'; {
		if raw[i] != '{' {
			return nil, false, &FieldError{Field: fmt.Sprintf("%s[%d]", field, len(list)), Want: "an object"}
		}
		end := skipValue(raw, i)
		list = append(list, split(raw[i:end]))
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return list, true, nil
}
