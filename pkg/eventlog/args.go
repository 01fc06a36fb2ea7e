package eventlog

import (
	"context"

	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/wire"
)

// arguments collects what a script is sent. The client takes values of any type, and would have a box made for each; so it
// gets pointers into two lists instead.
type arguments struct {
	all     []any
	texts   []string
	numbers []uint64
}

func (a *arguments) text(texts ...string) {
	for _, s := range texts {
		a.texts = append(a.texts, s)
		a.all = append(a.all, &a.texts[len(a.texts)-1])
	}
}

func (a *arguments) number(numbers ...uint64) {
	for _, n := range numbers {
		a.numbers = append(a.numbers, n)
		a.all = append(a.all, &a.numbers[len(a.numbers)-1])
	}
}

func (a *arguments) bytes(list ...[]byte) {
	for _, b := range list {
		if len(b) == 0 {
			a.all = append(a.all, "")
			continue
		}
		a.all = append(a.all, b)
	}
}

const (
	commitKeys = 13 // that commit.lua names
	fixedArgs  = 33 // arguments of commit.lua before the lists
)

// form is how a server is told which script to run. Its values are boxed once.
type form struct{ verb, script any }

var (
	byHash = form{"evalsha", commitScript.Hash()}
	byText = form{"eval", commitSource} // nobody can flush it between two commands
)

// command is the call of commit.lua, with its arguments in its order.
func (l *Log) command(ctx context.Context, c *Commit, f form) *redis.Cmd {
	fields, attached, detached := c.Meta.args()
	if c.Meta.Saved != nil {
		fields = append(fields, "sv", *c.Meta.Saved)
	}
	const front = 3 + commitKeys + fixedArgs
	a := arguments{
		all:   make([]any, 0, front+2*len(c.Images)+len(fields)+len(attached)+len(detached)),
		texts: make([]string, 0, 32), numbers: make([]uint64, 0, 24),
	}
	k := keysOf(c.Session)
	a.all = append(a.all, f.verb, f.script, commitKeys)
	names := k.ofCommit()
	c.addKeys(&a, k, names)
	c.addRecord(&a)
	c.addStack(&a, l.cfg)
	c.addKeyed(&a)
	a.number(uint64(max(0, l.cfg.Retention)), uint64(l.cfg.MinAge.Milliseconds()), uint64(l.cfg.MaxLogBytes))
	c.addMessage(&a, names[11])
	set, gone := c.counts()
	a.number(2*set, gone, uint64(len(fields)), uint64(len(attached)), uint64(len(detached)))
	c.addTurn(&a, &l.turns)
	c.addImages(&a)
	a.all = append(append(append(a.all, fields...), attached...), detached...)
	cmd := redis.NewCmd(ctx, a.all...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

func (c *Commit) addKeys(a *arguments, k keys, names [len(inCommit)]string) {
	nodes := k.nodes(c.Generation)
	staged := nodes
	if c.Staged != nil {
		staged = k.nodes(c.Staged.Generation)
	}
	a.text(names[:2]...)
	a.text(nodes)
	a.text(names[2:10]...)
	a.text(staged, names[10])
}

func (c *Commit) addRecord(a *arguments) {
	const digits = 16 // of each
	b := c.Base.Epoch.AppendText(make([]byte, 0, 3*digits))
	names := string(c.Record.Digest.AppendText(c.Base.Digest.AppendText(b)))
	a.text(names[:digits])
	a.number(c.Base.Version)
	a.text(names[digits : 2*digits])
	a.number(c.Record.Version)
	a.text(names[2*digits:])
	a.bytes(c.Record.Raw, c.Delta)
	a.number(c.Count, c.Sum, uint64(c.Generation))
	if c.Staged == nil {
		a.text("")
	} else {
		a.number(uint64(c.Staged.Generation))
	}
}

func (c *Commit) addStack(a *arguments, cfg Config) {
	a.text(c.Stack.String())
	a.number(c.Entry.Version)
	a.text(c.Entry.meta())
	a.bytes(c.Entry.Payload)
	a.number(uint64(cfg.UndoDepth), uint64(cfg.UndoBytes))
}

func (c *Commit) addKeyed(a *arguments) {
	if c.Key == nil {
		a.text("", "")
		return
	}
	a.text(c.Key.Key)
	a.bytes(c.Key.append(nil, c.token))
}

func (c *Commit) addMessage(a *arguments, channel string) {
	switch {
	case c.Silent:
		a.text("", "")
	case len(c.Record.Raw) <= wire.MaxPublished:
		a.text(channel, "")
	default:
		a.text(channel)
		a.bytes(wire.AppendNotice(nil, wire.Notice{Session: c.Session, Position: c.Record.Position(), Size: uint32(len(c.Record.Raw))}))
	}
}

func (c *Commit) addTurn(a *arguments, t *turns) {
	var turn, missing uint64
	more := ""
	if c.AskTurn {
		turn = uint64(t.length().Milliseconds())
	}
	if c.more {
		more = "1"
	}
	if !c.follows {
		missing = maxBrought
	}
	a.text(t.writer)
	a.number(turn)
	a.text(more)
	a.number(missing)
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
			a.all = append(a.all, im.Node[:], im.Bytes)
		}
	}
	for i := range c.Images {
		if im := &c.Images[i]; im.Bytes == nil {
			a.all = append(a.all, im.Node[:])
		}
	}
}
