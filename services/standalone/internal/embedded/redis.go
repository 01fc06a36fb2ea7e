// Package embedded runs a Redis inside the process, for those who have none.
//
// It promises the commands that Talus uses, on a loopback port of its own, with time passing: what has a time to live
// ends on its own. It does not promise durability (everything ends with the process), speed, Redis' memory limits or
// its access control; it is a convenience, and real Redis is the truth.
package embedded

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// tick is how often time is moved on. A lease or a time to live may last that much longer than it says.
const tick = 100 * time.Millisecond

// Redis is a Redis server in this process.
type Redis struct {
	mini *miniredis.Miniredis
	now  func() time.Time
}

// New starts the server on a free loopback port. It answers from then on; its clock moves while Run runs.
func New() (*Redis, error) {
	mini := miniredis.NewMiniRedis()
	if err := mini.Start(); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	mini.Server().SetPreHook(answerMemory)
	return &Redis{mini: mini, now: time.Now}, nil
}

// URL is where clients reach the server.
func (r *Redis) URL() string { return "redis://" + r.mini.Addr() + "/0" }

// Run moves the server's clock until ctx ends, then closes the server. Its clients should have been closed before.
//
// The server can also do this by itself before each command, but then each command costs time in proportion to the
// number of keys.
func (r *Redis) Run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := r.now()
	for {
		select {
		case <-ctx.Done():
			r.mini.Close()
			return nil
		case <-ticker.C:
			now := r.now()
			r.mini.FastForward(now.Sub(last))
			last = now
		}
	}
}

// answerMemory answers INFO memory, which miniredis does not know: services look there for the eviction policy before
// they trust a server, and this server never evicts.
func answerMemory(c *server.Peer, cmd string, args ...string) bool {
	if !strings.EqualFold(cmd, "INFO") || len(args) != 1 || !strings.EqualFold(args[0], "memory") {
		return false
	}
	c.WriteBulk("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n")
	return true
}
