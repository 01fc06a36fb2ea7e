package graph

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hash returns a digest of the content of g, the same for equal graphs however they came about.
func Hash(g *Graph) [sha256.Size]byte {
	var total [sha256.Size / 8]uint64
	var image []byte
	for n := range g.All() {
		image = AppendImage(append(image[:0], n.ID[:]...), n)
		sum := sha256.Sum256(image)
		for i := range total {
			total[i] += binary.BigEndian.Uint64(sum[8*i:])
		}
	}
	var hash [sha256.Size]byte
	for i, v := range total {
		binary.BigEndian.PutUint64(hash[8*i:], v)
	}
	return hash
}
