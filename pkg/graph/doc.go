// Package graph is the domain: a forest of typed nodes, the commands that edit it, and what each command did to it.
//
// A Command decides a Change against a Graph and a Schema; it may be refused with a *Rejection and never alters the
// graph. A Change holds every touched node before and after. The events that clients get, the writes to the store, the
// inverse for undo and the stored form of that inverse are all derived from it, in one place each. Applying a change
// that was decided against the same graph cannot fail.
//
// The package promises: a node has at most one parent, parents exist, there is no cycle, siblings have distinct order
// keys; the same command on the same graph decides the same change on every machine; the cost of deciding and applying
// grows with the change and not with the graph. It does no I/O, reads no clock and makes no random ids. It knows
// nothing of sessions, versions or permissions. A Graph is not safe for concurrent use; its Nodes are immutable and are.
//
// There is one file per verb, which is why the package has more files than most.
package graph
