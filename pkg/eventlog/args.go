package eventlog

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/wire"
)

// arguments collects what a script is sent. The client takes values of any type, and would have a box made for each; so it
// gets pointers into lists instead.
type arguments struct {
	all   []any
	texts []string
	blobs []blob
	own   []byte // what is written for the script alone
}

// blob is bytes that the client can be pointed at.
type blob []byte

// MarshalBinary implements encoding.BinaryMarshaler.
func (b *blob) MarshalBinary() ([]byte, error) { return *b, nil }

func (a *arguments) text(texts ...string) {
	for _, s := range texts {
		a.texts = append(a.texts, s)
		a.all = append(a.all, &a.texts[len(a.texts)-1])
	}
}

func (a *arguments) bytes(list ...[]byte) {
	for _, b := range list {
		if len(b) == 0 {
			a.all = append(a.all, "")
			continue
		}
		a.blobs = append(a.blobs, b)
		a.all = append(a.all, &a.blobs[len(a.blobs)-1])
	}
}

// written adds what was appended to own since it had that length.
func (a *arguments) written(from int) { a.bytes(a.own[from:len(a.own):len(a.own)]) }

const (
	commitKeys  = 13  // that commit.lua names
	groupArgs   = 3   // arguments of commit.lua before the records
	recordArgs  = 8   // of each record before its lists
	recordBlobs = 7   // of them, those that are bytes
	recordOwn   = 224 // bytes that are written for one record
)

// form is how a server is told which script to run. Its values are boxed once.
type form struct{ verb, script any }

var (
	byHash = form{"evalsha", commitScript.Hash()}
	byText = form{"eval", commitText} // nobody can flush it between two commands
)

// limits is what commit.lua is told of the log itself, the same in every call.
func limits(cfg Config, writer string) any {
	return fmt.Sprintf("%d %d %d %d %d %s", cfg.UndoDepth, cfg.UndoBytes, max(0, cfg.Retention), cfg.MinAge.Milliseconds(), cfg.MaxLogBytes, writer)
}

// command is the call of commit.lua for commits of one session, each decided on the one before, with its arguments in its order.
func (l *Log) command(ctx context.Context, group []Commit, f form) *redis.Cmd {
	c := &group[0]
	n, blobs := 3+commitKeys+groupArgs, 0
	for i := range group {
		n += recordArgs + 2*len(group[i].Images)
		blobs += recordBlobs + 2*len(group[i].Images)
	}
	k := keysOf(c.Session)
	names := k.ofCommit()
	a := arguments{
		all: make([]any, 0, n), texts: make([]string, 0, commitKeys+2+len(group)), blobs: make([]blob, 0, blobs),
		own: make([]byte, 0, recordOwn*len(group)),
	}
	a.all = append(a.all, f.verb, f.script, commitKeys)
	addKeys(&a, k, names, group)
	a.all = append(a.all, l.limits)
	a.text(l.base(group))
	if c.Silent {
		a.text("")
	} else {
		a.text(names[11])
	}
	for i := range group {
		group[i].addTo(&a)
	}
	cmd := redis.NewCmd(ctx, a.all...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

func addKeys(a *arguments, k keys, names [len(inCommit)]string, group []Commit) {
	nodes := k.nodes(group[0].Generation)
	staged := nodes
	for i := range group {
		if s := group[i].Staged; s != nil {
			staged = k.nodes(s.Generation)
		}
	}
	a.text(names[:2]...)
	a.text(nodes)
	a.text(names[2:10]...)
	a.text(staged, names[10])
}

// base is what the group stands on, and what is to be done if that is not the head.
func (l *Log) base(group []Commit) string {
	c, last := &group[0], &group[len(group)-1]
	var turn, missing, more uint64
	if c.AskTurn {
		turn = uint64(l.turns.length().Milliseconds())
	}
	if last.more {
		more = 1
	}
	if !c.follows {
		missing = maxBrought
	}
	b := append(c.Base.Epoch.AppendText(make([]byte, 0, 96)), ' ')
	b = append(strconv.AppendUint(b, c.Base.Version, 10), ' ')
	b = c.Base.Digest.AppendText(b)
	return string(appendNumbers(b, uint64(c.Generation), turn, more, missing))
}

// appendNumbers appends each behind a space.
func appendNumbers(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = strconv.AppendUint(append(b, ' '), n, 10)
	}
	return b
}

// addTo adds what commit.lua is told of one record.
func (c *Commit) addTo(a *arguments) {
	fields, attached, detached := c.Meta.args()
	if c.Meta.Saved != nil {
		fields = append(fields, "sv", *c.Meta.Saved)
	}
	set, gone := c.counts()
	from := len(a.own)
	b := append(strconv.AppendUint(a.own, c.Record.Version, 10), ' ')
	b = appendNumbers(c.Record.Digest.AppendText(b), c.Count, c.Sum)
	b = append(append(append(b, ' '), c.Stack.String()...), ' ')
	b = append(strconv.AppendUint(b, c.Entry.Version, 10), ' ')
	if c.Staged == nil {
		b = append(b, '-')
	} else {
		b = strconv.AppendUint(b, uint64(c.Staged.Generation), 10)
	}
	a.own = appendNumbers(b, 2*set, gone, uint64(len(fields)), uint64(len(attached)), uint64(len(detached)))
	a.written(from)
	a.bytes(c.Record.Raw, c.Delta)
	from = len(a.own)
	a.own = c.Entry.appendMeta(a.own)
	a.written(from)
	a.bytes(c.Entry.Payload)
	if c.Key == nil {
		a.text("")
		a.bytes(nil)
	} else {
		a.text(c.Key.Key)
		a.bytes(c.Key.append(nil, c.token))
	}
	a.bytes(c.notice())
	c.addImages(a)
	a.all = append(append(append(a.all, fields...), attached...), detached...)
}

// notice is what is published of a record that is too large for the channel; nil for others, which are published themselves.
func (c *Commit) notice() []byte {
	if c.Silent || len(c.Record.Raw) <= wire.MaxPublished {
		return nil
	}
	return wire.AppendNotice(nil, wire.Notice{Session: c.Session, Position: c.Record.Position(), Size: uint32(len(c.Record.Raw))})
}

// counts are the numbers of nodes that are set and that are gone.
func (c *Commit) counts() (set, gone uint64) {
	for i := range c.Images {
		if c.Images[i].Bytes != nil {
			set++
		} else {
			gone++
		}
	}
	return set, gone
}

func (c *Commit) addImages(a *arguments) {
	for i := range c.Images {
		if im := &c.Images[i]; im.Bytes != nil {
			a.bytes(im.Node[:], im.Bytes)
		}
	}
	for i := range c.Images {
		if im := &c.Images[i]; im.Bytes == nil {
			a.bytes(im.Node[:])
		}
	}
}
