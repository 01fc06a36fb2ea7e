package graph

import "crypto/sha1"

// derive returns the UUID of version 5 (RFC 9562 section 5.5) of name in the namespace seed.
func derive(seed NodeID, name []byte) NodeID {
	sum := sha1.Sum(append(seed[:len(seed):len(seed)], name...))
	var id NodeID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}
