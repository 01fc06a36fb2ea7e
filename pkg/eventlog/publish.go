package eventlog

import (
	"context"

	"github.com/talus-tally/talus/pkg/wire"
)

// Publish tells a session's channel an event without a version. Nobody keeps it; with nobody listening it is lost. Together
// with the scripts this is all that publishes.
func (l *Log) Publish(ctx context.Context, e wire.Ephemeral) error {
	channel := keysOf(e.Session).channel()
	err := classify(l.rdb.Publish(ctx, channel, wire.AppendEphemeral(nil, e)).Err())
	return l.subject(e.Session, err)
}
