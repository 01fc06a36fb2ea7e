package socket

import "sync"

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
