package httpapi

import (
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/loadgraph"
)

// loadGraph replaces the session's graph by the one in the body.
func (a *API) loadGraph(c *fiber.Ctx) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	raw, err := a.rawBody(c, a.cfg.LoadBody)
	if err != nil {
		return err
	}
	document, err := loadgraph.Parse(raw, loadgraph.Limits{})
	if err != nil {
		return err
	}
	how, err := a.commandCall(c, nil)
	if err != nil {
		return err
	}
	r, err := a.sessions.LoadGraph(ctx, document, how)
	if err != nil {
		return err
	}
	mark(c, r.Position, r.Replayed)
	dst := appendID(appendID(buffer(c), "session_id", r.Session), "project_id", r.Project)
	dst = appendGraph(dst, r.Graph, r.Position)
	dst = appendTextOrNull(dst, "template_id", document.TemplateID)
	if r.Orphans != nil {
		dst = appendOrphans(appendKey(dst, "orphan_info"), *r.Orphans)
	}
	return sendObject(c, fiber.StatusOK, appendPosition(dst, r.Position))
}

// appendOrphans writes what the template did not know or knew again.
func appendOrphans(dst []byte, info blueprint.OrphanInfo) []byte {
	dst = strconv.AppendInt(append(dst, `{"total_orphaned_nodes":`...), int64(info.Nodes), 10)
	dst = appendInt(dst, "total_orphaned_properties", info.Properties)
	dst = appendInt(dst, "restored_nodes", info.RestoredNodes)
	return append(appendInt(dst, "restored_properties", info.RestoredProperties), '}')
}

// refusedLoad is the problem that a body which is no loadable project is.
func refusedLoad(r *loadgraph.Refusal) *Problem {
	p := &Problem{Code: wire.InvalidRequest, Message: r.Message}
	if len(r.Nodes) > 0 {
		p.Details = detailsOf(map[string][]string{"nodes": r.Nodes})
	}
	return p
}
