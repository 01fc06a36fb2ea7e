package httpapi

import (
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/jsonbody"
	"github.com/talus-tally/talus/services/command/internal/render"
	"github.com/talus-tally/talus/services/command/internal/search"
	"github.com/talus-tally/talus/services/command/internal/session"
)

const (
	defaultHits    = 50
	maxHits        = 1000
	defaultCommits = 100
	maxCommits     = 1000
)

// graph answers with the graph as a member of its own.
func (a *API) graph(c *fiber.Ctx) error { return a.answerGraph(c, c.Params("session"), true) }

// tree answers with the roots at the top level; the session is in the path, the query or a header.
func (a *API) tree(c *fiber.Ctx) error {
	named := c.Params("session")
	if named == "" {
		named = c.Query("session_id")
	}
	return a.answerGraph(c, named, false)
}

func (a *API) answerGraph(c *fiber.Ctx, named string, wrapped bool) error {
	ctx, err := ofRequest(c, named)
	if err != nil {
		return err
	}
	if known := entityTags(c.Get(fiber.HeaderIfNoneMatch)); known.given {
		s, err := a.sessions.Info(ctx)
		if err != nil {
			return err
		}
		if s.HasProject() && known.matches(s.Position) {
			setPosition(c, s.Position)
			c.Status(fiber.StatusNotModified)
			return nil
		}
	}
	g, err := a.sessions.GraphJSON(ctx)
	if err != nil {
		return err
	}
	setPosition(c, g.Position)
	dst := buffer(c)
	if wrapped {
		dst = append(append(dst, `{"graph":`...), g.JSON...)
	} else {
		dst = append(dst, g.JSON[:len(g.JSON)-1]...) // the members go on after the roots
	}
	return send(c, fiber.StatusOK, append(appendPosition(dst, g.Position), '}'))
}

// view calls fn with the session or the project's live session that the path names.
func (a *API) view(c *fiber.Ctx, fn func(session.View) error) error {
	if c.Params("project") != "" {
		id, err := projectID(c)
		if err != nil {
			return err
		}
		return a.sessions.ViewProject(c.UserContext(), id, fn)
	}
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	return a.sessions.View(ctx, fn)
}

func (a *API) node(c *fiber.Ctx) error {
	id, badID := uuid.Parse(c.Params("node"))
	var dst []byte
	var at wire.Position
	err := a.view(c, func(v session.View) error {
		n, ok := v.Graph.Node(id)
		if badID != nil || !ok {
			return session.ErrNodeNotFound
		}
		dst, at = render.Node(nil, v.Graph, n, v.Template, v.Position.Version), v.Position
		return nil
	})
	if err != nil {
		return err
	}
	setPosition(c, at)
	return send(c, fiber.StatusOK, append(buffer(c), dst...))
}

func (a *API) search(c *fiber.Ctx) error {
	body, err := a.body(c, false)
	if err != nil {
		return err
	}
	query, err := searchQuery(body)
	if err != nil {
		return err
	}
	var dst []byte
	err = a.view(c, func(v session.View) error {
		dst = appendHits(nil, search.Find(v.Graph, v.Template, query))
		return nil
	})
	if err != nil {
		return err
	}
	return send(c, fiber.StatusOK, append(buffer(c), dst...))
}

func searchQuery(body jsonbody.Object) (search.Query, error) {
	q := search.Query{Limit: defaultHits}
	text, given, err := body.Text("query")
	if err != nil {
		return q, err
	}
	if !given {
		return q, refuse(wire.InvalidRequest, "query is required")
	}
	kind, _, err := body.Text("filter_by_type")
	if err != nil {
		return q, err
	}
	most, given, err := body.Count("limit")
	if err != nil {
		return q, err
	}
	if given {
		q.Limit = int(min(most, maxHits))
	}
	q.Text, q.Type = text, kind
	return q, nil
}

func appendHits(dst []byte, hits []search.Hit) []byte {
	dst = append(dst, `{"results":[`...)
	for i, hit := range hits {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = render.UUID(append(dst, `{"id":`...), hit.Node.ID)
		dst = appendText(dst, "name", hit.Node.Name)
		dst = appendText(dst, "type", hit.Node.Type)
		dst = append(appendText(dst, "breadcrumb", hit.Breadcrumb), '}')
	}
	return append(dst, `]}`...)
}

// events answers with a part of the log, in the form of the commit frames that subscribers get.
func (a *API) events(c *fiber.Ctx) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	most, err := limit(c, defaultCommits, maxCommits)
	if err != nil {
		return err
	}
	after, err := reader(c.Query("after"))
	if err != nil {
		return err
	}
	commits, err := a.sessions.Commits(ctx, after, most)
	if err != nil {
		return err
	}
	dst := append(appendPosition(buffer(c), commits.Head), `,"commits":[`...)
	for i := range commits.Records {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = commits.Records[i].AppendCommitFrame(dst)
	}
	return sendObject(c, fiber.StatusOK, append(dst, ']'))
}

// reader reads where the reader of a log stands: a position or a version; nothing means at the beginning.
func reader(text string) (session.After, error) {
	if text == "" {
		return session.After{}, nil
	}
	if version, err := strconv.ParseUint(text, 10, 64); err == nil {
		return session.After{Version: version}, nil
	}
	p, err := wire.ParsePosition(text)
	if err != nil {
		return session.After{}, refuse(wire.InvalidRequest, "query value after must be a version or a position")
	}
	return session.After{Version: p.Version, Position: p}, nil
}
