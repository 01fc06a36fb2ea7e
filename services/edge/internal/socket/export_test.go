package socket

import "net"

// Kernel is a socket as the model of the machine has it.
type Kernel interface {
	Write(p []byte) int
	ShutWrite()
	End()
}

type kernel struct {
	Kernel
	give func(*Conn)
}

func (k kernel) write(p []byte) (int, error) { return k.Write(p), nil }

func (k kernel) writev(ps [][]byte) (int, error) {
	var all []byte
	for _, p := range ps {
		all = append(all, p...)
	}
	return k.Write(all), nil
}

func (k kernel) resume() bool { return true }
func (k kernel) flush()       {}

func (k kernel) shutWrite() bool {
	k.ShutWrite()
	return true
}
func (k kernel) end()       { k.End() }
func (k kernel) interrupt() {}

func (k kernel) hand(c *Conn) { k.give(c) }

// NewMachine returns a connection whose every contact with the world is given. A pass writes passBytes at most.
func NewMachine(k Kernel, hand, linger func(*Conn), passBytes int) *Conn {
	return &Conn{kind: &Kind{Framing: webSocket{}}, begun: true, rules: modelRules(linger, passBytes), out: kernel{k, hand}}
}

func modelRules(linger func(*Conn), passBytes int) *rules {
	return &rules{
		messageLimit: 1 << 20, orders: 1000, orderBytes: 1 << 20, backlogBytes: 1 << 20, line: newLine(),
		passBytes: passBytes, passFrames: 1024, falls: 255, refills: 255, linger: linger,
	}
}

// NewDetached returns a connection without a socket, as Server.Detach makes it.
func NewDetached(out Output, linger func(*Conn), passBytes int) *Conn {
	d := &detached{first: out}
	d.kind, d.begun, d.rules, d.out = &Kind{Framing: webSocket{}}, true, modelRules(linger, passBytes), d
	d.word.set(patient)
	return &d.Conn
}

// NewLender returns a connection on a socket that may be lent to c. A patient one leaves all writing to workers.
func (c *Conn) NewLender(k Kernel, hand func(*Conn), waits bool) *Conn {
	lender := &Conn{kind: c.kind, begun: true, rules: c.rules, out: kernel{k, hand}}
	if waits {
		lender.word.set(patient)
	}
	return lender
}

// Handed says whether somebody stands in the writers' line.
func (c *Conn) Handed() bool { return c.rules.line.first != nil }

// TakeHanded takes the first in the writers' line.
func (c *Conn) TakeHanded() *Conn { return c.rules.line.take() }

// Take opens a hijacked connection on nc and returns when it is over.
func (s *Server) Take(nc net.Conn, f Framing, h Handler) {
	s.accept(nc, Opening{}, &Kind{Framing: f, Handler: h, mute: true})
}

// Drained is the kernel's writability event.
func (c *Conn) Drained() { c.speaker().drained() }

// Pass is a writer's turn. It returns false if the writer must take another.
func (c *Conn) Pass() bool {
	c.pass()
	return c.settled()
}

// PeerIsGone is what the reader does at the end of the input.
func (c *Conn) PeerIsGone() { c.fail(0, ErrGone) }

// Marks returns the connection's word, 0 when it rests with nothing to do.
func (c *Conn) Marks() uint64 { return c.word.bits.Load() }

// Rests says whether the connection has nothing to do. That only workers may do it, or that nobody polls, is no work.
func (c *Conn) Rests() bool { return c.word.bits.Load()&^patient == 0 }

// Dead says whether the machine has ended the socket.
func (c *Conn) Dead() bool { return c.word.has(dead) }
