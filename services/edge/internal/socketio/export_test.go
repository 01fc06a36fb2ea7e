package socketio

import "math"

// Parsed is a packet as the parser sees it.
type Parsed struct {
	Kind        byte
	Attachments int
	Namespace   string
	ID          uint64
	HasID       bool
	Data        string
	Args        []string
}

// Parse takes a packet apart with the default limits.
func Parse(text []byte) (Parsed, error) {
	pk, err := parser{10, 64, 1000}.parse(text, nil)
	p := Parsed{pk.kind, pk.attachments, string(pk.namespace), pk.id, pk.hasID, string(pk.data), nil}
	for _, arg := range pk.args {
		p.Args = append(p.Args, string(arg))
	}
	return p, err
}

// IsJSON says whether the scanner takes a text for an array or an object.
func IsJSON(text []byte) bool {
	s := scanner{text: text, maxDepth: 1000, maxArgs: math.MaxInt}
	return len(text) > 0 && s.whole()
}

// Parser returns the parser with storage of its own, as each session has it.
func Parser() func(text []byte) error {
	var args [][]byte
	return func(text []byte) error {
		pk, err := parser{10, 64, 1000}.parse(text, args)
		args = pk.args
		return err
	}
}

// Kept is for how many arguments a connection keeps room after a message of n.
func Kept(n int) int {
	var c connection
	c.keep(make([][]byte, n))
	return cap(c.args)
}

// Clone returns a function that copies a packet as it is copied to wait, and gives its arguments.
func Clone(text []byte) func() [][]byte {
	pk, err := parser{10, 64, 1000}.parse(text, nil)
	if err != nil {
		panic(err)
	}
	return func() [][]byte {
		kept := pk.clone()
		return kept.args
	}
}
