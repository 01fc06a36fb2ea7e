package session

// paper is memory on which the parts of one commit are written one after the other, so that each need not have its own. What
// does not fit any more goes elsewhere by itself.
type paper struct{ blank []byte }

// sheet is enough for a command that touches one node.
const sheet = 3 << 10

func newPaper() paper { return paper{blank: make([]byte, 0, sheet)} }

// rest is where the next part is to be appended.
func (p *paper) rest() []byte { return p.blank }

// took says that a part was appended to rest, and returns it.
func (p *paper) took(part []byte) []byte {
	if len(part) <= cap(p.blank) { // else append has moved it
		p.blank = p.blank[len(part):len(part):cap(p.blank)]
	}
	return part[:len(part):len(part)]
}
