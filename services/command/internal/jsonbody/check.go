// Package jsonbody reads the JSON body of a request: it refuses what may not come in at all, and hands out the top-level
// fields one by one, as raw JSON or as the Go value that the caller asks for.
//
// It is deliberately tolerant of form (unknown fields, duplicate fields of which the last counts, null for "not given":
// existing clients send all of them) and strict about content: the body must be one JSON object in valid UTF-8, not
// nested deeper than the limit, without the character U+0000 and without half a surrogate pair, and a field that is
// used must have the right type. It copies strings that it returns; raw values are slices of the body.
package jsonbody

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrMalformed is the error, perhaps wrapped with a reason, for a body that cannot be accepted whatever its fields are.
// Its text is meant for the client.
var ErrMalformed = errors.New("the body is not acceptable JSON")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Check reports whether body is one valid JSON value in UTF-8 with at most depth nested arrays and objects, with no
// U+0000 and no unpaired surrogate in any of its strings. The error wraps ErrMalformed.
func Check(body []byte, depth int) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return malformed("it is empty")
	}
	if !utf8.Valid(body) {
		return malformed("it is not valid UTF-8")
	}
	if err := checkNesting(body, depth); err != nil {
		return err
	}
	if !json.Valid(body) {
		return malformed("syntax error")
	}
	return nil
}

// checkNesting walks over body once. It does not validate the syntax; it only has to be right for what is valid.
func checkNesting(body []byte, limit int) error {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if depth++; depth > limit {
				return malformed("it is nested deeper than %d levels", limit)
			}
		case '}', ']':
			depth--
		case '"':
			end, err := checkString(body, i)
			if err != nil {
				return err
			}
			i = end
		}
	}
	return nil
}

// checkString checks the string that begins with the quote at start and returns where its closing quote stands, or the
// end of the body if there is none.
func checkString(body []byte, start int) (int, error) {
	for i := start + 1; i < len(body); i++ {
		switch body[i] {
		case '"':
			return i, nil
		case 0:
			return 0, malformed("a string contains the character U+0000")
		case '\\':
			next, err := checkEscape(body, i)
			if err != nil {
				return 0, err
			}
			i = next
		}
	}
	return len(body), nil
}

// checkEscape checks the escape sequence whose backslash stands at i and returns the index of its last byte.
func checkEscape(body []byte, i int) (int, error) {
	r, ok := unit(body, i)
	switch {
	case !ok:
		return i + 1, nil
	case r == 0:
		return 0, malformed("a string contains the character U+0000")
	case r < 0xd800 || r > 0xdfff:
		return i + 5, nil
	}
	low, ok := unit(body, i+6)
	if r > 0xdbff || !ok || low < 0xdc00 || low > 0xdfff {
		return 0, malformed("a string contains half a surrogate pair")
	}
	return i + 11, nil
}

// unit reads the UTF-16 unit of a \uXXXX sequence at i, if there is one.
func unit(body []byte, i int) (rune, bool) {
	if i+6 > len(body) || body[i] != '\\' || body[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range body[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
