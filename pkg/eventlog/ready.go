package eventlog

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/wire"
)

// ErrEvicts says that Redis may throw away keys of a session one by one, so it must not be used.
var ErrEvicts = errors.New("redis has a maxmemory-policy other than noeviction")

// Ready tells whether Redis answers and keeps what it is given. It returns ErrUnavailable or ErrEvicts.
func (l *Log) Ready(ctx context.Context) error {
	var info string
	err := retry(ctx, func() (err error) {
		info, err = l.rdb.Info(ctx, "memory").Result()
		return err
	})
	switch {
	case err != nil && strings.Contains(err.Error(), "not supported"):
		return nil // an embedded Redis has neither the section nor a limit
	case err != nil:
		return err
	}
	limit, policy := "", ""
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "maxmemory":
			limit = value
		case "maxmemory_policy":
			policy = value
		}
	}
	if limit != "" && limit != "0" && policy != "noeviction" {
		return fmt.Errorf("%w: %s", ErrEvicts, policy)
	}
	return nil
}

// SelfTest runs every script once on a scratch session and removes it, so that a user who lacks a command or a channel is found
// at the start and not by the first client. It should run once before a service is ready.
func (l *Log) SelfTest(ctx context.Context) (err error) {
	session := uuid.New()
	n := NewSession{Epoch: randomEpoch(), Genesis: wire.Digest([]byte(rand.Text()[:8]))}
	head, err := l.Create(ctx, session, n)
	if err != nil {
		return fmt.Errorf("self-test: create: %w", err)
	}
	defer func() {
		err = errors.Join(err, l.Delete(ctx, session, nil), classify(l.rdb.Del(ctx, keysOf(session).dead()).Err()))
	}()
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"commit", func() error { return l.scratchCommits(ctx, session, head.Position) }},
		{"load", func() error { _, err := l.Load(ctx, session); return err }},
		{"update", func() error { return l.Update(ctx, session, HeadChange{}) }},
		{"presence", func() error { return l.SetClients(ctx, session, "self-test", 0) }},
		{"drop", func() error { return l.Drop(ctx, "self-test", []uuid.UUID{session})[0].Err }},
		{"bury", func() error { _, err := l.Bury(ctx, "self-test"); return err }},
		{"lease", func() error { _, err := l.liveEdges(ctx); return err }},
		{"publish", func() error { return l.Publish(ctx, wire.Ephemeral{Session: session}) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("self-test: %s: %w", step.what, err)
		}
	}
	return nil
}

// scratchCommits makes a node, then takes it back, with all that a commit can write.
func (l *Log) scratchCommits(ctx context.Context, session uuid.UUID, at wire.Position) error {
	node := wire.Image{Node: uuid.New(), Bytes: []byte("scratch")}
	steps := []Commit{
		{Images: []wire.Image{node}, Count: 1, Sum: wire.ImageHash(node.Node, node.Bytes), Stack: StackPush},
		{Images: []wire.Image{{Node: node.Node}}, Stack: StackUndo},
	}
	for _, c := range steps {
		c.Session, c.Base = session, at
		c.Entry = Entry{Version: 1, Payload: []byte("scratch")}
		c.Key = &IdempotencyKey{Key: uuid.NewString()}
		c.Meta = HeadChange{Attachments: map[string][]byte{"scratch": []byte("scratch")}}
		c.Delta = wire.AppendDelta(nil, wire.Delta{Count: c.Count, Sum: c.Sum, Images: c.Images})
		c.Record = wire.Build(wire.Header{Session: session, Command: uuid.New(), Epoch: at.Epoch, Version: at.Version + 1,
			Prev: at.Digest, Time: time.Now().UnixMilli()}, nil, nil, c.Delta)
		var err error
		if at, err = l.Commit(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func randomEpoch() wire.Epoch {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return wire.Epoch(binary.BigEndian.Uint64(b[:]) | 1)
}
