package wire

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// Delta is the private part of a record: what a writer that catches up needs, and
// the checks that a loaded graph must pass at this version.
type Delta struct {
	Count      uint64 // nodes in the session after the commit
	Sum        uint64 // sum of ImageHash over them, modulo 2^64
	Generation uint32 // which set of stored nodes is the live one after the commit
	Replaced   bool   // the commit switched generations: there are no images, load again
	Images     []Image
}

// Image is a node as it is stored after a commit. Bytes are exactly the stored
// value; nil means that the node is gone.
type Image struct {
	Node  uuid.UUID
	Bytes []byte
}

// The layout of a delta: format 1, replaced 1, generation 4, count 8, sum 8, number
// of images 4, then for each image: node 16, present 1, and if present a length of
// 4 and the bytes.
const deltaFormat = 1

// AppendDelta appends the stored form of d.
func AppendDelta(dst []byte, d Delta) []byte {
	dst = append(dst, deltaFormat, flag(d.Replaced))
	dst = binary.BigEndian.AppendUint32(dst, d.Generation)
	dst = binary.BigEndian.AppendUint64(dst, d.Count)
	dst = binary.BigEndian.AppendUint64(dst, d.Sum)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(d.Images)))
	for _, im := range d.Images {
		dst = append(dst, im.Node[:]...)
		dst = append(dst, flag(im.Bytes != nil))
		if im.Bytes != nil {
			dst = appendText(dst, im.Bytes)
		}
	}
	return dst
}

// ParseDelta is the inverse of [AppendDelta]. The images point into b. The error
// wraps [ErrMalformed].
func ParseDelta(b []byte) (Delta, error) {
	c := cursor{rest: b}
	if c.uint8() != deltaFormat {
		c.failed = true
	}
	d := Delta{Replaced: c.uint8() == 1, Generation: c.uint32(), Count: c.uint64(), Sum: c.uint64()}
	n := c.uint32()
	const smallest = 17 // a node that is gone
	if uint64(n) > uint64(len(c.rest))/smallest {
		c.failed = true
	}
	if !c.failed && n > 0 {
		d.Images = make([]Image, 0, n)
	}
	for i := uint32(0); i < n && !c.failed; i++ {
		im := Image{Node: c.id()}
		if c.uint8() == 1 {
			im.Bytes = c.text()
		}
		d.Images = append(d.Images, im)
	}
	if err := c.end("delta"); err != nil {
		return Delta{}, err
	}
	return d, nil
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// ImageHash is a stored node's share of a session's checksum: 64 bits of the
// SHA-256 over its id and its stored bytes. Shares are added modulo 2^64, so that
// a change costs two hashes and the order of nodes does not matter.
func ImageHash(node uuid.UUID, image []byte) uint64 {
	var short [512]byte
	buf := append(append(short[:0], node[:]...), image...)
	sum := sha256.Sum256(buf)
	return binary.BigEndian.Uint64(sum[:8])
}
