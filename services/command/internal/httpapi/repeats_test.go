package httpapi_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

func TestIfMatchAdmitsOnlyTheStateThatTheClientSaw(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	execute := func(condition string) reply {
		return p.send(t, "POST", "/api/v1/commands/execute", object{
			"session_id": p.id, "command_type": "CreateNode", "data": object{"blueprint_type_id": "tree_item", "parent_id": p.root},
		}, "If-Match", condition)
	}
	first := p.want(t, 200, "GET", p.path("/graph"), nil).header.Get("ETag")
	second := execute(first)
	if second.status != 200 {
		t.Fatalf("the current state is refused: %s", second.text)
	}
	before := p.state(t)

	for _, stale := range []string{first, "W/" + first, `"nonsense"`, "nonsense", `"a", "b"`} {
		r := execute(stale)

		requireClear(t, stale, r, 412, "VERSION_CONFLICT")
		if r.num("current_version") != 2 || r.header.Get("ETag") != second.header.Get("ETag") {
			t.Errorf("%s: got %s", stale, r.text)
		}
	}
	if after := p.state(t); after != before {
		t.Errorf("a refused command changed the session:\n%s\n%s", before, after)
	}
	for _, fits := range []string{`"nonsense", W/` + second.header.Get("ETag"), "*"} {
		if r := execute(fits); r.status != 200 {
			t.Errorf("%s: got %s", fits, r.text)
		}
	}
}

func TestARepeatWithTheSameKeyGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	body := object{
		"session_id": p.id, "command_type": "CreateNode", "data": object{"blueprint_type_id": "tree_item", "parent_id": p.root, "name": "once"},
	}
	ifMatch := p.want(t, 200, "GET", p.path("/info"), nil).header.Get("ETag")
	first := p.want(t, 200, "POST", "/api/v1/commands/execute", body, "Idempotency-Key", `"a key"`, "If-Match", ifMatch)
	p.item(t, p.root, "meanwhile")

	again := p.want(t, 200, "POST", "/api/v1/commands/execute", body, "Idempotency-Key", "a key", "If-Match", ifMatch)

	for _, field := range []string{"command_id", "node_id", "version", "epoch", "position"} {
		if first.at(field) != again.at(field) {
			t.Errorf("%s: first %v, then %v", field, first.at(field), again.at(field))
		}
	}
	if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("replayed: %q then %q", first.header.Get("Idempotency-Replayed"), again.header.Get("Idempotency-Replayed"))
	}
	if n := p.want(t, 200, "GET", p.path("/info"), nil).num("node_count"); n != 3 {
		t.Errorf("%d nodes, want 3", n)
	}
	body["data"] = object{"blueprint_type_id": "tree_item", "name": "another"}
	requireClear(t, "another body", p.send(t, "POST", "/api/v1/commands/execute", body, "Idempotency-Key", "a key"), 422, "IDEMPOTENCY_CONFLICT")
}

func TestTheCommandIdOfTheBodyIsAKeyToo(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	body := fmt.Sprintf(`{"session_id":%q,"command_type":"CreateNode","command_id":%q,"data":{"blueprint_type_id":"tree_item","name":"a  b"}}`, p.id, uuid.NewString())
	first := p.want(t, 200, "POST", "/api/v1/commands/execute", body)

	again := p.want(t, 200, "POST", "/api/v1/commands/execute", strings.ReplaceAll(body, `,"`, ` , "`))

	if again.header.Get("Idempotency-Replayed") != "true" || again.at("version") != first.at("version") {
		t.Errorf("got %s", again.text)
	}
	other := strings.ReplaceAll(body, "a  b", "a b")
	requireClear(t, "another name", p.send(t, "POST", "/api/v1/commands/execute", other), 422, "IDEMPOTENCY_CONFLICT")
}

func TestTenParallelRepeatsMakeOneCommit(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	body := object{"session_id": p.id, "command_type": "CreateNode", "data": object{"blueprint_type_id": "tree_item"}}
	var wg sync.WaitGroup
	replies := make([]reply, 10)

	for i := range replies {
		wg.Go(func() {
			replies[i] = p.send(t, "POST", "/api/v1/commands/execute", body, "Idempotency-Key", "same", "Prefer", "return=minimal")
		})
	}
	wg.Wait()

	for _, r := range replies {
		if r.status != 200 || r.text != replies[0].text {
			t.Errorf("got %d %s, want %s", r.status, r.text, replies[0].text)
		}
	}
	if v := p.want(t, 200, "GET", p.path("/info"), nil).num("version"); v != 2 {
		t.Errorf("version %d, want 2", v)
	}
}
