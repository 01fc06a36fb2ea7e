package blueprint

import "encoding/json"

// json is the element as JSON, with the members of a mapping in the order of the file.
func (e element) json() json.RawMessage { return e.appendJSON(nil) }

func (e element) appendJSON(dst []byte) []byte {
	switch e.kind {
	case kindText:
		return appendText(dst, e.text)
	case kindNumber:
		return append(dst, e.number...)
	case kindBool:
		return append(dst, e.text...)
	case kindList:
		dst = append(dst, '[')
		for i, item := range e.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.appendJSON(dst)
		}

		return append(dst, ']')
	case kindMap:
		dst = append(dst, '{')
		for i, m := range e.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, m.name), ':')
			dst = m.value.appendJSON(dst)
		}

		return append(dst, '}')
	}

	return append(dst, "null"...)
}

// appendText appends s as a JSON string.
func appendText(dst []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // Marshal of a string has no failure.
		return append(dst, `""`...)
	}

	return append(dst, text...)
}
