package render

import (
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
)

// UUID appends id as a JSON string of lower-case UUID text.
func UUID(dst []byte, id uuid.UUID) []byte {
	var text [38]byte
	text[0], text[37] = '"', '"'
	hex.Encode(text[1:9], id[:4])
	text[9] = '-'
	hex.Encode(text[10:14], id[4:6])
	text[14] = '-'
	hex.Encode(text[15:19], id[6:8])
	text[19] = '-'
	hex.Encode(text[20:24], id[8:10])
	text[24] = '-'
	hex.Encode(text[25:37], id[10:])
	return append(dst, text[:]...)
}

// UUIDOrNull appends id as UUID does, or null for the zero id.
func UUIDOrNull(dst []byte, id uuid.UUID) []byte {
	if id == uuid.Nil {
		return append(dst, "null"...)
	}
	return UUID(dst, id)
}

// textOrNull appends s as a JSON string, or null for the empty string.
func textOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return wire.AppendString(dst, s)
}

// members appends m as a JSON object with its keys in sorted order. It returns the scratch space for the next call.
func members(dst []byte, m map[string]json.RawMessage, keys []string) ([]byte, []string) {
	keys = keys[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(wire.AppendString(dst, key), ':')
		if value := m[key]; len(value) > 0 {
			dst = append(dst, value...)
		} else {
			dst = append(dst, "null"...)
		}
	}
	return append(dst, '}'), keys
}
