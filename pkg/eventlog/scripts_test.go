package eventlog_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
)

// forgetful is a hook that lets a server forget its scripts before every command, also between those of a pipeline. It must
// have that server to itself.
type forgetful struct {
	admin redis.UniversalClient
	met   atomic.Int32 // scripts that the server did not know
}

func (f *forgetful) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *forgetful) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := f.admin.ScriptFlush(ctx).Err(); err != nil {
			return err
		}
		err := next(ctx, cmd)
		f.count(cmd)
		return err
	}
}

func (f *forgetful) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "multi" { // nobody else comes in between
			return next(ctx, cmds)
		}
		with := make([]redis.Cmder, 0, 2*len(cmds))
		for _, cmd := range cmds {
			with = append(with, redis.NewStatusCmd(ctx, "script", "flush"), cmd)
		}
		err := next(ctx, with)
		for _, cmd := range cmds {
			f.count(cmd)
		}
		return err
	}
}

func (f *forgetful) count(cmd redis.Cmder) {
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		f.met.Add(1)
	}
}

func TestNoScriptIsLostOnAServerThatForgetsThemAgainAndAgain(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{
		"miniredis": func(t testing.TB) string { return "redis://" + miniredis.RunT(t).Addr() },
		"redis":     func(t testing.TB) string { return redistest.Server(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := url(t)
			rdb, hook := connects(t, at), &forgetful{admin: connects(t, at)}
			rdb.AddHook(hook)
			log := eventlog.New(rdb, eventlog.Config{Lease: time.Hour})

			w := eventlogtest.Creates(t, log)
			for i := range 10 {
				w.Writes(t, eventlogtest.Image(i, "alone"))
			}
			writesTogether(t, log, w, 16)
			usesEveryOtherScript(t, log, w)

			if head, err := log.Head(t.Context(), w.Session); err != nil || head.Position != w.At || w.At.Version != 27 {
				t.Errorf("head %v, %v; want %v, version 27", head.Position, err, w.At)
			}
			if hook.met.Load() == 0 {
				t.Error("the server forgot nothing")
			}
			if err := log.Delete(t.Context(), w.Session, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// writesTogether commits a group of n.
func writesTogether(t *testing.T, log *eventlog.Log, w *eventlogtest.Writer, n int) {
	t.Helper()
	var commits []eventlog.Commit
	for i := range n {
		c := w.Decides(eventlogtest.Image(i, "together"))
		commits = append(commits, c)
		w.Took(c)
	}
	for i, result := range log.CommitAll(t.Context(), commits) {
		if result.Err != nil || result.Position != commits[i].Record.Position() {
			t.Errorf("%d of the group: %v, %v", i, result.Position, result.Err)
		}
	}
}

// usesEveryOtherScript runs those that do not commit. One commit comes in between.
func usesEveryOtherScript(t *testing.T, log *eventlog.Log, w *eventlogtest.Writer) {
	t.Helper()
	ctx := t.Context()
	edge, dead := uuid.NewString(), uuid.NewString()
	for what, err := range map[string]error{
		"lease":        log.BeginLease(ctx, edge),
		"clients":      log.SetClients(ctx, w.Session, edge, 2),
		"dead clients": log.SetClients(ctx, w.Session, dead, 3),
		"drop":         log.Drop(ctx, dead, []uuid.UUID{w.Session})[0].Err,
		"update":       log.Update(ctx, w.Session, eventlog.HeadChange{Fields: map[string]string{"f": "v"}}),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := log.Bury(ctx, dead); err != nil {
		t.Errorf("bury: %v", err)
	}
	if _, err := log.RenewLease(ctx, edge); err != nil {
		t.Errorf("renew: %v", err)
	}
	all, err := log.Overviews(ctx, w.Session)
	if err != nil || all[0].Clients != 2 {
		t.Errorf("overview %+v, %v; want 2 clients", all, err)
	}
	staged, err := log.Stage(ctx, w.Session, slices.Values([]wire.Image{eventlogtest.Image(1, "staged")}))
	if err != nil {
		t.Fatalf("stage: %v", err)
	}
	w.Commits(t, w.Switches(staged))
}
