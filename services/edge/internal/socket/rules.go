package socket

import "sync/atomic"

// rules is what all connections of a server share: its limits, its clock, its scratch space and its counters.
type rules struct {
	messageLimit int // bytes of one message
	orders       int // entries of a control queue
	orderBytes   int // bytes of a control queue
	backlogBytes int // bytes of a refill
	passBytes    int // bytes of one vectored write
	passFrames   int // frames of one vectored write, at most IOV_MAX
	falls        uint8
	refills      uint8

	clock   atomic.Uint32 // ticks since the start
	linger  func(*Conn)   // the close frame is out: end the connection in a moment
	batches batches
	readers readers
	count   counters
}

type counters struct {
	opened, closed, messages, pings              atomic.Uint64
	slow, silent, violations, overflows, refills atomic.Uint64
}

// Stats are counts since the start, but for Connections, which is the number now.
type Stats struct {
	Connections int
	Opened      uint64 // upgrades that became connections
	Closed      uint64 // connections that have ended
	Messages    uint64 // text messages received
	Pings       uint64 // pings sent
	Refills     uint64 // slots sent to the log because their ring had moved on
	Slow        uint64 // connections ended because the peer did not keep up
	Silent      uint64 // connections ended because the peer did not answer
	Violations  uint64 // connections ended because the peer broke RFC 6455
	Overflows   uint64 // connections ended because of a full control queue
}

func (c *counters) stats() Stats {
	s := Stats{
		Opened: c.opened.Load(), Closed: c.closed.Load(), Messages: c.messages.Load(), Pings: c.pings.Load(),
		Refills: c.refills.Load(), Slow: c.slow.Load(), Silent: c.silent.Load(),
		Violations: c.violations.Load(), Overflows: c.overflows.Load(),
	}
	s.Connections = int(s.Opened - s.Closed)
	return s
}
