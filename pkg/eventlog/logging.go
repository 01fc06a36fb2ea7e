package eventlog

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
)

// LogClient sends what the Redis client says about its connections to log, instead of standard error. It holds for all clients
// of the process; the program calls it before it makes one.
func LogClient(log *slog.Logger) { redis.SetLogger(clientLog{log}) }

type clientLog struct{ log *slog.Logger }

// Printf is called by the client, for troubles that callers also get as errors.
func (c clientLog) Printf(ctx context.Context, format string, v ...any) {
	c.log.WarnContext(ctx, "redis client", "says", strings.TrimSpace(fmt.Sprintf(format, v...)))
}
