package eventlog

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Every key of a session carries the hash tag of its bucket, so that a session lives in one slot together with the index of
// its bucket, and one script may touch them all.
//
//	talus:{<bucket>}:<session>:h        hash    the head: position, counts, description; absent means no such session, field x why it is closed
//	talus:{<bucket>}:<session>:l        stream  the log: version n is the entry "n-0", fields r (public part) and d (delta)
//	talus:{<bucket>}:<session>:m        list    marks: where the log may be cut, see commit.lua
//	talus:{<bucket>}:<session>:n:<gen>  hash    the nodes of one generation: id (16 bytes) → image
//	talus:{<bucket>}:<session>:u, r     list    undo and redo: small entries, newest last
//	talus:{<bucket>}:<session>:xu, xr   hash    their payloads: version → bytes
//	talus:{<bucket>}:<session>:i0, i1   hash    idempotency records in two generations
//	talus:{<bucket>}:<session>:a        hash    attachments: name → document
//	talus:{<bucket>}:<session>:p        hash    presence: edge → clients, # → number of the newest announcement
//	talus:{<bucket>}:<session>:dead     string  tombstone: the epoch of the deleted incarnation
//	talus:{<bucket>}:<session>:c        channel
//	talus:{<bucket>}:index              zset    the sessions of the bucket, all with score 0
//	talus:{<bucket>}:project:<project>  zset    the sessions that may have the project: id → ms when listed, see projects.go
//	talus:{edges}                       zset    the edges: id → end of the lease in ms of Redis' clock
//	talus:{edges}:addresses             hash    where edges can be reached: id → end in ms of Redis' clock, address
//	talus:{edges}:secret                string  what all edges sign tokens with
const (
	prefix   = "talus:{"
	buckets  = 1024
	edgesKey = prefix + "edges}"

	addressesKey = edgesKey + ":addresses"
	secretKey    = edgesKey + ":secret"
)

// bucketOf spreads sessions over the buckets, whatever their ids look like.
func bucketOf(session uuid.UUID) int {
	h := fnv.New32a()
	_, _ = h.Write(session[:])
	return int(h.Sum32() % buckets)
}

func bucketTag(bucket int) string {
	const digits = "0123456789abcdef"
	return prefix + string([]byte{digits[bucket>>8&15], digits[bucket>>4&15], digits[bucket&15]}) + "}:"
}

func indexKey(bucket int) string { return bucketTag(bucket) + "index" }

// projectKey has the bucket of the project, not of a session.
func projectKey(project string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(project))
	return bucketTag(int(h.Sum32()%buckets)) + "project:" + project
}

// keys makes the key names of one session.
type keys struct{ base string }

func keysOf(session uuid.UUID) keys {
	return keys{base: bucketTag(bucketOf(session)) + session.String() + ":"}
}

func (k keys) head() string        { return k.base + "h" }
func (k keys) log() string         { return k.base + "l" }
func (k keys) marks() string       { return k.base + "m" }
func (k keys) undo() string        { return k.base + "u" }
func (k keys) redo() string        { return k.base + "r" }
func (k keys) undoData() string    { return k.base + "xu" }
func (k keys) redoData() string    { return k.base + "xr" }
func (k keys) keyed0() string      { return k.base + "i0" }
func (k keys) keyed1() string      { return k.base + "i1" }
func (k keys) attachments() string { return k.base + "a" }
func (k keys) presence() string    { return k.base + "p" }
func (k keys) dead() string        { return k.base + "dead" }
func (k keys) channel() string     { return k.base + "c" }

// inCommit are the suffixes of the keys of a commit but for the nodes, and of its channel.
var inCommit = [...]string{"h", "l", "m", "u", "r", "xu", "xr", "i0", "i1", "a", "dead", "c"}

// ofCommit makes these names at once, which share memory.
func (k keys) ofCommit() (names [len(inCommit)]string) {
	var b strings.Builder
	b.Grow(len(inCommit) * (len(k.base) + len("dead")))
	for _, suffix := range inCommit {
		_, _ = b.WriteString(k.base)
		_, _ = b.WriteString(suffix)
	}
	all := b.String()
	for i, suffix := range inCommit {
		n := len(k.base) + len(suffix)
		names[i], all = all[:n], all[n:]
	}
	return names
}

func (k keys) nodes(generation uint32) string {
	return k.base + "n:" + strconv.FormatUint(uint64(generation), 10)
}

// entryID is the stream id of a version.
func entryID(version uint64) string { return strconv.FormatUint(version, 10) + "-0" }
