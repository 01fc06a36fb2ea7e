package eventlog_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
)

// refused commits to every key of a session while Redis takes no writes, and wants nothing changed; then Redis is healed, and
// the same commit must succeed.
func refused(t *testing.T, args []string, harm, heal func(redis.UniversalClient) error) {
	t.Helper()
	server := redistest.Server(t, args...)
	rdb := connects(t, server.URL())
	log := eventlog.New(rdb, eventlog.Config{})
	w, everything := eventlogtest.Furnished(t, log)
	before := eventlogtest.Dump(t, rdb, w.Session)
	c := everything(w)
	if err := harm(rdb); err != nil {
		t.Fatal(err)
	}

	_, err := log.Commit(t.Context(), c)
	_, create := log.Create(t.Context(), c.Record.Command, eventlogtest.Fresh())

	for _, err := range []error{err, create} {
		if !errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrUnknown) {
			t.Errorf("error %v, want unavailable", err)
		}
	}
	eventlogtest.Same(t, before, eventlogtest.Dump(t, rdb, w.Session))
	if keys := eventlogtest.Keys(t, rdb, c.Record.Command); len(keys) != 0 {
		t.Errorf("a session that was refused has the keys %v", keys)
	}
	if err := heal(rdb); err != nil {
		t.Fatal(err)
	}
	w.Commits(t, c)
}

// The index is that of a whole bucket, so the server is the test's own.
func TestAnIndexOfTheWrongTypeLeavesNothingHalfCreatedOrHalfDeleted(t *testing.T) {
	t.Parallel()
	rdb := connects(t, redistest.Server(t).URL())
	log := eventlog.New(rdb, eventlog.Config{})
	w, _ := eventlogtest.Furnished(t, log)
	var index string
	for key := range eventlogtest.Keys(t, rdb, w.Session) {
		index = key[:strings.Index(key, "}:")+2] + "index"
	}
	if kind := rdb.Type(t.Context(), index).Val(); kind != "zset" {
		t.Fatalf("%s is a %q", index, kind)
	}
	other := eventlogtest.Creates(t, log)
	for !strings.HasPrefix(eventlogtest.Key(t, rdb, other.Session, "h"), strings.TrimSuffix(index, "index")) {
		other = eventlogtest.Creates(t, log) // until one is in the same bucket
	}
	if err := log.Delete(t.Context(), other.Session, nil); err != nil {
		t.Fatal(err)
	}
	rdb.Del(t.Context(), eventlogtest.Key(t, rdb, other.Session, "dead"), index)
	rdb.Set(t.Context(), index, "a string", 0)
	before := eventlogtest.Dump(t, rdb, w.Session)

	deletion := log.Delete(t.Context(), w.Session, nil)
	_, creation := log.Create(t.Context(), other.Session, eventlogtest.Fresh())

	if !errors.Is(deletion, eventlog.ErrTorn) || !errors.Is(creation, eventlog.ErrTorn) {
		t.Errorf("deleted: %v, created: %v, want torn", deletion, creation)
	}
	eventlogtest.Same(t, before, eventlogtest.Dump(t, rdb, w.Session))
	if keys := eventlogtest.Keys(t, rdb, other.Session); len(keys) != 0 {
		t.Errorf("half a session: %v", keys)
	}
}

func TestARedisOutOfMemoryTakesNothing(t *testing.T) {
	t.Parallel()
	set := func(memory string) func(redis.UniversalClient) error {
		return func(rdb redis.UniversalClient) error { return rdb.ConfigSet(t.Context(), "maxmemory", memory).Err() }
	}
	refused(t, []string{"--maxmemory-policy", "noeviction"}, set("1000000"), set("0"))
}

func TestARedisOutOfMemoryStillDeletes(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "--maxmemory-policy", "noeviction")
	rdb := connects(t, server.URL())
	log := eventlog.New(rdb, eventlog.Config{})
	w, _ := eventlogtest.Furnished(t, log)
	if err := rdb.ConfigSet(t.Context(), "maxmemory", "1000000").Err(); err != nil {
		t.Fatal(err)
	}

	if err := log.Delete(t.Context(), w.Session, nil); err != nil {
		t.Fatal(err)
	}

	if _, err := log.Head(t.Context(), w.Session); !errors.Is(err, eventlog.ErrGone) {
		t.Errorf("after the deletion: %v", err)
	}
}

func TestARedisWithoutItsReplicasTakesNothing(t *testing.T) {
	t.Parallel()
	set := func(replicas string) func(redis.UniversalClient) error {
		return func(rdb redis.UniversalClient) error {
			return rdb.ConfigSet(t.Context(), "min-replicas-to-write", replicas).Err()
		}
	}
	refused(t, nil, set("1"), set("0"))
}

func TestAReplicaTakesNothing(t *testing.T) {
	t.Parallel()
	refused(t, nil,
		func(rdb redis.UniversalClient) error { return rdb.SlaveOf(t.Context(), "127.0.0.1", "1").Err() },
		func(rdb redis.UniversalClient) error { return rdb.SlaveOf(t.Context(), "no", "one").Err() })
}

func TestACommitThatMayNotBePublishedIsWholeAllTheSame(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	admin := connects(t, server.URL())
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "mute", "on", ">secret", "~*", "+@all", "resetchannels").Err(); err != nil {
		t.Fatal(err)
	}
	rdb := connects(t, strings.Replace(server.URL(), "redis://", "redis://mute:secret@", 1))
	log := eventlog.New(rdb, eventlog.Config{})
	w, everything := eventlogtest.Furnished(t, log)

	w.Commits(t, everything(w))

	loaded, err := log.Load(t.Context(), w.Session)
	if err != nil || loaded.Head.Position != w.At {
		t.Fatalf("loaded %s, %v, want %s", loaded.Head.Position, err, w.At)
	}
	if err := log.SelfTest(t.Context()); err == nil || !strings.Contains(err.Error(), "publish") {
		t.Errorf("the self-test says %v, want the missing right to publish", err)
	}
}

func TestAServerThatEvictsIsNotReady(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	log := eventlog.New(connects(t, server.URL()), eventlog.Config{})

	err := log.Ready(t.Context())

	if !errors.Is(err, eventlog.ErrEvicts) {
		t.Fatalf("ready: %v, want a refusal", err)
	}
}

func TestACutAppendOnlyFileHoldsWholeCommits(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "--appendonly", "yes", "--appendfsync", "always", "--aof-load-truncated", "yes")
	rdb := connects(t, server.URL())
	log := eventlog.New(rdb, eventlog.Config{})
	w, everything := eventlogtest.Furnished(t, log)
	before := eventlogtest.Dump(t, rdb, w.Session)
	aof, err := server.AOF()
	if err != nil {
		t.Fatal(err)
	}
	start := sizeOf(t, aof)
	c := everything(w)
	w.Commits(t, c)
	after := eventlogtest.Dump(t, rdb, w.Session)
	whole, err := os.ReadFile(aof)
	if err != nil {
		t.Fatal(err)
	}

	for i := range 9 {
		at := start + (int64(len(whole))-start)*int64(i)/8
		server.Kill()
		if err := os.WriteFile(aof, whole[:at], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		want := before
		if i == 8 {
			want = after
		}
		eventlogtest.Same(t, want, eventlogtest.Dump(t, connects(t, server.URL()), w.Session))
		if t.Failed() {
			t.Fatalf("the file was cut at byte %d of %d", at-start, int64(len(whole))-start)
		}
	}
}

func TestAKilledServerHasEveryCommitThatItAnswered(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "--appendonly", "yes", "--appendfsync", "always")
	log := eventlog.New(connects(t, server.URL()), eventlog.Config{})
	w := eventlogtest.Creates(t, log)
	for i := range 50 {
		w.Writes(t, eventlogtest.Image(i, fmt.Sprint("node ", i)))
	}

	server.Kill()
	_, away := log.Commit(t.Context(), w.Decides(eventlogtest.Image(1, "while it is away")))
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}

	if !errors.Is(away, eventlog.ErrUnavailable) {
		t.Errorf("while it was away: %v", away)
	}
	w.Writes(t, eventlogtest.Image(1, "scripts are gone after a restart"))
	if loaded, err := log.Load(t.Context(), w.Session); err != nil || loaded.Head.Position != w.At {
		t.Errorf("loaded %s, %v, want %s", loaded.Head.Position, err, w.At)
	}
}

func sizeOf(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
