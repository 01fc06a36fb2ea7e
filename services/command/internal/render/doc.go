// Package render writes a session's graph as the JSON of answers and events: the nested form with rendering hints that
// clients draw, and the flat form of a single node.
//
// Everything is appended to a buffer that the caller owns, without reflection and without recursion: a chain of a
// million nodes costs a million stack entries of a slice, never a deep call stack. Property and metadata values are
// copied as the raw JSON that the graph holds, so no number passes through a float. Map keys are written in sorted
// order, which makes the bytes of a graph a function of its contents.
//
// The package does not look at sessions, versions or requests, and it never fails: a graph that is in memory has
// been checked before it got there.
package render
