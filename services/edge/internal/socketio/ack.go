package socketio

import (
	"strconv"
	"sync/atomic"
)

// Ack is the answer that an event asks for. It may be kept, and sent later by anybody. The zero Ack is not wanted.
type Ack struct{ owed *owed }

// owed is one answer, sent once.
type owed struct {
	socket *Socket
	id     uint64
	sent   atomic.Bool
}

// Wanted says whether the peer waits for an answer.
func (a Ack) Wanted() bool { return a.owed != nil }

// Send answers. Args are JSON texts. The second call, and one that nobody waits for, do nothing.
func (a Ack) Send(args ...[]byte) error { return a.SendBinary(nil, args...) }

// SendBinary answers with attachments; see AppendBinaryEvent.
func (a Ack) SendBinary(attachments [][]byte, args ...[]byte) error {
	if a.owed == nil {
		return nil
	}
	s := a.owed.socket
	switch {
	case len(attachments) > s.connection.server.cfg.MaxAttachments:
		return ErrAttachments
	case !s.connected():
		return ErrDisconnected
	case a.owed.sent.Swap(true):
		return nil
	}
	head := strconv.AppendUint(appendHead(nil, typeAck, len(attachments), s.namespace), a.owed.id, 10)
	return s.Send(appendFrame(nil, append(head, '['), args, attachments))
}
