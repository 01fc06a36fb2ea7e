package blueprint

import (
	"encoding/json"

	"github.com/google/uuid"
)

// The answer to a request for a template's schema, as clients have always got it.
type (
	schemaAnswer struct {
		ID           string          `json:"id"`
		Name         string          `json:"name"`
		Description  string          `json:"description"`
		NodeTypes    []schemaType    `json:"node_types"`
		BlockingView json.RawMessage `json:"blocking_view,omitempty"`
	}
	schemaType struct {
		ID                uuid.UUID        `json:"id"`
		UUID              uuid.UUID        `json:"uuid"`
		Key               string           `json:"key"`
		Name              string           `json:"name"`
		AllowedChildren   []uuid.UUID      `json:"allowed_children"`
		AllowedAssetTypes []string         `json:"allowed_asset_types"`
		Icon              *string          `json:"icon"`
		BaseType          *string          `json:"base_type"`
		Features          []string         `json:"features"`
		Properties        []schemaProperty `json:"properties"`
		PrimaryStatus     uuid.UUID        `json:"primary_status_property_id,omitzero"`
	}
	schemaProperty struct {
		ID            uuid.UUID       `json:"id"`
		Key           string          `json:"key"`
		Name          string          `json:"name"`
		Type          string          `json:"type"`
		Required      bool            `json:"required"`
		IndicatorSet  *string         `json:"indicator_set"`
		Options       []schemaOption  `json:"options"`
		MarkupProfile *string         `json:"markup_profile"`
		MarkupTokens  json.RawMessage `json:"markup_tokens"`
		UIGroup       *string         `json:"ui_group"`
	}
	schemaOption struct {
		ID          string  `json:"id"`
		Name        string  `json:"name"`
		IndicatorID *string `json:"indicator_id"`
	}
)

// AppendSchema appends the template as clients see it, as JSON.
func (t *Template) AppendSchema(dst []byte) []byte { return append(dst, t.schema...) }

// encodeSchema renders the schema answer once; the template never changes.
func (t *Template) encodeSchema() ([]byte, error) {
	out := schemaAnswer{
		ID: t.ID, Name: t.Name, Description: t.Description, BlockingView: t.BlockingView,
		NodeTypes: make([]schemaType, 0, len(t.NodeTypes)),
	}
	for i := range t.NodeTypes {
		out.NodeTypes = append(out.NodeTypes, t.NodeTypes[i].schema())
	}

	return json.Marshal(out)
}

func (n *NodeType) schema() schemaType {
	out := schemaType{
		ID: n.ID, UUID: n.ID, Key: n.Key, Name: n.Name,
		AllowedChildren: append([]uuid.UUID{}, n.AllowedChildren...), AllowedAssetTypes: append([]string{}, n.AllowedAssetTypes...),
		Icon: orNull(n.Icon), BaseType: orNull(n.BaseType), Features: append([]string{}, n.Features...),
		Properties: make([]schemaProperty, 0, len(n.Properties)), PrimaryStatus: n.PrimaryStatus,
	}
	for _, p := range n.Properties {
		property := schemaProperty{
			ID: p.ID, Key: p.Key, Name: p.Name, Type: p.Type, Required: p.Required,
			IndicatorSet: orNull(p.IndicatorSet), MarkupProfile: orNull(p.MarkupProfile),
			MarkupTokens: p.MarkupTokens, UIGroup: orNull(p.UIGroup),
		}
		for _, o := range p.Options {
			property.Options = append(property.Options, schemaOption{ID: o.ID, Name: o.Name, IndicatorID: orNull(o.IndicatorID)})
		}
		out.Properties = append(out.Properties, property)
	}

	return out
}

// orNull is nil, JSON null, for an empty text.
func orNull(s string) *string {
	if s == "" {
		return nil
	}

	return &s
}
