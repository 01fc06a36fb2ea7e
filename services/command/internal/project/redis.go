package project

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/wire"
)

var (
	//go:embed save.lua
	saveSource string
	//go:embed delete.lua
	deleteSource string

	saveScript   = redis.NewScript(saveSource)
	deleteScript = redis.NewScript(deleteSource)
)

// Redis is a [Store] in Redis. One project is one hash, and one sorted set lists them all; they
// share a hash tag because one script writes both.
type Redis struct {
	rdb redis.UniversalClient
}

// NewRedis makes a store that uses the client, which stays the caller's.
func NewRedis(rdb redis.UniversalClient) *Redis { return &Redis{rdb: rdb} }

const indexKey = "talus:{projects}:index"

func projectKey(id string) string { return "talus:{projects}:" + id }

// versionText is a version as text whose order is that of the numbers.
func versionText(v uint64) string { return fmt.Sprintf("%020d", v) }

// Save implements [Store].
func (s *Redis) Save(ctx context.Context, p Project, over wire.Position) error {
	content, err := encodeContent(p)
	if err != nil {
		return err
	}
	id := p.ID.String()
	reply, err := saveScript.Run(ctx, s.rdb, []string{projectKey(id), indexKey}, id,
		p.Position.Epoch.String(), versionText(p.Position.Version), p.Position.Digest.String(),
		over.Epoch.String(), versionText(over.Version), over.Digest.String(),
		"name", p.Name, "template", p.Template, "saved_at", p.SavedAt.UnixMilli(), "content", content).Slice()
	if err != nil {
		return unavailable("save", err)
	}
	if len(reply) < 4 {
		return nil
	}
	stored, err := parsePosition(reply[1], reply[2], reply[3])
	if err != nil {
		return unavailable("save", err)
	}

	return &NewerError{Stored: stored}
}

// parsePosition reads the three fields of a stored position.
func parsePosition(epoch, version, digest any) (p wire.Position, err error) {
	epochText, _ := epoch.(string)
	versionText, _ := version.(string)
	digestText, _ := digest.(string)
	var errEpoch, errVersion, errDigest error
	p.Epoch, errEpoch = wire.ParseEpoch(epochText)
	p.Version, errVersion = strconv.ParseUint(versionText, 10, 64)
	p.Digest, errDigest = wire.ParseDigest(digestText)

	return p, errors.Join(errEpoch, errVersion, errDigest)
}

// summaryFields are the fields that parseSummary reads.
func summaryFields() []string {
	return []string{"epoch", "version", "digest", "name", "template", "saved_at"}
}

func parseSummary(id uuid.UUID, v []any) (Summary, error) {
	out := Summary{ID: id}
	var err error
	if out.Position, err = parsePosition(v[0], v[1], v[2]); err != nil {
		return Summary{}, err
	}
	out.Name, _ = v[3].(string)
	out.Template, _ = v[4].(string)
	text, _ := v[5].(string)
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return Summary{}, fmt.Errorf("saved_at: %w", err)
	}
	out.SavedAt = time.UnixMilli(ms).UTC()

	return out, nil
}

// Get implements [Store].
func (s *Redis) Get(ctx context.Context, id uuid.UUID) (Project, error) {
	v, err := s.rdb.HMGet(ctx, projectKey(id.String()), append(summaryFields(), "content")...).Result()
	if err != nil {
		return Project{}, unavailable("read", err)
	}
	if v[0] == nil {
		return Project{}, notFound(id)
	}
	summary, err := parseSummary(id, v)
	if err != nil {
		return Project{}, unavailable("read", err)
	}
	p := Project{Summary: summary}
	content, _ := v[6].(string)
	if err := decodeContent([]byte(content), &p); err != nil {
		return Project{}, unavailable("read", err)
	}

	return p, nil
}

// List implements [Store].
func (s *Redis) List(ctx context.Context, cursor string, limit int) (Page, error) {
	limit = clamp(limit)
	after := "-"
	if cursor != "" {
		after = "(" + cursor
	}
	total := 0
	var found []Summary
	for len(found) <= limit {
		want := limit + 1 - len(found)
		ids, n, err := s.ids(ctx, after, want)
		if err != nil {
			return Page{}, err
		}
		total = n
		some, err := s.summaries(ctx, ids)
		if err != nil {
			return Page{}, err
		}
		found = append(found, some...)
		if len(ids) < want {
			break
		}
		after = "(" + ids[len(ids)-1] // One was deleted between the two reads: go on behind it.
	}

	return page(found, limit, total), nil
}

// ids reads a part of the index, and how much there is in it.
func (s *Redis) ids(ctx context.Context, after string, limit int) ([]string, int, error) {
	pipe := s.rdb.Pipeline()
	count := pipe.ZCard(ctx, indexKey)
	ids := pipe.ZRangeArgs(ctx, redis.ZRangeArgs{Key: indexKey, Start: after, Stop: "+", ByLex: true, Count: int64(limit)})
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, 0, unavailable("list", err)
	}

	return ids.Val(), int(count.Val()), nil
}

func (s *Redis) summaries(ctx context.Context, ids []string) ([]Summary, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := s.rdb.Pipeline()
	replies := make([]*redis.SliceCmd, 0, len(ids))
	for _, id := range ids {
		replies = append(replies, pipe.HMGet(ctx, projectKey(id), summaryFields()...))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, unavailable("list", err)
	}
	out := make([]Summary, 0, len(ids))
	for i, reply := range replies {
		if reply.Val()[0] == nil {
			continue
		}
		id, err := uuid.Parse(ids[i])
		if err != nil {
			return nil, unavailable("list", err)
		}
		summary, err := parseSummary(id, reply.Val())
		if err != nil {
			return nil, unavailable("list", err)
		}
		out = append(out, summary)
	}

	return out, nil
}

// Delete implements [Store].
func (s *Redis) Delete(ctx context.Context, id uuid.UUID) error {
	n, err := deleteScript.Run(ctx, s.rdb, []string{projectKey(id.String()), indexKey}, id.String()).Int()
	if err != nil {
		return unavailable("delete", err)
	}
	if n == 0 {
		return notFound(id)
	}

	return nil
}

// Close implements [Store]. The client is the caller's.
func (s *Redis) Close() error { return nil }
