package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// The packet types, the first character of a packet.
const (
	typeConnect      = '0'
	typeDisconnect   = '1'
	typeEvent        = '2'
	typeAck          = '3'
	typeConnectError = '4'
	typeBinaryEvent  = '5'
	typeBinaryAck    = '6'
)

// packet is a parsed packet; its slices are parts of the text.
type packet struct {
	kind        byte
	attachments int
	namespace   []byte
	id          uint64
	hasID       bool
	data        []byte   // JSON, or nothing
	args        [][]byte // the elements of data if it is an array
}

// What can be wrong with a packet.
var (
	errType        = errors.New("socketio: no packet of a peer has this type")
	errAttachments = errors.New("socketio: bad number of attachments")
	errID          = errors.New("socketio: id has more than 19 digits")
	errJSON        = errors.New("socketio: malformed, too deep or too long JSON")
	errPayload     = errors.New("socketio: payload does not fit the packet's type")
)

// maxDigits is how long an id may be; one more would not fit 64 bits.
const maxDigits = 19

// parser takes packets apart, in one pass (part 1.10).
type parser struct {
	maxAttachments int
	maxDepth       int
	maxArgs        int
}

// parse takes a packet apart. Args is storage for the packet's; it may be nil.
func (p parser) parse(text []byte, args [][]byte) (packet, error) {
	if len(text) == 0 || text[0] < typeConnect || text[0] > typeBinaryAck {
		return packet{}, errType
	}
	pk := packet{kind: text[0], namespace: root}
	text = text[1:]
	var err error
	if pk.binary() {
		if pk.attachments, text, err = p.count(text); err != nil {
			return pk, err
		}
	}
	if len(text) > 0 && text[0] == '/' {
		var found bool
		if pk.namespace, text, found = bytes.Cut(text, []byte{','}); !found {
			text = nil
		}
	}
	if pk.id, pk.hasID, text, err = number(text); err != nil {
		return pk, err
	}
	pk.data = text
	return p.payload(pk, args)
}

var root = []byte("/")

func (pk *packet) binary() bool { return pk.kind == typeBinaryEvent || pk.kind == typeBinaryAck }

// count reads the number of attachments and the dash after it.
func (p parser) count(text []byte) (int, []byte, error) {
	n, ok, rest, err := number(text)
	if err != nil || !ok || n == 0 || n > uint64(p.maxAttachments) || len(rest) == 0 || rest[0] != '-' {
		return 0, nil, errAttachments
	}
	return int(n), rest[1:], nil
}

// number reads digits, if there are any.
func number(text []byte) (n uint64, found bool, rest []byte, err error) {
	i := 0
	for ; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
		if i == maxDigits {
			return 0, false, nil, errID
		}
		n = n*10 + uint64(text[i]-'0')
	}
	return n, i > 0, text[i:], nil
}

// payload judges a packet by its JSON.
func (p parser) payload(pk packet, args [][]byte) (packet, error) {
	if pk.kind == typeConnectError {
		return pk, errType
	}
	if len(pk.data) > 0 {
		s := scanner{text: pk.data, maxDepth: p.maxDepth, maxArgs: p.maxArgs, attachments: pk.attachments, args: args[:0]}
		if !s.whole() {
			return pk, errJSON
		}
		pk.args = s.args
	}
	return pk, pk.fits()
}

// fits says whether the payload is one for the type.
func (pk *packet) fits() error {
	first := byte(0)
	if len(pk.data) > 0 {
		first = pk.data[0]
	}
	ok := false
	switch pk.kind {
	case typeConnect:
		ok = first == 0 || first == '{'
	case typeDisconnect:
		ok = first == 0
	case typeEvent, typeBinaryEvent:
		ok = first == '[' && len(pk.args) > 0 && isName(pk.args[0])
	case typeAck, typeBinaryAck:
		ok = first == '['
	}
	if !ok {
		return errPayload
	}
	return nil
}

// isName says whether a JSON text may be the name of an event: a number, or a string that is not reserved.
func isName(text []byte) bool {
	if text[0] == '-' || '0' <= text[0] && text[0] <= '9' {
		return true
	}
	return text[0] == '"' && !reserved(nameOf(text))
}

// nameOf is the name of an event.
func nameOf(text []byte) string {
	if text[0] != '"' {
		return string(text)
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1])
	}
	var name string
	_ = json.Unmarshal(text, &name) // it was scanned
	return name
}

var reservedNames = []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}

// reserved says whether clients drop the connection over an event with that name.
func reserved(name string) bool { return slices.Contains(reservedNames, name) }
