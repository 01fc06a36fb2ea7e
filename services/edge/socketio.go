package edge

import (
	"cmp"
	"crypto/sha256"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
	"github.com/talus-tally/talus/services/edge/internal/graphio"
	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// assembleSocketIO makes the namespace /graph and what is below it.
func (e *Edge) assembleSocketIO() (err error) {
	limits := e.door.requests(e.cfg)
	e.graph = graphio.New(graphio.Config{
		Hub: e.hub, Commands: e.commands, Key: e.key(), Problem: problemOf,
		Sessions: limits.Sessions, Joins: limits.Joins, Refused: limits.Refused,
		JoinWithin: e.cfg.JoinWithin,
	}, e.registry, e.log)
	packets := socketio.New(socketio.Config{ConnectTimeout: cmp.Or(e.cfg.JoinWithin, -1)}, // 0: no limit
		map[string]socketio.Namespace{graphevent.Namespace: e.graph})
	e.polls, err = engineio.New(engineio.Config{
		MaxPayload: int(e.cfg.MaxPayload), Origins: e.door.origins, Credentials: true,
		NewID:   func() string { return e.relay.SessionID(engineio.RandomID()) },
		Unknown: e.relay.Pass,
		Refused: e.door.refuse,
	}, e.sockets, packets)
	return err
}

// key is what signs the tokens of Socket.IO clients: the operator's secret, or the one that all edges find in Redis.
func (e *Edge) key() func() []byte {
	if e.cfg.Secret == "" {
		return e.relay.Secret
	}
	sum := sha256.Sum256([]byte(e.cfg.Secret))
	return func() []byte { return sum[:] }
}
