package socket

import (
	"math/bits"
	"sync"

	"github.com/talus-tally/talus/pkg/planted"
)

// flushRecords sends what the marked slots have not sent, at most one vectored write of it, in turn. It returns true
// if the stream stands between two frames and the socket still takes bytes.
func (c *Conn) flushRecords() bool {
	marks := c.word.bits.Load() & (behindAll | missedAll)
	if marks == 0 {
		return true
	}
	c.word.clear(marks & missedAll)
	for m := marks >> missedShift; m != 0; m &= m - 1 {
		if i := bits.TrailingZeros64(m); i < len(c.slots) {
			c.slots[i].missed = true
		}
	}
	late := uint16(marks >> behindShift)
	if late != 0 && !c.catchUp(late) {
		c.word.set(marks & missedAll) // nobody has looked at them
		return false
	}
	return c.flushMissed()
}

// catchUp collects frames of the slots in late and writes them.
func (c *Conn) catchUp(late uint16) bool {
	b := c.rules.batches.get()
	defer c.rules.batches.put(b)
	share := max(c.rules.passBytes/bits.OnesCount16(late), 1)
	for i := range uint8(MaxSlots) {
		index := (c.turn + i) % MaxSlots
		if late&(1<<index) != 0 {
			c.collect(b, index, share)
		}
	}
	c.turn = (c.turn + 1) % MaxSlots
	if len(b.frames) == 0 {
		c.record(b, 0)
		return true
	}
	if len(b.frames) > 1 && planted.Is(planted.SwapFrames) {
		b.frames[0], b.frames[1] = b.frames[1], b.frames[0]
	}
	n, err := c.out.writev(b.frames)
	if !c.account(n, err) {
		return false
	}
	if n < b.bytes {
		c.arm()
	}
	c.record(b, n)
	return n == b.bytes
}

// collect adds what a slot has not sent, up to share bytes but at least one frame, to the batch. The mark is cleared
// before the ring's head is read: a commit after the read marks again, so there is no window.
func (c *Conn) collect(b *batch, index uint8, share int) {
	c.word.clear(behind(index))
	if int(index) >= len(c.slots) {
		return
	}
	s := &c.slots[index]
	if s.mode == vacant || s.mode == refill {
		return
	}
	s.mode = late
	r := run{slot: index, head: s.stream.Head()}
	size := 0
	for v := s.cursor; (r.count < len(s.backlog) || v < r.head) && len(b.frames) < c.rules.passFrames; v++ {
		f := c.frameAt(s, r.count, v+1)
		if f == nil {
			break
		}
		if size+len(f) > share && r.count > 0 || b.bytes+len(f) > c.rules.passBytes && len(b.frames) > 0 {
			break
		}
		b.frames = append(b.frames, f)
		b.bytes += len(f)
		size += len(f)
		r.count++
	}
	b.runs = append(b.runs, r)
}

// frameAt returns the frame of a version that follows i frames after the slot's cursor, from the backlog or the ring.
func (c *Conn) frameAt(s *slot, i int, version uint64) []byte {
	if i < len(s.backlog) {
		return s.backlog[i]
	}
	return s.stream.Frame(version)
}

// record moves the cursors: n bytes of the batch were accepted. A frame of which one byte was accepted is sent.
func (c *Conn) record(b *batch, n int) {
	frames := b.frames
	for _, r := range b.runs {
		s := &c.slots[r.slot]
		sent := 0
		for ; sent < r.count && n > 0; sent++ {
			f := frames[sent]
			if n < len(f) {
				c.rest = f[n:]
			}
			n -= min(n, len(f))
		}
		frames = frames[r.count:]
		if planted.Is(planted.CursorOnFull) {
			sent = r.count
		}
		c.advance(s, r, sent)
	}
}

// advance moves a slot's cursor by sent versions and decides where it stands.
func (c *Conn) advance(s *slot, r run, sent int) {
	s.cursor += uint64(sent)
	if fromLog := min(sent, len(s.backlog)); fromLog > 0 {
		if s.backlog = s.backlog[fromLog:]; len(s.backlog) == 0 {
			s.backlog = nil
		}
		s.touched = s.touched || sent > fromLog
	} else if sent > 0 {
		s.touched = true
	}
	switch {
	case len(s.backlog) == 0 && s.cursor >= r.head:
		s.mode, s.falls, s.refills = live, 0, 0
		if s.missed {
			c.word.set(missed(r.slot))
		}
	case sent == r.count && len(s.backlog) == 0 && s.stream.Frame(s.cursor+1) == nil:
		c.askRefill(s, r.slot)
	default:
		c.word.set(behind(r.slot))
	}
}

// askRefill sends a slot that has fallen off its ring to the log, unless it did so too often.
func (c *Conn) askRefill(s *slot, index uint8) {
	if planted.Is(planted.SkipGapFill) {
		s.cursor, s.mode = s.stream.Head(), live
		return
	}
	if s.touched {
		s.falls++
	}
	s.refills++
	s.touched = false
	s.mode = refill
	if s.falls > c.rules.falls || s.refills > c.rules.refills {
		c.tooSlow()
		return
	}
	c.rules.count.refills.Add(1)
	s.stream.Refill(c, Slot{index: index, gen: s.gen}, s.cursor)
}

// flushMissed sends the room's newest states to the slots that missed one and have caught up.
func (c *Conn) flushMissed() bool {
	ok := true
	for i := range c.slots {
		s := &c.slots[i]
		switch {
		case !s.missed || s.mode != live:
		case !ok:
			c.word.set(missed(uint8(i)))
		default:
			f, told := s.stream.Latest(s.told)
			if s.missed = len(f) > 0 && !c.put(f); s.missed {
				c.word.set(missed(uint8(i)))
			} else {
				s.told = told
			}
			ok = !s.missed && len(c.rest) == 0
		}
	}
	return ok
}

// batch is the scratch space of one vectored write.
type batch struct {
	frames [][]byte
	bytes  int
	runs   []run
}

// run is a part of a batch: count frames of one slot; head is the ring's head when it was looked at.
type run struct {
	slot  uint8
	count int
	head  uint64
}

// batches lends scratch space to whoever does a pass.
type batches struct{ pool sync.Pool }

func (b *batches) get() *batch {
	if x, ok := b.pool.Get().(*batch); ok {
		return x
	}
	return &batch{frames: make([][]byte, 0, 64), runs: make([]run, 0, MaxSlots)}
}

func (b *batches) put(x *batch) {
	clear(x.frames)
	x.frames, x.runs, x.bytes = x.frames[:0], x.runs[:0], 0
	b.pool.Put(x)
}
