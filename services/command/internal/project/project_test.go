package project_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/project"
	"github.com/talus-tally/talus/services/command/internal/project/projecttest"
)

// open opens a store that must be there.
func open(t *testing.T, url string, rdb redis.UniversalClient) project.Store {
	t.Helper()
	s, err := project.Open(url, rdb)
	if err != nil {
		t.Fatalf("Open(%q): %v", url, err)
	}

	return s
}

func TestAFileKeepsProjects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var files atomic.Int32
	projecttest.Run(t, func() (project.Store, error) {
		return project.Open(fmt.Sprintf("sqlite:%s/a #%d file?%%.db", dir, files.Add(1)), nil)
	})
}

func TestMemoryKeepsProjects(t *testing.T) {
	t.Parallel()
	projecttest.Run(t, func() (project.Store, error) { return project.Open("sqlite::memory:", nil) })
}

func TestMiniredisKeepsProjects(t *testing.T) {
	t.Parallel()
	projecttest.Run(t, databases(t, miniredis.RunT(t).Addr()))
}

func TestRedisKeepsProjects(t *testing.T) {
	t.Parallel()
	projecttest.Run(t, databases(t, redistest.Server(t).Addr()))
}

// databases gives each test of the suite a database of its own, because it counts projects.
func databases(t *testing.T, addr string) func() (project.Store, error) {
	t.Helper()
	clients := make(chan redis.UniversalClient, 16)
	for db := range cap(clients) {
		clients <- redistest.Client(t, fmt.Sprintf("redis://%s/%d", addr, db))
	}

	close(clients)

	return func() (project.Store, error) { return project.Open("redis:", <-clients) } // nil when used up: refused
}

func TestAFileOutlivesTheStoreThatWroteIt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "talus.db")
	p := project.Project{Summary: project.Summary{ID: uuid.New(), Name: "kept", Position: wire.Position{Epoch: 1, Version: 2}}}
	writer := open(t, "sqlite:"+file, nil)
	if err := writer.Save(t.Context(), p, wire.Position{}); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}

	reader := open(t, "sqlite:"+file, nil)
	defer reader.Close()
	got, err := reader.Get(t.Context(), p.ID)

	if err != nil || got.Name != "kept" || got.Position != p.Position {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAWrongAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "sqlite:", "redis:", "redis://other:6379", "postgres://x", "talus.db"} {
		if s, err := project.Open(url, nil); err == nil {
			t.Errorf("%q gives %T", url, s)
		}
	}
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}

	for _, url := range []string{"sqlite:" + file, "sqlite:" + filepath.Join(t.TempDir(), "missing", "talus.db")} {
		if s, err := project.Open(url, nil); err == nil {
			t.Errorf("%q gives %T", url, s)
		}
	}
}

// fails checks that every method of a broken store says so.
func fails(t *testing.T, s project.Store) {
	t.Helper()
	p := project.Project{Summary: project.Summary{ID: uuid.New()}}
	_, getErr := s.Get(t.Context(), p.ID)
	_, listErr := s.List(t.Context(), "", 1)
	for method, err := range map[string]error{
		"Save": s.Save(t.Context(), p, wire.Position{}), "Get": getErr, "List": listErr, "Delete": s.Delete(t.Context(), p.ID),
	} {
		if !errors.Is(err, project.ErrUnavailable) || errors.Is(err, project.ErrNotFound) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestAStoreThatCannotBeReachedIsUnavailable(t *testing.T) {
	t.Parallel()
	closed := open(t, "sqlite::memory:", nil)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	gone := open(t, "redis:", client)
	server.Close()

	fails(t, closed)
	fails(t, gone)
}

func TestAnEndedContextIsNoAnswer(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite::memory:", nil)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, err := s.Get(ctx, uuid.New())

	if !errors.Is(err, context.Canceled) || !errors.Is(err, project.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestDamagedContentIsFound(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	s := open(t, "redis:", redistest.Client(t, "redis://"+server.Addr()))
	p := project.Project{Summary: project.Summary{ID: uuid.New()}, Nodes: []wire.Image{{Node: uuid.New(), Bytes: []byte("node")}}}
	if err := s.Save(t.Context(), p, wire.Position{}); err != nil {
		t.Fatal(err)
	}
	key := "talus:{projects}:" + p.ID.String()
	whole := server.HGet(key, "content")

	for name, content := range map[string]string{
		"empty": "", "other format": "\x02" + whole[1:], "no gzip": "\x01abc", "cut": whole[:len(whole)-3],
	} {
		server.HSet(key, "content", content)
		if _, err := s.Get(t.Context(), p.ID); !errors.Is(err, project.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.HSet(key, "content", whole, "saved_at", "yesterday")
	if _, err := s.List(t.Context(), "", 1); !errors.Is(err, project.ErrUnavailable) {
		t.Errorf("a wrong time: %v", err)
	}
	server.HSet(key, "saved_at", "1", "epoch", "x")
	if _, err := s.Get(t.Context(), p.ID); !errors.Is(err, project.ErrUnavailable) {
		t.Errorf("a wrong epoch: %v", err)
	}
}

func TestAListSkipsWhatIsOnlyInTheIndex(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	s := open(t, "redis:", redistest.Client(t, "redis://"+server.Addr()))
	p := project.Project{Summary: project.Summary{ID: uuid.New(), Name: "whole"}}
	if err := s.Save(t.Context(), p, wire.Position{}); err != nil {
		t.Fatal(err)
	}
	if _, err := server.ZAdd("talus:{projects}:index", 0, uuid.Nil.String()); err != nil {
		t.Fatal(err)
	}

	page, err := s.List(t.Context(), "", 1)

	if err != nil || len(page.Projects) != 1 || page.Projects[0].Name != "whole" {
		t.Errorf("got %+v, %v", page, err)
	}
}
