package native

import "unsafe"

// Kept is what the protocol keeps of a client with one subscription, in bytes.
func Kept() map[string]uintptr {
	return map[string]uintptr{
		"connection: client id, join budget":         unsafe.Sizeof(connection{}),
		"its list of subscriptions":                  unsafe.Sizeof(&subscription{}),
		"subscription: session, slot, room":          unsafe.Sizeof(subscription{}),
		"stream: ring and subscription for the slot": unsafe.Sizeof(stream{}),
	}
}
