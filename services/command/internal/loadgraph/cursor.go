package loadgraph

import (
	"encoding/json"
	"iter"
)

// span is a piece of the body. Bodies are smaller than 4 GiB, so eight bytes do for two ends;
// the zero span is nothing.
type span struct{ from, to uint32 }

func (s span) empty() bool { return s.to == 0 }

// cursor walks over JSON that was found valid. Its methods begin and end at the first byte of
// a token; space has been skipped.
type cursor struct {
	b    []byte
	i    int
	keys map[string]string // names of members by their text in the body; nil: none are kept
}

func (c *cursor) space() {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

// string passes over the string at the cursor.
func (c *cursor) string() span {
	from := c.i
	for c.i++; c.b[c.i] != '"'; c.i++ {
		if c.b[c.i] == '\\' {
			c.i++
		}
	}
	c.i++
	s := span{uint32(from), uint32(c.i)}
	c.space()

	return s
}

// value passes over the value at the cursor. deep is how many arrays and objects lie in one
// another there.
func (c *cursor) value() (s span, deep int) {
	if c.b[c.i] == '"' {
		return c.string(), 0
	}
	from, level := c.i, 0
	for {
		switch c.b[c.i] {
		case '"':
			c.string()
		case '{', '[':
			level++
			deep = max(deep, level)
			c.i++
		case '}', ']':
			level--
			c.i++
		case ',', ':', ' ', '\t', '\n', '\r':
			c.i++
		default:
			c.scalar()
		}
		if level == 0 {
			break
		}
	}
	s = span{uint32(from), uint32(c.i)}
	c.space()

	return s, deep
}

// scalar passes over a number or a word.
func (c *cursor) scalar() {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ',', ':', ']', '}', ' ', '\t', '\n', '\r':
			return
		}
		c.i++
	}
}

// object calls member for each member of the object at the cursor, with the cursor at its value;
// member must pass over the value.
func (c *cursor) object(member func(key string) error) error {
	c.i++
	c.space()
	for c.b[c.i] != '}' {
		key := c.key(c.string())
		c.i++ // the colon
		c.space()
		if err := member(key); err != nil {
			return err
		}
		if c.b[c.i] == ',' {
			c.i++
			c.space()
		}
	}
	c.i++
	c.space()

	return nil
}

// members yields the members of the object at the cursor.
func (c *cursor) members() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		more := true
		_ = c.object(func(key string) error { // The function has no error.
			s, _ := c.value()
			more = more && yield(key, c.b[s.from:s.to])

			return nil
		})
	}
}

// array calls element for each element of the array at the cursor, with the cursor at it.
func (c *cursor) array(element func(i int) error) error {
	c.i++
	c.space()
	for n := 0; c.b[c.i] != ']'; n++ {
		if err := element(n); err != nil {
			return err
		}
		if c.b[c.i] == ',' {
			c.i++
			c.space()
		}
	}
	c.i++
	c.space()

	return nil
}

// key is the text of a member's name. The same few names occur in all nodes and are kept.
func (c *cursor) key(s span) string {
	raw := c.b[s.from+1 : s.to-1]
	if known, ok := c.keys[string(raw)]; ok {
		return known
	}
	text := textOf(c.b, s)
	if c.keys != nil {
		c.keys[string(raw)] = text
	}

	return text
}

// textOf is the value of a JSON string.
func textOf(b []byte, s span) string {
	raw := b[s.from+1 : s.to-1]
	for _, ch := range raw {
		if ch == '\\' {
			var text string
			if json.Unmarshal(b[s.from:s.to], &text) != nil { // The body has been checked.
				return string(raw)
			}

			return text
		}
	}

	return string(raw)
}
