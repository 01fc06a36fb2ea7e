//go:build linux

package socket

import "unsafe"

// Kept is what a polled connection with one subscription keeps while nothing happens, in bytes.
func Kept() map[string]uintptr {
	return map[string]uintptr{
		"descriptor: word, queue, cursors' header, times, household, place": unsafe.Sizeof(descriptor{}),
		"slot: stream, cursor, mode":                                        unsafe.Sizeof(slot{}),
		"registry: pointer, generation":                                     unsafe.Sizeof(&Conn{}) + unsafe.Sizeof(uint32(0)),
	}
}
