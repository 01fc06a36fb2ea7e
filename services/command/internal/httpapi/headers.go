package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/talus-tally/talus/pkg/wire"
)

// Bounds of the headers that are kept with a commit.
const (
	maxKey   = 255 // bytes of an Idempotency-Key
	maxActor = 128 // characters of an X-Actor
)

// idempotencyKey reads the Idempotency-Key header: a structured-field string (RFC 8941, section 3.3.3) or the bare
// text that most clients send. It is empty when the header is missing.
func idempotencyKey(c *fiber.Ctx) (string, error) {
	text := strings.TrimSpace(c.Get("Idempotency-Key"))
	if text == "" {
		return "", nil
	}
	if text[0] == '"' {
		var ok bool
		if text, ok = unquoteField(text); !ok {
			return "", refuse(wire.InvalidRequest, "header Idempotency-Key is not a well-formed quoted string")
		}
	}
	if text == "" || len(text) > maxKey || strings.ContainsFunc(text, notPrintableASCII) {
		return "", refuse(wire.InvalidRequest, fmt.Sprintf("header Idempotency-Key must have 1 to %d printable ASCII characters", maxKey))
	}
	return utils.CopyString(text), nil
}

func notPrintableASCII(r rune) bool { return r < ' ' || r > '~' }

// unquoteField takes the value out of a structured-field string; parameters after it are ignored.
func unquoteField(s string) (string, bool) {
	var value strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			rest := strings.TrimSpace(s[i+1:])
			return value.String(), rest == "" || rest[0] == ';'
		case s[i] != '\\':
			value.WriteByte(s[i])
		case i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			value.WriteByte(s[i])
		default:
			return "", false
		}
	}
	return "", false
}

// actor reads the X-Actor header: who acts, as far as anybody claims; empty when the header is missing.
func actor(c *fiber.Ctx) (string, error) {
	text := strings.TrimSpace(c.Get("X-Actor"))
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxActor ||
		strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", refuse(wire.InvalidRequest, fmt.Sprintf("header X-Actor must have at most %d printable characters in UTF-8", maxActor))
	}
	return utils.CopyString(text), nil
}

// tags is the content of an If-Match or If-None-Match header. A tag that is no position of ours matches nothing.
type tags struct {
	given     bool // the header is there
	any       bool // it is *
	positions []wire.Position
}

// matches reports whether the header admits the state at p.
func (t tags) matches(p wire.Position) bool { return t.any || slices.Contains(t.positions, p) }

// entityTags reads a list of entity tags, weak or strong (RFC 9110, section 8.8.3); weakness makes no difference,
// because equal positions are equal states.
func entityTags(header string) tags {
	header = strings.TrimSpace(header)
	if header == "" {
		return tags{}
	}
	t := tags{given: true}
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" {
			t.any = true
			continue
		}
		if p, err := wire.ParsePosition(strings.Trim(tag, `"`)); err == nil {
			t.positions = append(t.positions, p)
		}
	}
	return t
}

// preferred returns the value of the preference "return" (RFC 7240), "minimal" or "representation", and says in the
// answer that it is heeded; empty when the client has none.
func preferred(c *fiber.Ctx) string {
	for preference := range strings.SplitSeq(c.Get("Prefer"), ",") {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "return") {
			continue
		}
		switch strings.Trim(strings.TrimSpace(value), `"`) {
		case "minimal":
			c.Set("Preference-Applied", "return=minimal")
			return "minimal"
		case "representation":
			c.Set("Preference-Applied", "return=representation")
			return "representation"
		}
	}
	return ""
}

// setPosition makes p the entity tag of the answer.
func setPosition(c *fiber.Ctx, p wire.Position) {
	var text [64]byte
	tag := append(p.Append(append(text[:0], '"')), '"')
	c.Response().Header.SetBytesV(fiber.HeaderETag, tag)
}
