package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/wire"
)

// Loaded is a session's graph as it is stored, at one version.
type Loaded struct {
	Head   Head // Position, Generation, Count and Sum are those of the images; the rest may be newer
	Images map[uuid.UUID][]byte
}

const (
	scanCount = 500                   // nodes per step of the scan: 0.4 ms of Redis
	scanSteps = 20                    // steps between two looks at the log, so that it is read before it is trimmed
	scanTime  = 50 * time.Millisecond // or this time, where a step takes long
	redoChunk = 1000                  // records per read
	redoReads = 16                    // reads per look while the scan is not over
	loadTries = 3
)

// errAgain says that the session moved in a way that a load cannot follow.
var errAgain = errors.New("load must start again")

// Load reads the whole graph of a session while others commit: it scans the nodes, reads the log at the same time, and then
// redoes every commit since the scan began, up to a head that was read after the scan had ended. The result is checked against
// the count and the checksum that the last commit left. It returns ErrTorn when that fails three times, ErrUnavailable also when
// the session moved three times in a way that a load cannot follow, or ErrNoSession.
func (l *Log) Load(ctx context.Context, session uuid.UUID) (Loaded, error) {
	var err error
	for range loadTries {
		var loaded Loaded
		loaded, err = l.load(ctx, session)
		if err == nil {
			return loaded, nil
		}
		if !errors.Is(err, errAgain) && !errors.Is(err, ErrTorn) {
			return Loaded{}, l.subject(session, err)
		}
		l.metrics.loadRetries.Inc()
	}
	if errors.Is(err, errAgain) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	l.condemnIf(ctx, session, err)
	return Loaded{}, l.subject(session, err)
}

func (l *Log) load(ctx context.Context, session uuid.UUID) (Loaded, error) {
	start, _, err := l.answer(ctx, session, "")
	if err != nil {
		return Loaded{}, err
	}
	r := redo{log: l, session: session, at: start.Position, count: start.Count, sum: start.Sum, generation: start.Generation}
	images, err := r.scan(ctx, start)
	if err != nil {
		return Loaded{}, err
	}
	end, _, err := l.answer(ctx, session, "") // after the scan has ended
	if err != nil {
		return Loaded{}, err
	}
	if end.Generation != start.Generation || end.Position.Epoch != start.Position.Epoch {
		return Loaded{}, fmt.Errorf("%w: the nodes were replaced", errAgain)
	}
	for r.at.Version < end.Position.Version {
		before := r.at
		if _, err := r.read(ctx); err != nil {
			return Loaded{}, err
		}
		if r.at == before {
			return Loaded{}, fmt.Errorf("%w: nothing in the log after version %d, head is %d", ErrTorn, before.Version, end.Position.Version)
		}
	}
	for _, im := range r.images {
		if im.Bytes == nil {
			delete(images, im.Node)
		} else {
			images[im.Node] = im.Bytes
		}
	}
	end.Position, end.Count, end.Sum = r.at, r.count, r.sum
	return Loaded{Head: end, Images: images}, verify(images, r.count, r.sum)
}

// verify compares the images with the count and the checksum that belong to their version.
func verify(images map[uuid.UUID][]byte, count, sum uint64) error {
	var got uint64
	for id, image := range images {
		got += wire.ImageHash(id, image)
	}
	if uint64(len(images)) != count || got != sum {
		return fmt.Errorf("%w: %d nodes with checksum %016x, expected %d with %016x", ErrTorn, len(images), got, count, sum)
	}
	return nil
}

// redo collects what was committed since a load began.
type redo struct {
	log        *Log
	session    uuid.UUID
	at         wire.Position // the last record read
	count, sum uint64        // of the nodes at that position
	generation uint32
	images     []wire.Image // in the order of the commits
}

// scan reads all nodes, and the log in between.
func (r *redo) scan(ctx context.Context, start Head) (map[uuid.UUID][]byte, error) {
	images := make(map[uuid.UUID][]byte, start.Count)
	key := keysOf(r.session).nodes(start.Generation)
	var cursor uint64
	looked := time.Now()
	for step := 1; ; step++ {
		var values []string
		err := retry(ctx, func() error {
			var next uint64
			var err error
			values, next, err = r.log.rdb.HScan(ctx, key, cursor, "", scanCount).Result()
			if err == nil {
				cursor = next
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for i := 0; i+1 < len(values); i += 2 {
			if len(values[i]) != 16 {
				return nil, fmt.Errorf("%w: node id of %d bytes", ErrTorn, len(values[i]))
			}
			images[uuid.UUID([]byte(values[i]))] = []byte(values[i+1])
		}
		if cursor == 0 {
			return images, nil
		}
		if step%scanSteps != 0 && time.Since(looked) < scanTime {
			continue
		}
		more := true
		for reads := 0; more && reads < redoReads; reads++ {
			if more, err = r.read(ctx); err != nil {
				return nil, err
			}
		}
		looked = time.Now()
	}
}

// read takes the next records from the log, if there are any, and reports whether there are more.
func (r *redo) read(ctx context.Context) (more bool, err error) {
	found, err := r.log.look(ctx, r.session, entryID(r.at.Version+1), "+", redoChunk)
	if err != nil {
		return false, err
	}
	entries, err := parseEntries(r.session, found.entries)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !e.Record.Follows(r.at) { // trimmed under us, or another branch
			return false, fmt.Errorf("%w: version %d does not follow %d", errAgain, e.Record.Version, r.at.Version)
		}
		delta, err := wire.ParseDelta(e.Delta)
		if err != nil {
			return false, fmt.Errorf("%w: delta of version %d: %w", ErrTorn, e.Record.Version, err)
		}
		if !e.Record.VerifyDelta(e.Delta) {
			return false, fmt.Errorf("%w: record of version %d has another digest", ErrTorn, e.Record.Version)
		}
		if delta.Replaced || delta.Generation != r.generation {
			return false, fmt.Errorf("%w: the nodes were replaced", errAgain)
		}
		r.at, r.count, r.sum = e.Record.Position(), delta.Count, delta.Sum
		r.images = append(r.images, delta.Images...)
	}
	return r.at.Version < found.head.Version, nil
}
