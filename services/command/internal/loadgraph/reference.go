package loadgraph

// edge reads {source, target} under any of their names.
func (r *reader) edge() error {
	if r.b[r.i] != '{' {
		return refuse("must be an object")
	}
	var sources, targets [3]span
	if err := r.object(func(key string) (err error) {
		switch key {
		case "source":
			sources[0], err = r.id(key)
		case "parent_id":
			sources[1], err = r.id(key)
		case "parent":
			sources[2], err = r.id(key)
		case "target":
			targets[0], err = r.id(key)
		case "child_id":
			targets[1], err = r.id(key)
		case "child":
			targets[2], err = r.id(key)
		default:
			r.value()
		}

		return err
	}); err != nil {
		return err
	}
	e := edge{source: first(sources[:]), target: first(targets[:])}
	if e.source.empty() || e.target.empty() {
		return refuse(`must have "source" and "target"`)
	}
	r.edges = append(r.edges, e)

	return r.countLinks()
}

func (r *reader) countLinks() error {
	if len(r.edges)+len(r.children) > 4*r.limits.Nodes {
		return refuse("there are more than %d links", 4*r.limits.Nodes)
	}

	return nil
}

// relationship reads one entry of blocking_relationships.
func (r *reader) relationship() error {
	if r.b[r.i] != '{' {
		return refuse("must be an object")
	}
	var blocked, blocking span
	if err := r.object(func(key string) (err error) {
		switch key {
		case "blockedNodeId":
			blocked, err = r.id(key)
		case "blockingNodeId":
			blocking, err = r.id(key)
		default:
			r.value()
		}

		return err
	}); err != nil {
		return err
	}
	if blocked.empty() || blocking.empty() {
		return refuse(`must have "blockedNodeId" and "blockingNodeId"`)
	}
	r.blocking = append(r.blocking, Blocking{Blocked: MapID(idText(r.b, blocked)), Blocking: MapID(idText(r.b, blocking))})

	return nil
}
