package eventlogtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Dump is everything that Redis holds under keys of a session: what a commit that failed must not have changed.
func Dump(t testing.TB, rdb redis.UniversalClient, session uuid.UUID) map[string]string {
	t.Helper()
	dump := map[string]string{}
	for name := range Keys(t, rdb, session) {
		dump[name] = value(t, rdb, name)
	}
	return dump
}

// Keys are the keys of a session with their types.
func Keys(t testing.TB, rdb redis.UniversalClient, session uuid.UUID) map[string]string {
	t.Helper()
	keys := map[string]string{}
	scan := rdb.Scan(t.Context(), 0, "*"+session.String()+"*", 1000).Iterator()
	for scan.Next(t.Context()) {
		kind, err := rdb.Type(t.Context(), scan.Val()).Result()
		if err != nil {
			t.Fatal(err)
		}
		keys[scan.Val()] = kind
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return keys
}

// Key is the key of a session that ends with the suffix.
func Key(t testing.TB, rdb redis.UniversalClient, session uuid.UUID, suffix string) string {
	t.Helper()
	for name := range Keys(t, rdb, session) {
		if strings.HasSuffix(name, session.String()+":"+suffix) {
			return name
		}
	}
	t.Fatalf("session has no key %s", suffix)
	return ""
}

func value(t testing.TB, rdb redis.UniversalClient, name string) string {
	t.Helper()
	ctx := t.Context()
	var v any
	var err error
	switch kind := rdb.Type(ctx, name).Val(); kind {
	case "hash":
		v, err = rdb.HGetAll(ctx, name).Result()
	case "list":
		v, err = rdb.LRange(ctx, name, 0, -1).Result()
	case "stream":
		v, err = rdb.XRange(ctx, name, "-", "+").Result()
	case "zset":
		v, err = rdb.ZRangeWithScores(ctx, name, 0, -1).Result()
	case "string":
		v, err = rdb.Get(ctx, name).Result()
	default:
		t.Fatalf("key %s is a %s", name, kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v expires:%t", v, rdb.PTTL(ctx, name).Val() > 0)
}

// Same fails the test if two dumps differ, and says in which keys.
func Same(t testing.TB, before, after map[string]string) {
	t.Helper()
	names := slices.Collect(maps.Keys(before))
	names = slices.AppendSeq(names, maps.Keys(after))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if before[name] != after[name] {
			t.Errorf("%s changed\nfrom %.400s\nto   %.400s", name, before[name], after[name])
		}
	}
}
