package eventlog

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/planted"
)

//go:embed commit.lua
var commitSource string

//go:embed create.lua
var createSource string

//go:embed delete.lua
var deleteSource string

//go:embed condemn.lua
var condemnSource string

//go:embed read.lua
var readSource string

//go:embed update.lua
var updateSource string

//go:embed stage.lua
var stageSource string

//go:embed presence.lua
var presenceSource string

//go:embed drop.lua
var dropSource string

//go:embed lease.lua
var leaseSource string

//go:embed register.lua
var registerSource string

//go:embed bury.lua
var burySource string

// The scripts. They are sent by their hash. A server that does not know one (it was restarted, it took over, somebody flushed
// them) is sent the text instead, not given it beforehand: what was given can be flushed again before it is used.
var (
	commitText     = planted.Script(commitSource)
	commitScript   = redis.NewScript(commitText)
	createScript   = redis.NewScript(createSource)
	deleteScript   = redis.NewScript(deleteSource)
	updateScript   = redis.NewScript(updateSource)
	condemnScript  = redis.NewScript(condemnSource)
	readScript     = redis.NewScript(readSource)
	stageScript    = redis.NewScript(stageSource)
	presenceScript = redis.NewScript(presenceSource)
	dropScript     = redis.NewScript(dropSource)
	leaseScript    = redis.NewScript(leaseSource)
	buryScript     = redis.NewScript(burySource)
	registerScript = redis.NewScript(registerSource)
)

// runScript runs a script that answers with a number; it is safe to run it twice. Numbers of a missing session become errors.
func (l *Log) runScript(ctx context.Context, s *redis.Script, keys []string, args ...any) (int64, error) {
	var n int64
	err := retry(ctx, func() (err error) {
		n, err = s.Run(ctx, l.rdb, keys, args...).Int64()
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, missingSession(n)
}

// forgotten tells whether a server answered that it does not know a script.
func forgotten(err error) bool { return err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") }

// runMany runs a script n times in one pipeline; it is safe to run each of them twice. Each command has its own result. A server
// that does not know the script is sent the rest again with the text, and so is one whose connection breaks.
func (l *Log) runMany(ctx context.Context, s *redis.Script, n int, call func(int) ([]string, []any)) []*redis.Cmd {
	cmds := make([]*redis.Cmd, n)
	again := func(cmd *redis.Cmd) bool {
		return cmd == nil || forgotten(cmd.Err()) || unanswered(cmd.Err())
	}
	run := s.EvalSha
	for range attempts {
		p := l.rdb.Pipeline()
		for i := range cmds {
			if again(cmds[i]) {
				keys, args := call(i)
				cmds[i] = run(ctx, p, keys, args...)
			}
		}
		_, _ = p.Exec(ctx) // each command has its own error
		if !slices.ContainsFunc(cmds, again) || ctx.Err() != nil {
			break
		}
		run = s.Eval
	}
	return cmds
}

// missingSession is the error for what the scripts answer when there is no head.
func missingSession(n int64) error {
	switch n {
	case -1:
		return ErrNoSession
	case -2:
		return ErrGone
	default:
		return nil
	}
}

// reply is the array that a script answers.
type reply []any

func (r reply) number(i int) int64 {
	if i < len(r) {
		if n, ok := r[i].(int64); ok {
			return n
		}
	}
	return 0
}

func (r reply) text(i int) string {
	if i < len(r) {
		if s, ok := r[i].(string); ok {
			return s
		}
	}
	return ""
}

func (r reply) list(i int) []any {
	if i < len(r) {
		return asList(r[i])
	}
	return nil
}

func (r reply) texts(i int) []string {
	list := r.list(i)
	texts := make([]string, 0, len(list))
	for _, v := range list {
		if text, ok := v.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// parseReply checks that a script answered with an array that begins with a number.
func parseReply(v any, err error) (reply, error) {
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, fmt.Errorf("script answered %T", v)
	}
	if _, ok := list[0].(int64); !ok {
		return nil, fmt.Errorf("script answered %T first", list[0])
	}
	return list, nil
}
