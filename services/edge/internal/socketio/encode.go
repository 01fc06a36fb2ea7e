package socketio

import (
	"encoding/json"
	"strconv"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
)

// AppendEvent appends the frame of an event, for one peer or, as it is the same for all, for many. Args are JSON texts.
// Nothing is allocated if dst has room. The name must not be reserved, nor the namespace contain a comma.
func AppendEvent(dst []byte, namespace, name string, args ...[]byte) []byte {
	var buf [128]byte
	head := appendName(appendHead(buf[:0], typeEvent, 0, namespace), name)
	return appendFrame(dst, head, args, nil)
}

// AppendBinaryEvent appends the frames of an event with attachments, which must stay together. In args,
// {"_placeholder":true,"num":n} stands for attachments[n].
func AppendBinaryEvent(dst []byte, namespace, name string, attachments [][]byte, args ...[]byte) []byte {
	var buf [128]byte
	head := appendName(appendHead(buf[:0], typeEvent, len(attachments), namespace), name)
	return appendFrame(dst, head, args, attachments)
}

// appendHead appends what stands before the id. With attachments the type is that of the binary packet.
func appendHead(dst []byte, kind byte, attachments int, namespace string) []byte {
	if attachments > 0 {
		dst = append(dst, kind+typeBinaryEvent-typeEvent)
		dst = append(strconv.AppendInt(dst, int64(attachments), 10), '-')
	} else {
		dst = append(dst, kind)
	}
	if namespace == "/" {
		return dst
	}
	return append(append(dst, namespace...), ',')
}

// appendName appends the beginning of an event's array.
func appendName(dst []byte, name string) []byte {
	dst = append(dst, '[')
	if !plain(name) {
		text, _ := json.Marshal(name) // a string always has a JSON form
		return append(dst, text...)
	}
	return append(append(append(dst, '"'), name...), '"')
}

// plain says whether a string is its own JSON form but for the quotes.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7F || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendFrame appends a packet whose array begins in head, and its attachments.
func appendFrame(dst, head []byte, args, attachments [][]byte) []byte {
	size := len(head) + 1
	comma := head[len(head)-1] != '['
	for i, arg := range args {
		size += len(arg)
		if i > 0 || comma {
			size++
		}
	}
	dst = append(engineio.AppendHeader(dst, size), head...)
	for i, arg := range args {
		if i > 0 || comma {
			dst = append(dst, ',')
		}
		dst = append(dst, arg...)
	}
	dst = append(dst, ']')
	for _, a := range attachments {
		dst = engineio.AppendBinary(dst, a)
	}
	return dst
}

// message is the frame of a packet without attachments.
func message(head []byte, payload []byte) []byte {
	dst := engineio.AppendHeader(make([]byte, 0, len(head)+len(payload)+11), len(head)+len(payload))
	return append(append(dst, head...), payload...)
}
