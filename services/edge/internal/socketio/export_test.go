package socketio

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
	pk, err := parser{10, 64}.parse(text, nil)
	p := Parsed{pk.kind, pk.attachments, string(pk.namespace), pk.id, pk.hasID, string(pk.data), nil}
	for _, arg := range pk.args {
		p.Args = append(p.Args, string(arg))
	}
	return p, err
}

// IsJSON says whether the scanner takes a text for an array or an object.
func IsJSON(text []byte) bool {
	s := scanner{text: text, maxDepth: 1000}
	return len(text) > 0 && s.whole()
}

// Parser returns the parser with storage of its own, as each session has it.
func Parser() func(text []byte) error {
	var args [][]byte
	return func(text []byte) error {
		pk, err := parser{10, 64}.parse(text, args)
		args = pk.args
		return err
	}
}
