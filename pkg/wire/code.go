package wire

// Code is a problem's name as clients see it. This is the only table that knows
// HTTP status, WebSocket close code and whether a repeat may help (api.md, parts 1
// and 8).
type Code string

// The problem codes.
const (
	InvalidRequest     Code = "INVALID_REQUEST"
	InvalidCommand     Code = "INVALID_COMMAND"
	InvalidState       Code = "INVALID_STATE"
	InvalidNodeType    Code = "INVALID_NODE_TYPE"
	MoveInvalid        Code = "MOVE_INVALID"
	LinkInvalid        Code = "LINK_INVALID"
	ReorderInvalid     Code = "REORDER_INVALID"
	CommandNotAccepted Code = "COMMAND_FAILED"
	TemplateInvalid    Code = "TEMPLATE_VALIDATION_ERROR"
	InvalidSession     Code = "INVALID_SESSION"
	NodeNotFound       Code = "NODE_NOT_FOUND"
	TemplateNotFound   Code = "TEMPLATE_NOT_FOUND"
	ProjectNotFound    Code = "PROJECT_NOT_FOUND"
	NoProject          Code = "NO_PROJECT"
	NotFound           Code = "NOT_FOUND"
	MethodNotAllowed   Code = "METHOD_NOT_ALLOWED"
	VersionConflict    Code = "VERSION_CONFLICT"
	UndoTopChanged     Code = "UNDO_TOP_CHANGED"
	ValueChanged       Code = "VALUE_CHANGED"
	SessionAmbiguous   Code = "SESSION_AMBIGUOUS"
	SessionDamaged     Code = "SESSION_DAMAGED"
	IdempotencyReused  Code = "IDEMPOTENCY_CONFLICT"
	LogTrimmed         Code = "LOG_TRIMMED"
	Unauthorized       Code = "UNAUTHORIZED"
	Forbidden          Code = "FORBIDDEN"
	PayloadTooLarge    Code = "PAYLOAD_TOO_LARGE"
	RateLimited        Code = "RATE_LIMITED"
	Unavailable        Code = "UNAVAILABLE"
	InternalError      Code = "INTERNAL_ERROR"
)

// WebSocket close codes. The range tells the client what to do: 40xx do not come
// back, 41xx come back with back-off, 42xx come back now and resume. 1012 is
// "service restart" of the IANA registry for RFC 6455.
const (
	CloseUnauthorized  = 4001
	CloseForbidden     = 4003
	CloseNoSession     = 4004
	CloseProtocol      = 4008
	CloseOverloaded    = 4100
	CloseRateLimited   = 4101
	CloseSlow          = 4200
	ClosePositionLost  = 4201
	CloseMoved         = 4202
	CloseRestart       = 1012
	CloseTooBig        = 1009
	CloseInvalidUTF8   = 1007
	CloseProtocolError = 1002
)

// problem is one row of the table.
type problem struct {
	status    int
	close     int
	retryable bool
}

func (c Code) problem() problem {
	switch c {
	case InvalidRequest:
		return problem{status: 400, close: CloseProtocol}
	case InvalidCommand, InvalidState, InvalidNodeType, MoveInvalid, LinkInvalid, ReorderInvalid,
		CommandNotAccepted, TemplateInvalid:
		return problem{status: 400}
	case InvalidSession:
		return problem{status: 404, close: CloseNoSession}
	case NodeNotFound, TemplateNotFound, ProjectNotFound, NoProject, NotFound:
		return problem{status: 404}
	case MethodNotAllowed:
		return problem{status: 405}
	case UndoTopChanged, ValueChanged, SessionAmbiguous:
		return problem{status: 409}
	case LogTrimmed:
		return problem{status: 410}
	case SessionDamaged:
		return problem{status: 410, close: CloseNoSession}
	case VersionConflict:
		return problem{status: 412}
	case PayloadTooLarge:
		return problem{status: 413, close: CloseTooBig}
	case IdempotencyReused:
		return problem{status: 422}
	case Unauthorized:
		return problem{status: 401, close: CloseUnauthorized}
	case Forbidden:
		return problem{status: 403, close: CloseForbidden}
	case RateLimited:
		return problem{status: 429, close: CloseRateLimited, retryable: true}
	case Unavailable:
		return problem{status: 503, close: CloseOverloaded, retryable: true}
	default:
		return problem{status: 500, close: 1011}
	}
}

// Status is the HTTP status; 500 for a code that is not in the table.
func (c Code) Status() int { return c.problem().status }

// CloseCode is the WebSocket close code if the problem ends a connection, and 0 if
// it never does.
func (c Code) CloseCode() int { return c.problem().close }

// Retryable reports whether the same request may succeed later.
func (c Code) Retryable() bool { return c.problem().retryable }
