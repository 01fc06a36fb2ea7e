// Package projecttest is what every project.Store must do, as tests. It says nothing about
// durability and speed.
package projecttest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/project"
)

// Run tests the stores that open makes. Each call must give an empty one, which is closed by
// the suite; the calls come from several goroutines.
func Run(t *testing.T, open func() (project.Store, error)) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(suite)
	}{
		{"what was saved is read back exactly", suite.readBack},
		{"an unknown project is not found", suite.unknown},
		{"a newer save replaces an older one", suite.newer},
		{"an older save never replaces a newer one", suite.older},
		{"a save of another epoch replaces what is stored", suite.otherEpoch},
		{"a save of the same version on another branch replaces what is stored", suite.otherBranch},
		{"a stored state that is known to be off the branch is replaced", suite.offBranch},
		{"another state than the one named as off the branch stays", suite.notOver},
		{"the greatest versions are told apart", suite.greatVersions},
		{"of saves in any order the newest stays", suite.race},
		{"a deleted project is gone and may be saved again", suite.deleted},
		{"the list is sorted, complete and comes in pages", suite.list},
		{"limits are brought into range", suite.limits},
		{"a page goes on behind a project that was deleted", suite.deletedCursor},
		{"a large project is kept whole", suite.large},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store, err := open()
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})

			c.test(suite{T: t, store: store})
		})
	}
}

// suite is one test and the store that it has for itself.
type suite struct {
	*testing.T

	store project.Store
}

// at is a position whose digest belongs to the version and the branch.
func at(epoch, version uint64, branch byte) wire.Position {
	return wire.Position{Epoch: wire.Epoch(epoch), Version: version, Digest: wire.Digest{branch, byte(version), byte(version >> 8), 1}}
}

// sample is a project whose content tells its position.
func sample(id uuid.UUID, p wire.Position) project.Project {
	return project.Project{
		Summary: project.Summary{
			ID: id, Name: "Plän " + p.String(), Template: "generic-tree", Position: p,
			SavedAt: time.UnixMilli(1_700_000_000_123).UTC(),
		},
		Nodes: []wire.Image{
			{Node: uuid.UUID{1}, Bytes: []byte(p.String())},
			{Node: uuid.UUID{2}, Bytes: []byte{0, 255, 1}},
		},
		Blocking: []project.Blocking{{Blocked: uuid.UUID{1}, Blocking: uuid.UUID{2}}},
	}
}

func (t suite) newID() uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}

	return id
}

func (t suite) save(p project.Project) {
	t.Helper()
	if err := t.store.Save(t.Context(), p, wire.Position{}); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

// holds checks that the store has exactly this project.
func (t suite) holds(want project.Project) {
	t.Helper()
	got, err := t.store.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func (t suite) readBack() {
	p := sample(t.newID(), at(7, 42, 'a'))
	bare := project.Project{Summary: project.Summary{ID: t.newID(), Position: at(1<<63+5, 0, 'a'), SavedAt: time.UnixMilli(0).UTC()}, Nodes: []wire.Image{}}

	t.save(p)
	t.save(bare)

	t.holds(p)
	t.holds(bare)
}

func (t suite) unknown() {
	if _, err := t.store.Get(t.Context(), t.newID()); !errors.Is(err, project.ErrNotFound) || errors.Is(err, project.ErrUnavailable) {
		t.Errorf("Get: %v", err)
	}
	if err := t.store.Delete(t.Context(), t.newID()); !errors.Is(err, project.ErrNotFound) {
		t.Errorf("Delete: %v", err)
	}
}

func (t suite) newer() {
	id := t.newID()
	t.save(sample(id, at(7, 9, 'a')))

	t.save(sample(id, at(7, 10, 'a')))

	t.holds(sample(id, at(7, 10, 'a')))
	renamed := sample(id, at(7, 10, 'a'))
	renamed.Name = "the same state again"
	t.save(renamed)
	t.holds(renamed)
}

// refused checks that a save is left out because of the stored position.
func (t suite) refused(p project.Project, over, stored wire.Position) {
	t.Helper()
	err := t.store.Save(t.Context(), p, over)
	var newerErr *project.NewerError
	if !errors.As(err, &newerErr) || newerErr.Stored != stored || !strings.Contains(err.Error(), stored.String()) {
		t.Errorf("got %v, want the stored position %s", err, stored)
	}
}

func (t suite) older() {
	id := t.newID()
	t.save(sample(id, at(7, 10, 'a')))

	t.refused(sample(id, at(7, 9, 'a')), wire.Position{}, at(7, 10, 'a'))

	t.holds(sample(id, at(7, 10, 'a')))
}

func (t suite) otherEpoch() {
	id := t.newID()
	t.save(sample(id, at(7, 1000, 'a')))

	t.save(sample(id, at(8, 1, 'a')))

	t.holds(sample(id, at(8, 1, 'a')))
}

func (t suite) otherBranch() {
	id := t.newID()
	t.save(sample(id, at(7, 10, 'a')))

	t.save(sample(id, at(7, 10, 'b')))

	t.holds(sample(id, at(7, 10, 'b')))
}

func (t suite) offBranch() {
	id := t.newID()
	t.save(sample(id, at(7, 10, 'a')))

	if err := t.store.Save(t.Context(), sample(id, at(7, 8, 'b')), at(7, 10, 'a')); err != nil {
		t.Fatalf("Save: %v", err)
	}

	t.holds(sample(id, at(7, 8, 'b')))
}

func (t suite) notOver() {
	id := t.newID()
	t.save(sample(id, at(7, 11, 'b')))

	t.refused(sample(id, at(7, 8, 'b')), at(7, 10, 'a'), at(7, 11, 'b'))

	t.holds(sample(id, at(7, 11, 'b')))
}

func (t suite) greatVersions() {
	id := t.newID()
	const great = 1<<53 + 1
	t.save(sample(id, at(7, great, 'a')))

	t.refused(sample(id, at(7, great-1, 'a')), wire.Position{}, at(7, great, 'a'))
	t.refused(sample(id, at(7, 99, 'a')), wire.Position{}, at(7, great, 'a'))
	t.save(sample(id, at(7, great+1, 'a')))

	t.holds(sample(id, at(7, great+1, 'a')))
}

func (t suite) race() {
	id := t.newID()
	const last = 20
	var writers sync.WaitGroup
	for v := range uint64(last) {
		writers.Go(func() {
			err := t.store.Save(t.Context(), sample(id, at(7, v+1, 'a')), wire.Position{})
			var newerErr *project.NewerError
			if err != nil && (!errors.As(err, &newerErr) || newerErr.Stored.Version <= v+1) {
				t.Errorf("saving %d: %v", v+1, err)
			}
		})
	}
	writers.Wait()

	t.holds(sample(id, at(7, last, 'a')))
}

func (t suite) deleted() {
	id := t.newID()
	t.save(sample(id, at(7, 10, 'a')))

	if err := t.store.Delete(t.Context(), id); err != nil {
		t.Fatalf("Delete: %v", err)
	}

	if _, err := t.store.Get(t.Context(), id); !errors.Is(err, project.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if page, err := t.store.List(t.Context(), "", 10); err != nil || page.Total != 0 || len(page.Projects) != 0 || page.Next != "" {
		t.Errorf("List: %+v, %v", page, err)
	}
	t.save(sample(id, at(7, 1, 'a')))
	t.holds(sample(id, at(7, 1, 'a')))
}

func (t suite) list() {
	var want []project.Summary
	for v := range uint64(7) {
		p := sample(t.newID(), at(7, v, 'a'))
		want = append(want, p.Summary)
		t.save(p)
	}
	slices.SortFunc(want, func(a, b project.Summary) int { return strings.Compare(a.ID.String(), b.ID.String()) })

	var got []project.Summary
	var sizes []int
	for cursor := ""; ; {
		page, err := t.store.List(t.Context(), cursor, 3)
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if page.Total != 7 {
			t.Errorf("total is %d", page.Total)
		}
		got, sizes = append(got, page.Projects...), append(sizes, len(page.Projects))
		if cursor = page.Next; cursor == "" {
			break
		}
	}

	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !slices.Equal(sizes, []int{3, 3, 1}) {
		t.Errorf("pages of %v", sizes)
	}
	if page, err := t.store.List(t.Context(), "", 7); err != nil || len(page.Projects) != 7 || page.Next != "" {
		t.Errorf("a page of all: %d projects, next %q, %v", len(page.Projects), page.Next, err)
	}
}

func (t suite) limits() {
	for v := range uint64(3) {
		t.save(sample(t.newID(), at(7, v, 'a')))
	}

	for _, limit := range []int{-1, 0, project.MaxLimit + 1} {
		if page, err := t.store.List(t.Context(), "", limit); err != nil || len(page.Projects) != 3 {
			t.Errorf("limit %d: %d projects, %v", limit, len(page.Projects), err)
		}
	}
	for _, cursor := range []string{"z\x00'", "(", "ffffffff-ffff-ffff-ffff-ffffffffffff"} {
		if _, err := t.store.List(t.Context(), cursor, 1); err != nil {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

func (t suite) deletedCursor() {
	for v := range uint64(3) {
		t.save(sample(t.newID(), at(7, v, 'a')))
	}
	first, err := t.store.List(t.Context(), "", 1)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	if err := t.store.Delete(t.Context(), first.Projects[0].ID); err != nil {
		t.Fatalf("Delete: %v", err)
	}

	rest, err := t.store.List(t.Context(), first.Next, 10)

	if err != nil || len(rest.Projects) != 2 || rest.Total != 2 {
		t.Errorf("got %+v, %v", rest, err)
	}
}

func (t suite) large() {
	p := sample(t.newID(), at(7, 10, 'a'))
	p.Nodes = nil
	for i := range 20_000 {
		p.Nodes = append(p.Nodes, wire.Image{Node: uuid.UUID{1: byte(i), 2: byte(i >> 8)}, Bytes: fmt.Appendf(nil, "%0300d", i)})
	}

	t.save(p)

	t.holds(p)
}
