package httpapi

import (
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/jsonbody"
	"github.com/talus-tally/talus/services/command/internal/session"
)

func (a *API) execute(c *fiber.Ctx) error {
	body, err := a.body(c, false)
	if err != nil {
		return err
	}
	named, _, err := body.Text("session_id")
	if err != nil {
		return err
	}
	kind, _, err := body.Text("command_type")
	if err != nil {
		return err
	}
	ctx, err := ofRequest(c, named)
	if err != nil && !errors.Is(err, session.ErrNoSession) {
		return err
	}
	if kind == "" {
		return refuse(wire.InvalidRequest, "command_type is required")
	}
	if err != nil {
		return err
	}
	how, err := a.commandCall(c, body)
	if err != nil {
		return err
	}
	result, err := a.sessions.Execute(ctx, kind, dataOf(body), how)
	if err != nil {
		return err
	}
	return answerCommand(c, result)
}

// dataOf returns the raw JSON of a command's data; missing data count as the empty object. What they contain is looked
// at later: an unknown session comes before a wrong field.
func dataOf(command jsonbody.Object) []byte {
	if raw := command.Raw("data"); raw != nil {
		return raw
	}
	return []byte("{}")
}

// commandCall is call with what the Prefer header asks to be in the answer.
func (a *API) commandCall(c *fiber.Ctx, body jsonbody.Object) (session.Call, error) {
	how, err := call(c, body)
	if err != nil {
		return how, err
	}
	switch preferred(c) {
	case "minimal":
	case "representation":
		how.Render, how.WantEvents = true, true
	default:
		how.Render = true
	}
	return how, nil
}

// answerCommand writes the answer to a command or a batch.
func answerCommand(c *fiber.Ctx, r session.Result) error {
	mark(c, r.Position, r.Replayed)
	return send(c, fiber.StatusOK, append(appendCommand(buffer(c), r), '}'))
}

func appendCommand(dst []byte, r session.Result) []byte {
	dst = appendOutcome(dst, r)
	dst = appendID(dst, "command_id", r.Command)
	if r.Node != (session.Result{}).Node {
		dst = appendID(dst, "node_id", r.Node)
	}
	if r.Events != nil {
		dst = appendEvents(dst, r.Events)
	}
	return dst
}

func (a *API) batch(c *fiber.Ctx) error {
	body, err := a.body(c, false)
	if err != nil {
		return err
	}
	named, _, err := body.Text("session_id")
	if err != nil {
		return err
	}
	ctx, err := ofRequest(c, named)
	if err != nil && !errors.Is(err, session.ErrNoSession) {
		return err
	}
	items, itemsErr := batchItems(body)
	if itemsErr != nil {
		return itemsErr
	}
	label, _, labelErr := body.Text("label")
	if err := errors.Join(labelErr, err); err != nil {
		return err
	}
	how, err := a.commandCall(c, body)
	if err != nil {
		return err
	}
	result, err := a.sessions.Batch(ctx, items, label, how)
	if err != nil {
		return err
	}
	return answerBatch(c, items, result)
}

// batchItems reads the commands of a batch. What is wrong with one names its place in the list.
func batchItems(body jsonbody.Object) ([]session.Item, error) {
	list, given, err := body.Objects("commands")
	if err != nil {
		return nil, err
	}
	if !given || len(list) == 0 {
		return nil, refuse(wire.InvalidRequest, "commands is required: a list with at least one command")
	}
	if len(list) > graph.MaxBatch {
		return nil, refuse(wire.InvalidRequest, fmt.Sprintf("a batch has at most %d commands, not %d", graph.MaxBatch, len(list)))
	}
	items := make([]session.Item, len(list))
	for i, command := range list {
		kind, given, err := command.Text("command_type")
		if err != nil || !given || kind == "" {
			return nil, &jsonbody.FieldError{Field: fmt.Sprintf("commands[%d].command_type", i), Want: "the name of a command"}
		}
		items[i] = session.Item{Type: kind, Data: dataOf(command)}
	}
	return items, nil
}

func answerBatch(c *fiber.Ctx, items []session.Item, r session.Result) error {
	mark(c, r.Position, r.Replayed)
	dst := append(appendCommand(buffer(c), r), `,"results":[`...)
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(append(dst, `{"success":true,"command_type":`...), item.Type)
		if i < len(r.Nodes) && r.Nodes[i] != (session.Result{}).Node {
			dst = appendID(dst, "node_id", r.Nodes[i])
		}
		dst = append(dst, '}')
	}
	return send(c, fiber.StatusOK, append(dst, `]}`...))
}
