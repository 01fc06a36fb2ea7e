package edge

import "context"

// Towards is the search for an own address.
var Towards = towards

// Advertised is where other edges are told that an edge is.
func Advertised(ctx context.Context, e *Edge) (string, error) { return e.advertised(nil)(ctx) }

// Polls is how many polls have come so far.
func Polls(e *Edge) uint64 { return e.polls.Stats().Polls }
