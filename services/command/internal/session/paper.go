package session

// paper is memory on which the parts of a few commits are written one after the other, so that each need not have its own.
// What does not fit any more goes elsewhere by itself. Nothing of it is written on twice.
type paper struct{ blank []byte }

// In bytes: what a command takes that touches one node, and what is too small to begin on.
const (
	sheet = 1280
	strip = 256
)

// newPaper is enough for n small commands; of many it is enough for the first.
func newPaper(n int) paper {
	const most = 8
	return paper{blank: make([]byte, 0, min(n, most)*sheet)}
}

// rest is where the next part is to be appended.
func (p *paper) rest() []byte {
	if cap(p.blank) < strip {
		p.blank = make([]byte, 0, sheet)
	}
	return p.blank
}

// took says that a part was appended to rest, and returns it.
func (p *paper) took(part []byte) []byte {
	if len(part) <= cap(p.blank) { // else append has moved it
		p.blank = p.blank[len(part):len(part):cap(p.blank)]
	}
	return part[:len(part):len(part)]
}
