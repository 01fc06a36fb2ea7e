package graph_test

// goldenVerb is a command against home, with the events that it and its inverse are told as: written by short.
type goldenVerb struct {
	name, commandType, data string
	do, undo                []string
}

func goldenVerbs() []goldenVerb {
	lamp := `{"node_id":"` + id(4).String() + `"`
	return []goldenVerb{
		{
			"create", "CreateNode",
			`{"id":"` + id(20).String() + `","blueprint_type_id":"room","parent_id":"` + id(1).String() + `","name":"bath <\"é\u0007\u2028","index":1,"properties":{"width":"2.50"}}`,
			[]string{
				`graph:node-created "node_id":"#20","id":"#20","name":"bath <\"é\u0007\u2028","blueprint_type_id":"ROOM","parent_id":"#01","index":1,"order":"a0V","node":{"id":"#20","blueprint_type_id":"ROOM","name":"bath <\"é\u0007\u2028","properties":{"TITLE":"bath <\"é\u0007\u2028","STATUS":"OPEN","WIDTH":2.50},"metadata":{},"parent_id":"#01","children":[]}`,
				`graph:node-linked "parent_id":"#01","child_id":"#20","index":1,"order":"a0V"`,
			},
			[]string{
				`graph:node-unlinked "parent_id":"#01","child_id":"#20","order":null`,
				`graph:node-deleted "node_id":"#20","id":"#20"`,
			},
		},
		{
			"create a root", "CreateNode", `{"id":"` + id(20).String() + `","blueprint_type_id":"thing"}`,
			[]string{`graph:node-created "node_id":"#20","id":"#20","name":"New Node","blueprint_type_id":"THING","parent_id":null,"index":2,"order":"a2","node":{"id":"#20","blueprint_type_id":"THING","name":"New Node","properties":{},"metadata":{},"parent_id":null,"children":[]}`},
			[]string{`graph:node-deleted "node_id":"#20","id":"#20"`},
		},
		{
			"delete", "DeleteNode", `{"node_id":"` + id(2).String() + `"}`,
			[]string{
				`graph:node-unlinked "parent_id":"#02","child_id":"#04","order":null`,
				`graph:node-deleted "node_id":"#04","id":"#04"`,
				`graph:node-unlinked "parent_id":"#01","child_id":"#02","order":null`,
				`graph:node-deleted "node_id":"#02","id":"#02"`,
			},
			[]string{
				`graph:node-created "node_id":"#02","id":"#02","name":"hall","blueprint_type_id":"ROOM","parent_id":"#01","index":0,"order":"a0","node":{"id":"#02","blueprint_type_id":"ROOM","name":"hall","properties":{"TITLE":"hall","STATUS":"OPEN"},"metadata":{},"parent_id":"#01","children":[]}`,
				`graph:node-linked "parent_id":"#01","child_id":"#02","index":0,"order":"a0"`,
				`graph:node-created "node_id":"#04","id":"#04","name":"lamp","blueprint_type_id":"THING","parent_id":"#02","index":0,"order":"a0","node":{"id":"#04","blueprint_type_id":"THING","name":"lamp","properties":{},"metadata":{"orphaned_properties":{"height":7}},"parent_id":"#02","children":[]}`,
				`graph:node-linked "parent_id":"#02","child_id":"#04","index":0,"order":"a0"`,
			},
		},
		{
			"link", "LinkNode", `{"parent_id":"` + id(1).String() + `","child_id":"` + id(5).String() + `","index":0}`,
			[]string{`graph:node-linked "parent_id":"#01","child_id":"#05","index":0,"order":"Zz"`},
			[]string{`graph:node-unlinked "parent_id":"#01","child_id":"#05","order":"a1"`},
		},
		{
			"unlink", "UnlinkNode", `{"parent_id":"` + id(1).String() + `","child_id":"` + id(2).String() + `"}`,
			[]string{`graph:node-unlinked "parent_id":"#01","child_id":"#02","order":"a2"`},
			[]string{`graph:node-linked "parent_id":"#01","child_id":"#02","index":0,"order":"a0"`},
		},
		{
			"move", "MoveNode", `{"node_id":"` + id(4).String() + `","new_parent_id":"` + id(3).String() + `"}`,
			[]string{
				`graph:node-unlinked "parent_id":"#02","child_id":"#04","order":null`,
				`graph:node-linked "parent_id":"#03","child_id":"#04","index":0,"order":"a0"`,
			},
			[]string{
				`graph:node-unlinked "parent_id":"#03","child_id":"#04","order":null`,
				`graph:node-linked "parent_id":"#02","child_id":"#04","index":0,"order":"a0"`,
			},
		},
		{
			"reorder", "ReorderNode", `{"node_id":"` + id(2).String() + `","new_index":7}`,
			[]string{
				`graph:node-unlinked "parent_id":"#01","child_id":"#02","order":null`,
				`graph:node-linked "parent_id":"#01","child_id":"#02","index":1,"order":"a2"`,
			},
			[]string{
				`graph:node-unlinked "parent_id":"#01","child_id":"#02","order":null`,
				`graph:node-linked "parent_id":"#01","child_id":"#02","index":0,"order":"a0"`,
			},
		},
		{
			"reorder to the same place", "ReorderNode", `{"node_id":"` + id(2).String() + `","new_index":0}`,
			[]string{
				`graph:node-unlinked "parent_id":"#01","child_id":"#02","order":null`,
				`graph:node-linked "parent_id":"#01","child_id":"#02","index":0,"order":"a0"`,
			},
			[]string{
				`graph:node-unlinked "parent_id":"#01","child_id":"#02","order":null`,
				`graph:node-linked "parent_id":"#01","child_id":"#02","index":0,"order":"a0"`,
			},
		},
		{
			"set", "UpdateProperty", `{"node_id":"` + id(2).String() + `","property_id":"status","new_value":"Done","old_value":"a lie"}`,
			[]string{`graph:property-changed "node_id":"#02","property_id":"STATUS","property_name":"STATUS","old_value":"OPEN","new_value":"DONE"`},
			[]string{`graph:property-changed "node_id":"#02","property_id":"STATUS","property_name":"STATUS","old_value":"DONE","new_value":"OPEN"`},
		},
		{
			"set to the same value", "UpdateProperty", `{"node_id":"` + id(2).String() + `","property_id":"status","new_value":"Open"}`,
			[]string{`graph:property-changed "node_id":"#02","property_id":"STATUS","property_name":"STATUS","old_value":"OPEN","new_value":"OPEN"`},
			[]string{`graph:property-changed "node_id":"#02","property_id":"STATUS","property_name":"STATUS","old_value":"OPEN","new_value":"OPEN"`},
		},
		{
			"set for the first time", "UpdateProperty", `{"node_id":"` + id(2).String() + `","property_id":"` + width + `","new_value":9007199254740993}`,
			[]string{`graph:property-changed "node_id":"#02","property_id":"WIDTH","property_name":"WIDTH","old_value":null,"new_value":9007199254740993`},
			[]string{`graph:property-deleted "node_id":"#02","property_id":"WIDTH","property_name":"WIDTH","old_value":9007199254740993`},
		},
		{
			"clear", "UpdateProperty", `{"node_id":"` + id(2).String() + `","property_id":"status","new_value":null}`,
			[]string{`graph:property-deleted "node_id":"#02","property_id":"STATUS","property_name":"STATUS","old_value":"OPEN"`},
			[]string{`graph:property-changed "node_id":"#02","property_id":"STATUS","property_name":"STATUS","old_value":null,"new_value":"OPEN"`},
		},
		{
			"clear what is not set", "UpdateProperty", `{"node_id":"` + id(2).String() + `","property_id":"width"}`,
			[]string{`graph:property-deleted "node_id":"#02","property_id":"WIDTH","property_name":"WIDTH","old_value":null`},
			[]string{`graph:property-deleted "node_id":"#02","property_id":"WIDTH","property_name":"WIDTH","old_value":null`},
		},
		{
			"rename by the name property", "UpdateProperty", `{"node_id":"` + id(2).String() + `","property_id":"name","new_value":"foyer"}`,
			[]string{`graph:property-changed "node_id":"#02","property_id":"TITLE","property_name":"TITLE","old_value":"hall","new_value":"foyer","name":"foyer"`},
			[]string{`graph:property-changed "node_id":"#02","property_id":"TITLE","property_name":"TITLE","old_value":"foyer","new_value":"hall","name":"hall"`},
		},
		{
			"rename where the name property is not set", "UpdateProperty", `{"node_id":"` + id(6).String() + `","property_id":"title","new_value":"board"}`,
			[]string{`graph:property-changed "node_id":"#06","property_id":"TITLE","property_name":"TITLE","old_value":null,"new_value":"board","name":"board"`},
			[]string{
				`graph:property-deleted "node_id":"#06","property_id":"TITLE","property_name":"TITLE","old_value":"board"`,
				`graph:property-changed "node_id":"#06","property_id":"name","property_name":"name","old_value":"board","new_value":"shelf","name":"shelf"`,
			},
		},
		{
			"rename without a name property", "UpdateProperty", lamp + `,"property_id":"name","new_value":"torch"}`,
			[]string{`graph:property-changed "node_id":"#04","property_id":"name","property_name":"name","old_value":"lamp","new_value":"torch","name":"torch"`},
			[]string{`graph:property-changed "node_id":"#04","property_id":"name","property_name":"name","old_value":"torch","new_value":"lamp","name":"lamp"`},
		},
		{
			"rename to the same name", "UpdateProperty", lamp + `,"property_id":"name","new_value":"lamp"}`,
			[]string{`graph:property-changed "node_id":"#04","property_id":"name","property_name":"name","old_value":"lamp","new_value":"lamp","name":"lamp"`},
			[]string{`graph:property-changed "node_id":"#04","property_id":"name","property_name":"name","old_value":"lamp","new_value":"lamp","name":"lamp"`},
		},
		{
			"clear the name property", "UpdateProperty", `{"node_id":"` + id(2).String() + `","property_id":"title","new_value":null}`,
			[]string{`graph:property-deleted "node_id":"#02","property_id":"TITLE","property_name":"TITLE","old_value":"hall"`},
			[]string{`graph:property-changed "node_id":"#02","property_id":"TITLE","property_name":"TITLE","old_value":null,"new_value":"hall"`},
		},
		{
			"delete a property", "DeleteProperty", `{"node_id":"` + id(2).String() + `","property_id":"status"}`,
			[]string{`graph:property-deleted "node_id":"#02","property_id":"STATUS","property_name":"STATUS","old_value":"OPEN"`},
			[]string{`graph:property-changed "node_id":"#02","property_id":"STATUS","property_name":"STATUS","old_value":null,"new_value":"OPEN"`},
		},
		{
			"delete an orphaned property", "DeleteOrphanedProperty", lamp + `,"property_key":"height"}`,
			[]string{`graph:property-deleted "node_id":"#04","property_id":"height","property_name":"height","old_value":7,"orphaned":true`},
			[]string{`graph:property-changed "node_id":"#04","property_id":"height","property_name":"height","old_value":null,"new_value":7,"orphaned":true`},
		},
		{
			"apply a kit", "ApplyKit", `{"target_id":"` + id(3).String() + `","kit_root_id":"` + id(5).String() + `"}`,
			[]string{
				`graph:node-created "node_id":"#K6","id":"#K6","name":"shelf","blueprint_type_id":"ROOM","parent_id":"#03","index":0,"order":"a0","node":{"id":"#K6","blueprint_type_id":"ROOM","name":"shelf","properties":{},"metadata":{},"parent_id":"#03","children":[]}`,
				`graph:node-linked "parent_id":"#03","child_id":"#K6","index":0,"order":"a0"`,
				`graph:node-created "node_id":"#K7","id":"#K7","name":"book","blueprint_type_id":"THING","parent_id":"#K6","index":0,"order":"a0","node":{"id":"#K7","blueprint_type_id":"THING","name":"book","properties":{},"metadata":{},"parent_id":"#K6","children":[]}`,
				`graph:node-linked "parent_id":"#K6","child_id":"#K7","index":0,"order":"a0"`,
			},
			[]string{
				`graph:node-unlinked "parent_id":"#K6","child_id":"#K7","order":null`,
				`graph:node-deleted "node_id":"#K7","id":"#K7"`,
				`graph:node-unlinked "parent_id":"#03","child_id":"#K6","order":null`,
				`graph:node-deleted "node_id":"#K6","id":"#K6"`,
			},
		},
	}
}
