package native_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/talus-tally/talus/pkg/wire"
)

func TestAClientJoinsByURLAndSeesCommits(t *testing.T) {
	t.Parallel()
	e := serve(t)
	plan := e.creates()
	plan.commits(2)

	ann := e.dials(url.Values{"session_id": {plan.id.String()}})
	joined := ann.hears("joined")
	plan.commits(1)
	m := ann.hears("commit")

	if joined.ID != nil || joined.Session != plan.id || joined.Version != 2 || joined.Resumed || joined.Count != 1 ||
		joined.Client.Version() != 7 || joined.Epoch != plan.at.Epoch.String() || !strings.HasPrefix(joined.Position, joined.Epoch+".2.") {
		t.Errorf("joined %+v", joined)
	}
	if m.Version != 3 || m.Position != plan.at.String() || !strings.HasSuffix(joined.Position, m.Prev) || m.Session != plan.id {
		t.Errorf("commit %+v", m)
	}
	if len(m.Events) != 2 || m.Events[0].Event != "command:executing" || m.Events[1].Data["success"] != true {
		t.Errorf("events %+v", m.Events)
	}
}

func TestAClientJoinsSeveralSessionsByMessage(t *testing.T) {
	t.Parallel()
	e := serve(t)
	plan, other := e.creates(), e.creates()
	ann := e.dials(nil)

	ann.joins(plan, "1")
	ann.joins(other, "2")
	plan.commits(3)
	ann.hearsCommits(plan, 1, 3)
	other.commits(2)
	ann.hearsCommits(other, 1, 2)

	ann.says(`{"type":"leave","id":3,"session_id":"%s"}`, plan.id)
	if m := ann.hears("left"); m.Session != plan.id || string(m.ID) != "3" {
		t.Errorf("left %+v", m)
	}
	plan.commits(1)
	other.commits(1)
	ann.hearsCommits(other, 3, 3)
}

func TestAClientResumesWhereItWas(t *testing.T) {
	t.Parallel()
	e := serve(t)
	plan := e.creates()
	plan.commits(3)
	third := plan.at
	plan.commits(4)

	byURL := e.dials(url.Values{"session_id": {plan.id.String()}, "after": {third.String()}})
	if m := byURL.hears("joined"); !m.Resumed || m.Version != 3 || m.Position != third.String() {
		t.Errorf("joined %+v", m)
	}
	byURL.hearsCommits(plan, 4, 7)

	byMessage := e.dials(nil)
	byMessage.says(`{"type":"join","id":"x","session_id":"%s","after":"%s"}`, plan.id, third)
	if m := byMessage.hears("joined"); !m.Resumed || m.Version != 3 {
		t.Errorf("joined %+v", m)
	}
	byMessage.hearsCommits(plan, 4, 7)

	for _, after := range []string{"0", `"0"`} {
		tool := e.dials(nil)
		tool.says(`{"type":"join","session_id":"%s","after":%s,"epoch":"%s"}`, plan.id, after, plan.at.Epoch)
		if m := tool.hears("joined"); !m.Resumed || m.Version != 0 || m.ID != nil {
			t.Errorf("joined %+v", m)
		}
		tool.hearsCommits(plan, 1, 7)
	}
}

func TestAClientThatCannotResumeIsToldToReadTheGraph(t *testing.T) {
	t.Parallel()
	e := serve(t)
	plan := e.creates()
	plan.commits(3)
	wrong := plan.at
	wrong.Digest[0]++
	ann := e.dials(url.Values{"session_id": {plan.id.String()}, "after": {wrong.String()}})

	joined, resync := ann.hears("joined"), ann.hears("resync")
	plan.commits(1)

	if joined.Resumed || joined.Version != 3 {
		t.Errorf("joined %+v", joined)
	}
	if resync.Reason != "fork" || resync.Version != 3 || resync.Position != joined.Position || resync.Session != plan.id {
		t.Errorf("resync %+v", resync)
	}
	ann.hearsCommits(plan, 4, 4)
}

// A client that found a gap asks again on the same connection.
func TestJoiningAgainStartsOver(t *testing.T) {
	t.Parallel()
	e := serve(t)
	plan := e.creates()
	ann := e.dials(nil)
	ann.joins(plan, "1")
	plan.commits(3)
	ann.hearsCommits(plan, 1, 3)

	ann.says(`{"type":"join","id":"2","session_id":"%s","after":1}`, plan.id)
	if m := ann.hears("joined"); !m.Resumed || m.Version != 1 || m.Count != 1 {
		t.Errorf("joined %+v", m)
	}
	ann.hearsCommits(plan, 2, 3)
	plan.commits(1)
	ann.hearsCommits(plan, 4, 4)
}

func TestADeletedSessionSendsItsClientsAway(t *testing.T) {
	t.Parallel()
	e := serve(t)
	plan := e.creates()
	ann := e.dials(nil)
	ann.joins(plan, "1")
	plan.commits(1)

	if err := e.log.Delete(t.Context(), plan.id, nil); err != nil {
		t.Fatal(err)
	}

	ann.hearsCommits(plan, 1, 1)
	ann.refused(wire.InvalidSession, "")
	ann.isSentAway(wire.CloseNoSession)
}

func TestARequestAndItsWithdrawalBothGetAnAnswer(t *testing.T) {
	t.Parallel()
	e := serve(t)
	ann := e.dials(nil)
	for range 30 {
		plan := e.creates()
		ann.says(`{"type":"join","id":"1","session_id":"%s"}`, plan.id)
		ann.says(`{"type":"leave","id":"2","session_id":"%s"}`, plan.id)

		ctx := t.Context()
		_, first, err := ann.conn.Read(ctx)
		if err != nil || !strings.Contains(string(first), `"id":"1"`) {
			t.Fatalf("first answer %s (%v)", first, err)
		}
		if m := ann.hears("left"); string(m.ID) != `"2"` {
			t.Errorf("second answer %+v", m)
		}
	}
}

func TestClientsAreCountedOverConnections(t *testing.T) {
	t.Parallel()
	here, there := serve(t), serve(t)
	plan := here.creates()
	var people []*client
	for i := range 3 {
		c := here.dials(nil)
		people = append(people, c)
		if m := c.joins(plan, "1"); m.Count != i+1 {
			t.Errorf("client %d is told of %d", i, m.Count)
		}
	}
	stored := func(n int) func() bool {
		return func() bool {
			counts, err := here.log.Clients(t.Context(), plan.id)
			return err == nil && counts[plan.id] == n
		}
	}
	eventually(t, "three are counted", stored(3))
	far := there.dials(nil)
	if m := far.joins(plan, "1"); m.Count != 4 {
		t.Errorf("the client of another edge is told of %d", m.Count)
	}
	_ = people[0].conn.CloseNow()
	_ = people[1].conn.Close(websocket.StatusNormalClosure, "")
	eventually(t, "two are counted", stored(2))
}

func TestAnEventWithoutVersionReachesClients(t *testing.T) {
	t.Parallel()
	e := serve(t)
	plan := e.creates()
	ann := e.dials(nil)
	ann.joins(plan, "1")

	err := e.log.Publish(t.Context(), wire.Ephemeral{Session: plan.id, Name: wire.ProjectSaved, Fields: []byte(`"saved_version":0`)})
	if err != nil {
		t.Fatal(err)
	}

	if m := ann.hears("event"); m.Event != "project:saved" || m.Session != plan.id {
		t.Errorf("event %+v", m)
	}
}
