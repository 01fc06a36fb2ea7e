package hub

import (
	"errors"
	"strconv"
	"strings"

	"github.com/talus-tally/talus/pkg/wire"
)

// Errors of [ParseAfter]; their texts are for clients.
var (
	ErrAfter = errors.New("after must be a position or a version")
	ErrEpoch = errors.New("epoch must be 16 hexadecimal digits")
)

// After says which commits a joining client has. The zero value: none, it joins
// live from the head.
type After struct {
	Given    bool          // resume behind Position
	Proven   bool          // Position has a digest, which has to be on the chain
	Position wire.Position // Epoch 0: not known, only if not Proven
}

// ParseAfter reads what a client says that it has: a position, which proves its
// branch, or a bare version with, perhaps, an epoch. Errors: ErrAfter, ErrEpoch.
func ParseAfter(text, epoch string) (After, error) {
	if strings.Contains(text, ".") {
		at, err := wire.ParsePosition(text)
		if err != nil {
			return After{}, ErrAfter
		}
		return After{Given: true, Proven: true, Position: at}, nil
	}
	version, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return After{}, ErrAfter
	}
	after := After{Given: true, Position: wire.Position{Version: version}}
	if epoch != "" {
		if after.Position.Epoch, err = wire.ParseEpoch(epoch); err != nil {
			return After{}, ErrEpoch
		}
	}
	return after, nil
}
