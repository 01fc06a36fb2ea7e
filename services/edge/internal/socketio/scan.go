package socketio

// scanner checks that a text is one JSON value (RFC 8259) without a space around it and not nested too deeply, notes
// where the elements of an outermost array are, which may not be too many, and that placeholders of attachments are in
// range. The text is UTF-8.
type scanner struct {
	text        []byte
	at          int
	maxDepth    int
	maxArgs     int
	attachments int // how many there are; 0: placeholders mean nothing
	args        [][]byte
}

// whole scans the text.
func (s *scanner) whole() bool {
	return (s.text[0] == '[' || s.text[0] == '{') && s.value(0) && s.at == len(s.text)
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// take moves on over c if it is next.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// value scans the value that begins here.
func (s *scanner) value(depth int) bool {
	if s.at >= len(s.text) {
		return false
	}
	switch c := s.text[s.at]; {
	case c == '"':
		return s.quoted()
	case c == '{':
		return depth < s.maxDepth && s.object(depth+1)
	case c == '[':
		return depth < s.maxDepth && s.array(depth+1)
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	default:
		return s.literal("null")
	}
}

func (s *scanner) literal(word string) bool {
	if len(s.text)-s.at < len(word) || string(s.text[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

func (s *scanner) array(depth int) bool {
	s.at++
	s.space()
	if s.take(']') {
		return true
	}
	for {
		s.space()
		from := s.at
		if !s.value(depth) {
			return false
		}
		if depth == 1 {
			if len(s.args) == s.maxArgs {
				return false
			}
			s.args = append(s.args, s.text[from:s.at])
		}
		s.space()
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (s *scanner) object(depth int) bool {
	s.at++
	s.space()
	if s.take('}') {
		return true
	}
	var placeholder, num []byte
	for {
		key, value, ok := s.member(depth)
		if !ok {
			return false
		}
		switch string(key) {
		case `"_placeholder"`:
			placeholder = value
		case `"num"`:
			num = value
		}
		s.space()
		if s.take('}') {
			return s.inRange(placeholder, num)
		}
		if !s.take(',') {
			return false
		}
	}
}

// member scans a key and its value.
func (s *scanner) member(depth int) (key, value []byte, ok bool) {
	s.space()
	from := s.at
	if s.at >= len(s.text) || s.text[s.at] != '"' || !s.quoted() {
		return nil, nil, false
	}
	key = s.text[from:s.at]
	s.space()
	if !s.take(':') {
		return nil, nil, false
	}
	s.space()
	from = s.at
	if !s.value(depth) {
		return nil, nil, false
	}
	return key, s.text[from:s.at], true
}

// inRange says whether a placeholder, if it is one, stands for an attachment that there is.
func (s *scanner) inRange(placeholder, num []byte) bool {
	if s.attachments == 0 || string(placeholder) != "true" {
		return true
	}
	n, ok, rest, err := number(num)
	return err == nil && ok && len(rest) == 0 && n < uint64(s.attachments)
}

func (s *scanner) quoted() bool {
	s.at++
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return true
		case c < 0x20:
			return false
		case c == '\\':
			if !s.escape() {
				return false
			}
		default:
			s.at++
		}
	}
	return false
}

func (s *scanner) escape() bool {
	if s.at+1 >= len(s.text) {
		return false
	}
	switch s.text[s.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at += 2
		return true
	case 'u':
		if len(s.text)-s.at < 6 {
			return false
		}
		for _, c := range s.text[s.at+2 : s.at+6] {
			if !isHex(c) {
				return false
			}
		}
		s.at += 6
		return true
	default:
		return false
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

// digits scans at least one.
func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > from
}
