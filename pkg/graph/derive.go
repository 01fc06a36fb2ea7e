package graph

import "crypto/sha1"

// derive returns the id that a command of id seed gives to the thing called name: the same in every try of the command.
// It is a UUID of version 5 (RFC 9562 section 5.5) in the namespace seed. Of a seed of version 7 it keeps the version and
// the 48 bits of time (section 5.7), so that new nodes sort by the time of their command as other new ids do.
func derive(seed NodeID, name []byte) NodeID {
	const timeBytes = 6
	sum := sha1.Sum(append(seed[:len(seed):len(seed)], name...))
	var id NodeID
	copy(id[:], sum[:])
	version := byte(5)
	if seed.Version() == 7 {
		version = 7
		copy(id[:timeBytes], seed[:timeBytes])
	}
	id[6] = id[6]&0x0f | version<<4
	id[8] = id[8]&0x3f | 0x80
	return id
}
