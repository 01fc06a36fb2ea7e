package session

import (
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// maxEvents is the size in bytes from which the events of a commit are not told:
// replicas fetch the graph instead (api.md, part 7).
const maxEvents = 1 << 20

// encoded is a plan in its final bytes, and what it makes of the state.
type encoded struct {
	commit eventlog.Commit
	step   step   // of a change …
	next   *state // … or the new state
	result Result
}

// encode builds the record of a plan, once, for the log, the channel and the clients.
// The version is known: it is the one after st's, or the commit fails.
func (l *live) encode(st *state, p *plan, call *Call, paper *paper) *encoded {
	e := &encoded{next: p.next, result: p.result}
	delta, told, whole := e.effect(st, p, paper)
	events := make([]wire.Event, 0, len(p.before)+len(told)+len(p.after))
	events = append(append(append(events, p.before...), told...), p.after...)
	header := wire.Header{
		Session: l.id, Command: call.CommandID, Epoch: st.pos.Epoch, Version: st.pos.Version + 1,
		Prev: st.pos.Digest, Time: l.svc.deps.Now().UnixMilli(),
	}
	if !whole {
		header.Flags = wire.FlagIncomplete
	}
	project := st.project
	if p.project != nil {
		project = p.project.project
	}
	common := paper.took(appendCommon(paper.rest(), l.id, project, header.Time, p.command, p.result.Type, call.Actor))
	private := paper.took(wire.AppendDelta(paper.rest(), delta))
	record := wire.Build(header, common, events, private)

	e.step.to = record.Position()
	if e.next != nil {
		e.next.pos = record.Position()
	}
	e.result.Position, e.result.Command, e.result.Dirty = record.Position(), call.CommandID, !p.saved
	if p.stack != eventlog.StackNone && !l.svc.deps.Log.Keeps(p.entry) {
		e.result.UndoAvailable = false
		e.result.RedoAvailable = e.result.RedoAvailable && p.stack == eventlog.StackRedo
	}
	if call.WantEvents {
		e.result.Events = events
	}
	e.commit = eventlog.Commit{
		Session: l.id, Base: st.pos, Generation: st.generation, Record: record, Delta: private, Images: delta.Images,
		Count: delta.Count, Sum: delta.Sum, Meta: p.meta, Stack: p.stack, Entry: p.entry, Staged: p.staged,
		Silent: l.svc.deps.Emitter == nil, AskTurn: l.late.asks(),
	}
	if call.Key != "" {
		e.commit.Key = &eventlog.IdempotencyKey{Key: call.Key, Fingerprint: call.Fingerprint, Answer: paper.took(appendAnswer(paper.rest(), &e.result))}
	}
	return e
}

// effect works out what the plan does to the stored nodes and what is told of that.
// Whole says that the events carry all of it.
func (e *encoded) effect(st *state, p *plan, paper *paper) (delta wire.Delta, told []wire.Event, whole bool) {
	if p.next != nil {
		return wire.Delta{Count: p.next.count, Sum: p.next.sum, Generation: p.next.generation, Replaced: true}, nil, !p.incomplete
	}
	step, images := st.outcome(p.change, paper)
	e.step, e.step.project = step, p.project
	told, whole = graphEvents(st, p, paper)
	return wire.Delta{Count: step.totals.count, Sum: step.totals.sum, Generation: st.generation, Images: images}, told, whole
}

// noGraph are the fields of project:loaded when the graph is too large to send.
const noGraph = `"graph":null`

// graphEvents are the events of the plan's change. If they are too large to send,
// whole is false and they are replaced by one that makes replicas fetch the graph.
func graphEvents(st *state, p *plan, paper *paper) (events []wire.Event, whole bool) {
	size := 0
	all := st.graph.Events(p.change)
	events = make([]wire.Event, 0, len(all))
	for _, event := range all {
		e := wire.Event{Name: wire.EventName(event.Name), Fields: paper.took(event.AppendFields(paper.rest()))}
		if size += len(e.Name) + len(e.Fields); size > maxEvents {
			return []wire.Event{{Name: wire.ProjectLoaded, Fields: []byte(noGraph)}}, false
		}
		events = append(events, e)
	}
	return events, true
}

// What stands around the events of most commands; never changed.
var (
	announced   = []wire.Event{{Name: wire.CommandExecuting}}
	emptyHanded = []wire.Event{{Name: wire.CommandExecuted, Fields: []byte(`"success":true,"error":null,"result":{}`)}}
)

// executing is what stands before the events of a command.
func executing() []wire.Event { return announced }

// executed is what stands after the events of a command.
func executed(node uuid.UUID) []wire.Event {
	if node == uuid.Nil {
		return emptyHanded
	}
	fields := append(make([]byte, 0, 128), `"success":true,"error":null,"result":{"node_id":"`...)
	return []wire.Event{{Name: wire.CommandExecuted, Fields: append(wire.AppendID(fields, node), `"}`...)}}
}

// appendCommon appends the members that all events of a commit share (api.md, part
// 7). Without a command its members are left out.
func appendCommon(dst []byte, session, project uuid.UUID, ms int64, command uuid.UUID, kind, actor string) []byte {
	dst = append(wire.AppendID(append(dst, `"session_id":"`...), session), `",`...)
	if project == uuid.Nil {
		dst = append(dst, `"project_id":null`...)
	} else {
		dst = append(wire.AppendID(append(dst, `"project_id":"`...), project), '"')
	}
	dst = append(wire.AppendTime(append(dst, `,"timestamp":"`...), ms), '"')
	if command == uuid.Nil {
		return dst
	}
	dst = append(wire.AppendID(append(dst, `,"command_id":"`...), command), '"')
	dst = wire.AppendMember(append(dst, ','), "command_type", kind)
	if actor == "" {
		return append(dst, `,"actor":null`...)
	}
	return wire.AppendMember(append(dst, ','), "actor", actor)
}

// collect copies a record's events out of it.
func collect(r wire.Record) []wire.Event {
	events := make([]wire.Event, 0, r.Len())
	for name, fields := range r.Events() {
		events = append(events, wire.Event{Name: name, Fields: fields})
	}
	return events
}
