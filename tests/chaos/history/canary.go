package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
)

// canaryMark begins every canary; canaryDigits lower-case hexadecimal digits follow.
const (
	canaryMark   = "cnry"
	canaryDigits = 16
)

// NewCanary makes the canary of a session from a random number: a text that stands in all that its people write, and in
// nothing else.
func NewCanary(random uint64) string {
	return canaryMark + hex.EncodeToString(binary.BigEndian.AppendUint64(nil, random))
}

// Canaries finds the canaries in bytes, each once, sorted, with commas between them; empty if there is none.
func Canaries(b []byte) string {
	var found []string
	for {
		i := bytes.Index(b, []byte(canaryMark))
		if i < 0 {
			slices.Sort(found)
			return strings.Join(found, ",")
		}
		b = b[i:]
		n := len(canaryMark)
		for n < len(b) && n < len(canaryMark)+canaryDigits && strings.IndexByte("0123456789abcdef", b[n]) >= 0 {
			n++
		}
		if text := string(b[:n]); n == len(canaryMark)+canaryDigits && !slices.Contains(found, text) {
			found = append(found, text)
		}
		b = b[len(canaryMark):]
	}
}

// Fingerprint names some bytes: the beginning of their SHA-256, as 16 hexadecimal digits.
func Fingerprint(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
