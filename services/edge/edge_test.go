package edge_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/edge"
)

func TestClientsOfTwoEdgesReceiveTheSameBytes(t *testing.T) {
	t.Parallel()
	a, _ := serve(t, edge.Config{})
	b, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	plan.commits(3)
	ann, ben := plan.dial(a, ""), plan.dial(b, plan.at.String())
	if text, m := read(t, ann); m.Type != "joined" || m.Version != 3 || m.Resumed {
		t.Fatalf("ann: %s", text)
	}
	if text, m := read(t, ben); m.Type != "joined" || !m.Resumed {
		t.Fatalf("ben: %s", text)
	}

	plan.commits(300)

	if !slices.Equal(commitsFrom(t, ann, 4, 303), commitsFrom(t, ben, 4, 303)) {
		t.Error("the two edges sent different bytes")
	}
}

// Late joiners come while commits arrive, from far below the ring.
func TestALateJoinerCatchesUpUnderLoad(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	start := plan.at
	plan.commits(1500)
	writer := make(chan error, 1)
	go func() {
		for range 500 {
			if err := plan.commit(context.Background(), 100); err != nil {
				writer <- err
				return
			}
		}
		writer <- nil
	}()

	for range 5 {
		ann := (&session{t: t, id: plan.id}).dial(e, start.String())
		if text, m := read(t, ann); m.Type != "joined" || m.Version != 0 || !m.Resumed {
			t.Fatalf("joined: %s", text)
		}
		commitsFrom(t, ann, 1, 2000)
	}
	if err := <-writer; err != nil {
		t.Error(err)
	}
}

func TestALargeCommitComesFromTheLog(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann := plan.dial(e, "")
	read(t, ann)

	for _, size := range []int{100, 200_000, 100} {
		if err := plan.commit(t.Context(), size); err != nil {
			t.Fatal(err)
		}
	}
	commitsFrom(t, ann, 1, 3)
	if err := plan.commit(t.Context(), 1<<20+1); err != nil {
		t.Fatal(err)
	}

	if text, m := read(t, ann); m.Type != "resync" || m.Reason != "large" || m.Version != 4 {
		t.Errorf("got %.200s", text)
	}
	plan.commits(1)
	commitsFrom(t, ann, 5, 5)
}

func TestATrimmedLogIsAResync(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := createsWith(t, redistest.URL(t), eventlog.Config{Retention: 20, MinAge: time.Nanosecond})
	plan.commits(400)
	head, err := plan.log.Head(t.Context(), plan.id)
	if err != nil || head.Oldest < 10 {
		t.Fatalf("the log begins at %d (%v): the test shows nothing", head.Oldest, err)
	}

	near, far := plan.dial(e, strconv.FormatUint(head.Oldest-1, 10)), plan.dial(e, strconv.FormatUint(head.Oldest-2, 10))
	if text, m := read(t, near); m.Type != "joined" || !m.Resumed {
		t.Errorf("near: %s", text)
	}
	commitsFrom(t, near, head.Oldest, 400)
	if text, m := read(t, far); m.Type != "joined" || m.Resumed || m.Version != 400 {
		t.Errorf("far: %s", text)
	}
	if text, m := read(t, far); m.Type != "resync" || m.Reason != "trimmed" {
		t.Errorf("far: %s", text)
	}
}

func TestClientsSurviveARestartOfRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "--appendonly", "yes", "--appendfsync", "always")
	e, _ := serve(t, edge.Config{RedisURL: server.URL()})
	plan := creates(t, server.URL())
	ann := plan.dial(e, "")
	read(t, ann)
	plan.commits(3)

	server.Kill()
	eventually(t, "the edge is not ready", func() bool { return e.Ready(t.Context()) != nil })
	if status, _ := get(t, e.URL()+"/livez"); status != http.StatusOK {
		t.Errorf("livez %d", status)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a commit succeeds again", func() bool { return plan.commit(t.Context(), 10) == nil })
	plan.commits(3)

	commitsFrom(t, ann, 1, plan.at.Version)
}

func TestOneTornSessionDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	e, _ := serve(t, edge.Config{RedisURL: server.URL()})
	torn, plan := creates(t, server.URL()), creates(t, server.URL())
	rdb := redistest.Client(t, server.URL())
	ann := plan.dial(e, "")
	read(t, ann)
	ben := torn.dial(e, "")
	read(t, ben)
	keys, err := rdb.Keys(t.Context(), "*"+torn.id.String()+":h").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v %v", keys, err)
	}
	if err := rdb.HSet(t.Context(), keys[0], "d", "rubbish").Err(); err != nil {
		t.Fatal(err)
	}

	if text, m := read(t, ben); m.Type != "error" {
		t.Errorf("torn: %s", text)
	}
	plan.commits(2)
	commitsFrom(t, ann, 1, 2)
}
