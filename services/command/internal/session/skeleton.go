package session

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Service answers for all sessions. Its methods may be called by any goroutine.
type Service struct {
	cfg  Config
	deps Deps
}

// New makes a service that does nothing yet.
func New(cfg Config, deps Deps) *Service { return &Service{cfg: cfg, deps: deps} }

// Run sweeps idle sessions until ctx ends, and returns when all work is done.
func (s *Service) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (s *Service) Create(ctx context.Context, call Call) (Info, error) { return Info{}, ErrUnavailable }
func (s *Service) List(ctx context.Context, limit int, cursor string) (Page, error) {
	return Page{}, ErrUnavailable
}
func (s *Service) Info(ctx context.Context) (Info, error) { return Info{}, ErrUnavailable }
func (s *Service) Delete(ctx context.Context) error       { return ErrUnavailable }
func (s *Service) Cleanup(ctx context.Context, idle time.Duration) (removed, active int, err error) {
	return 0, 0, ErrUnavailable
}
func (s *Service) View(ctx context.Context, fn func(View) error) error { return ErrUnavailable }
func (s *Service) ViewProject(ctx context.Context, project uuid.UUID, fn func(View) error) error {
	return ErrUnavailable
}
func (s *Service) GraphJSON(ctx context.Context) (*Body, error) { return nil, ErrUnavailable }
func (s *Service) Execute(ctx context.Context, commandType string, data json.RawMessage, call Call) (Result, error) {
	return Result{}, ErrUnavailable
}
func (s *Service) Batch(ctx context.Context, items []Item, label string, call Call) (Result, error) {
	return Result{}, ErrUnavailable
}
func (s *Service) Undo(ctx context.Context, req UndoRequest, call Call) (Result, error) {
	return Result{}, ErrUnavailable
}
func (s *Service) Redo(ctx context.Context, req UndoRequest, call Call) (Result, error) {
	return Result{}, ErrUnavailable
}
func (s *Service) State(ctx context.Context, n int) (Stacks, error) { return Stacks{}, ErrUnavailable }
func (s *Service) CreateProject(ctx context.Context, template, name string, call Call) (Result, error) {
	return Result{}, ErrUnavailable
}
func (s *Service) Save(ctx context.Context) (Saved, error) { return Saved{}, ErrUnavailable }
func (s *Service) SaveProject(ctx context.Context, project uuid.UUID) (Saved, error) {
	return Saved{}, ErrUnavailable
}
func (s *Service) LoadProject(ctx context.Context, project uuid.UUID, call Call) (Result, error) {
	return Result{}, ErrUnavailable
}
func (s *Service) Projects(ctx context.Context, limit int, cursor string) (ProjectPage, error) {
	return ProjectPage{}, ErrUnavailable
}
func (s *Service) Project(ctx context.Context, id uuid.UUID) (Project, error) {
	return Project{}, ErrUnavailable
}
func (s *Service) DeleteProject(ctx context.Context, id uuid.UUID) error { return ErrUnavailable }
func (s *Service) ResetDirty(ctx context.Context) (Saved, error)         { return Saved{}, ErrUnavailable }
func (s *Service) Commits(ctx context.Context, after After, limit int) (Commits, error) {
	return Commits{}, ErrUnavailable
}
func (s *Service) Blocking(ctx context.Context) ([]Relationship, error) {
	return nil, ErrUnavailable
}
