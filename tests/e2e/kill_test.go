package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/harness"
)

// attempt is a command whose answer may never have come.
type attempt struct {
	id   string
	name string
	done *harness.Done // nil: unknown
}

func TestAKilledCommandInstanceLeavesNoHalfCommitAndARepeatResolvesEveryUnknownAnswer(t *testing.T) {
	t.Parallel()
	redis := redistest.Real(t)
	settings := map[string]string{"TALUS_REDIS_URL": redis, "TALUS_LOG_RETENTION": "0"}
	sys := harness.Start(t, harness.Shape{Commands: 1, RedisURL: redis, Settings: settings})
	plan := sys.NewPlan()
	post := func(api string, a attempt) (harness.Answer, error) {
		body := create(plan, a.name)
		body["command_id"] = a.id
		return harness.Do(http.MethodPost, api+"/api/v1/commands/execute", body, "Prefer", "return=minimal")
	}

	const rounds, writers = 3, 8
	var mu sync.Mutex
	var attempts []attempt
	for round := range rounds {
		victim := harness.Spawn(t, "command", settings)
		var running sync.WaitGroup
		for w := range writers {
			running.Go(func() {
				for i := 0; ; i++ {
					a := attempt{id: uuid.NewString(), name: fmt.Sprintf("node %d/%d/%d", round, w, i)}
					answer, err := post(victim.URL, a)
					if err == nil && answer.Status == http.StatusOK {
						a.done = &harness.Done{}
						if err := json.Unmarshal(answer.Body, a.done); err != nil {
							t.Error(err)
						}
					}
					mu.Lock()
					attempts = append(attempts, a)
					mu.Unlock()
					if a.done == nil {
						return
					}
				}
			})
		}
		time.AfterFunc(400*time.Millisecond, victim.Kill)
		running.Wait()
	}

	unknown := 0
	for i, a := range attempts {
		if a.done != nil {
			continue
		}
		unknown++
		answer, err := post(sys.Command(0).URL, a)
		if err != nil || answer.Status != http.StatusOK {
			t.Fatalf("the repeat of an unknown answer: %v %d %s", err, answer.Status, answer.Body)
		}
		attempts[i].done = &harness.Done{}
		answer.Decode(t, attempts[i].done)
	}
	log := commits(t, sys.Command(0).URL, plan.ID)
	if len(log) != 1+len(attempts) {
		t.Errorf("%d commits in the log, want %d: each attempt once", len(log), 1+len(attempts))
	}
	for _, a := range attempts {
		if f := log[a.done.Version-1]; f.CommandID != a.id {
			t.Errorf("version %d is %s, but %s was told so", a.done.Version, f.CommandID, a.id)
		}
	}
	if fold(t, log).Hash() != graphOf(t, sys.Command(0).URL, plan.ID).Hash() {
		t.Error("the fold of the log is another graph than the one that is answered")
	}
	t.Logf("%d commands, %d with an unknown answer", len(attempts), unknown)
}
