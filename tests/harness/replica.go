package harness

import "github.com/talus-tally/talus/tests/replica"

// Replica is a client's copy of a session's graph.
type Replica = replica.Replica

// NewReplica is the empty graph: version 0.
func NewReplica() *Replica { return replica.New() }
