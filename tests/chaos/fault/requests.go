package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// requests are faults of those who ask: what they send comes more than once, or in another order.
func requests() []Fault {
	return []Fault{
		{ID: "F15", Title: "requests repeated in parallel, and keys used again", Hold: 3 * time.Second, Keeps: true, Inject: repeated},
		{ID: "F16", Title: "requests of one actor out of order", Hold: 3 * time.Second, Keeps: true, Inject: reordered},
	}
}

// asker sends requests for a session to all command instances in turn.
type asker struct {
	s       *Scene
	session string
	asked   atomic.Int64
}

// answered is what came of a request.
type answered struct {
	status   int
	body     string
	position string
}

// ask posts a body. Nobody hinders these requests, so one without an answer is wrong, unless the run ends.
func (a *asker) ask(ctx context.Context, path string, body any, header ...string) (answered, bool) {
	got, err := a.exchange(ctx, path, body, header)
	if err != nil && ctx.Err() == nil {
		a.s.Wrong("%s: %v", path, err)
	}
	return got, err == nil
}

func (a *asker) exchange(ctx context.Context, path string, body any, header []string) (got answered, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	text, err := json.Marshal(body)
	if err != nil {
		return got, err
	}
	commands := a.s.System.Commands
	url := commands[int(a.asked.Add(1))%len(commands)].Bare + "/api/v1" + path
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return got, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "return=minimal")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return got, err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		return got, err
	}
	var said struct {
		Position string `json:"position"`
	}
	_ = json.Unmarshal(all, &said) // refusals need not have one
	return answered{resp.StatusCode, string(all), said.Position}, nil
}

func (a *asker) create(name string) map[string]any {
	data := map[string]any{"blueprint_type_id": "thing", "name": name}
	return map[string]any{"session_id": a.session, "command_type": "CreateNode", "data": data}
}

// repeated sends one command ten times at once, under one key, and then another under the same key.
func repeated(_ context.Context, s *Scene) (Heal, error) {
	const times = 10
	a := &asker{s: s, session: s.Sessions[0]}
	n := 0
	return sends(func(ctx context.Context) {
		n++
		key := fmt.Sprintf(`"repeated-%d"`, n)
		var all sync.WaitGroup
		answers, ok := make([]answered, times), make([]bool, times)
		for i := range times {
			all.Go(func() {
				answers[i], ok[i] = a.ask(ctx, "/commands/execute", a.create(key), "Idempotency-Key", key)
			})
		}
		all.Wait()
		for i, got := range answers {
			if ok[i] && ok[0] && (got.status != http.StatusOK || got.body != answers[0].body) {
				s.Wrong("repeat %d of %s: status %d %.200s; the first: %.200s", i, key, got.status, got.body, answers[0].body)
			}
		}
		got, answered := a.ask(ctx, "/commands/execute", a.create("another"), "Idempotency-Key", key)
		if answered && got.status != http.StatusUnprocessableEntity {
			s.Wrong("another request under %s: status %d %.200s", key, got.status, got.body)
		}
	}, func() { s.Note("%d keys, each sent %d times at once and then with another body", n, times) }), nil
}

// reordered sends a command for a state, and then one that was meant for the same state and comes late; and an undo of
// something that is not on top.
func reordered(_ context.Context, s *Scene) (Heal, error) {
	a := &asker{s: s, session: s.Sessions[0]}
	late := 0
	return sends(func(ctx context.Context) {
		first, ok := a.ask(ctx, "/commands/execute", a.create("first"))
		if !ok || first.status != http.StatusOK {
			return
		}
		at := first.position
		if second, ok := a.ask(ctx, "/commands/execute", a.create("second"), "If-Match", `"`+at+`"`); !ok || second.status != http.StatusOK {
			return // somebody else came first
		}
		late++
		got, ok := a.ask(ctx, "/commands/execute", a.create("late"), "If-Match", `"`+at+`"`)
		if ok && got.status != http.StatusPreconditionFailed {
			s.Wrong("a command for %s, which is gone: status %d %.200s", at, got.status, got.body)
		}
		const never = 1 << 40
		got, ok = a.ask(ctx, "/sessions/"+a.session+"/undo", map[string]any{"expect_top": never})
		if ok && got.status != http.StatusConflict {
			s.Wrong("an undo of what is not on top: status %d %.200s", got.status, got.body)
		}
	}, func() {
		if s.Note("%d commands came late", late); late == 0 {
			s.Wrong("no command ever came late")
		}
	}), nil
}

// sends does something again and again until it is healed.
func sends(do func(ctx context.Context), end func()) Heal {
	stop := every(50*time.Millisecond, do)
	return func(context.Context) error {
		stop()
		end()
		return nil
	}
}
