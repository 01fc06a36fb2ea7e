package blueprint

import (
	"crypto/sha1" //nolint:gosec // The ids of existing projects are derived with SHA-1; nothing is protected by it.

	"github.com/google/uuid"
)

// Stable derives the id of a named thing: the first 16 bytes of SHA-1 of "ns:name", as they are.
// Version and variant bits are not set, so the result is UUID text but no RFC 9562 UUID.
func Stable(ns, name string) uuid.UUID {
	sum := sha1.Sum([]byte(ns + ":" + name)) //nolint:gosec // See above.

	return uuid.UUID(sum[:16])
}

// TypeID is the id of a node type that states none.
func TypeID(typeKey string) uuid.UUID { return Stable("node_type", typeKey) }

// PropertyID is the id of a property that states none. declared is its id in the file.
func PropertyID(typeKey, declared string) uuid.UUID { return Stable("property."+typeKey, declared) }

// OptionID is the id of an option that states none.
func OptionID(typeKey, declared, option string) uuid.UUID {
	return Stable(typeKey+"."+declared, option)
}
