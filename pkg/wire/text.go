package wire

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// AppendTime appends a time of ms Unix milliseconds as clients see times: ISO 8601,
// UTC, milliseconds, "2026-01-02T15:04:05.678Z".
func AppendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}

// AppendString appends text as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, text string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r < 0x20 || r == 0x7f || r == 0x2028 || r == 0x2029:
			dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		case r < 0x80:
			dst = append(dst, byte(r))
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}

// AppendMember appends `"key":"value"` and no comma. The key is written as it is.
func AppendMember(dst []byte, key, value string) []byte {
	return AppendString(append(append(append(dst, '"'), key...), '"', ':'), value)
}

// AppendNumber appends `"key":value` and no comma. The key is written as it is.
func AppendNumber(dst []byte, key string, value uint64) []byte {
	return strconv.AppendUint(append(append(append(dst, '"'), key...), '"', ':'), value, 10)
}

// AppendID appends an id as text, 36 characters without quotes.
func AppendID(dst []byte, id uuid.UUID) []byte {
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}
