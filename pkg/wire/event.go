package wire

// EventName is the name of an event as the planned dialect and the native protocol
// spell it.
type EventName string

// The fifteen event types in their five groups (api.md, part 7).
const (
	NodeCreated EventName = "graph:node-created"
	NodeDeleted EventName = "graph:node-deleted"

	NodeLinked   EventName = "graph:node-linked"
	NodeUnlinked EventName = "graph:node-unlinked"

	PropertyChanged EventName = "graph:property-changed"
	PropertyDeleted EventName = "graph:property-deleted"

	CommandExecuting EventName = "command:executing"
	CommandExecuted  EventName = "command:executed"
	CommandFailed    EventName = "command:failed"
	CommandUndo      EventName = "command:undo"
	CommandRedo      EventName = "command:redo"

	SessionConnected    EventName = "session:connected"
	SessionDisconnected EventName = "session:disconnected"
	ProjectSaved        EventName = "project:saved"
	ProjectLoaded       EventName = "project:loaded"
)
