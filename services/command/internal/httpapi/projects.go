package httpapi

import (
	"errors"
	"net/url"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/render"
	"github.com/talus-tally/talus/services/command/internal/session"
)

func (a *API) createProject(c *fiber.Ctx) error {
	body, err := a.body(c, false)
	if err != nil {
		return err
	}
	template, _, templateErr := body.Text("template_id")
	name, _, nameErr := body.Text("project_name")
	if err := errors.Join(templateErr, nameErr); err != nil {
		return err
	}
	if template == "" || name == "" {
		return refuse(wire.InvalidRequest, "template_id and project_name are required")
	}
	how, err := call(c, body)
	if err != nil {
		return err
	}
	how.Render = true
	r, err := a.sessions.CreateProject(c.UserContext(), template, name, how)
	if err != nil {
		return err
	}
	return answerProject(c, fiber.StatusCreated, r)
}

// answerProject answers with a session that a project was put into.
func answerProject(c *fiber.Ctx, status int, r session.Result) error {
	mark(c, r.Position, r.Replayed)
	dst := appendID(appendID(buffer(c), "project_id", r.Project), "session_id", r.Session)
	dst = appendGraph(dst, r.Graph, r.Position)
	return sendObject(c, status, appendPosition(dst, r.Position))
}

func (a *API) listProjects(c *fiber.Ctx) error {
	most, err := limit(c, defaultPage, maxPage)
	if err != nil {
		return err
	}
	page, err := a.sessions.Projects(c.UserContext(), most, utils.CopyString(c.Query("cursor")))
	if err != nil {
		return err
	}
	dst := append(buffer(c), `{"projects":[`...)
	for i, p := range page.Projects {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendProject(append(dst, '{'), p), '}')
	}
	return send(c, fiber.StatusOK, appendPage(append(dst, ']'), page.Total, page.Next))
}

// appendProject writes what is known of a saved project, without a comma before it.
func appendProject(dst []byte, p session.Project) []byte {
	dst = render.UUID(append(dst, `"project_id":`...), p.ID)
	dst = appendText(dst, "name", p.Name)
	dst = appendTextOrNull(dst, "template_id", p.Template)
	dst = appendTime(dst, "saved_at", p.SavedAt)
	return wire.AppendNumber(append(dst, ','), "version", p.Version)
}

func (a *API) project(c *fiber.Ctx) error {
	id, err := projectID(c)
	if err != nil {
		return err
	}
	p, err := a.sessions.Project(c.UserContext(), id)
	if err != nil {
		return err
	}
	dst := appendProject(append(buffer(c), '{'), p)
	if p.Graph != nil {
		dst = append(appendKey(dst, "graph"), p.Graph.JSON...)
	}
	if p.Session != (session.Project{}).Session {
		dst = appendID(dst, "session_id", p.Session)
	}
	return send(c, fiber.StatusOK, append(dst, '}'))
}

func (a *API) deleteProject(c *fiber.Ctx) error {
	id, err := projectID(c)
	if err != nil {
		return err
	}
	if err := a.sessions.DeleteProject(c.UserContext(), id); err != nil {
		return err
	}
	return send(c, fiber.StatusOK, append(buffer(c), `{"success":true}`...))
}

func (a *API) saveProject(c *fiber.Ctx) error {
	id, err := projectID(c)
	if err != nil {
		return err
	}
	body, err := a.body(c, true)
	if err != nil {
		return err
	}
	named, given, err := body.Text("session_id")
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	if given {
		if ctx, err = inSession(ctx, named); err != nil {
			return err
		}
	}
	saved, err := a.sessions.SaveProject(ctx, id)
	if err != nil {
		return err
	}
	return answerSaved(c, saved, "")
}

func (a *API) loadProject(c *fiber.Ctx) error {
	id, err := projectID(c)
	if err != nil {
		return err
	}
	body, err := a.body(c, true)
	if err != nil {
		return err
	}
	named, given, err := body.Text("session_id")
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	if given {
		if ctx, err = inSession(ctx, named); err != nil {
			return err
		}
	}
	how, err := a.commandCall(c, body)
	if err != nil {
		return err
	}
	r, err := a.sessions.LoadProject(ctx, id, how)
	if err != nil {
		return err
	}
	return answerProject(c, fiber.StatusOK, r)
}

func (a *API) listTemplates(c *fiber.Ctx) error {
	dst := append(buffer(c), `{"templates":[`...)
	for i, t := range a.templates.Templates() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendMember(append(dst, '{'), "id", t.ID)
		dst = appendText(dst, "name", t.Name)
		dst = append(appendText(dst, "description", t.Description), '}')
	}
	return send(c, fiber.StatusOK, append(dst, `]}`...))
}

func (a *API) schema(c *fiber.Ctx) error {
	id, err := url.PathUnescape(c.Params("template"))
	if err != nil {
		return blueprint.ErrNotFound
	}
	t, err := a.templates.Template(id)
	if err != nil {
		return err
	}
	return send(c, fiber.StatusOK, t.AppendSchema(buffer(c)))
}
