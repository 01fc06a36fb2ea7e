package session

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// Create makes an empty session. With a key the id follows from actor and key, so
// that a repeat finds the session of the first call. It returns ErrNoSession if that
// one was deleted since, or ErrUnavailable.
func (s *Service) Create(ctx context.Context, call Call) (Info, error) {
	id := s.newID("session", &call)
	head, existed, err := s.create(ctx, id)
	if err != nil {
		return Info{}, err
	}
	info := describe(id, head)
	info.Replayed = existed
	return info, nil
}

// newID draws an id, or derives it from the call's key.
func (s *Service) newID(purpose string, call *Call) uuid.UUID {
	if call.Key == "" {
		return s.deps.NewID()
	}
	return derived(purpose, call.Actor, call.Key)
}

// create makes an empty session unless it exists.
func (s *Service) create(ctx context.Context, id uuid.UUID) (head eventlog.Head, existed bool, err error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	err = s.gate.pass(func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Deadline)
		defer cancel()
		head, err = s.deps.Log.Create(ctx, id, eventlog.NewSession{
			Epoch:   wire.Epoch(max(1, binary.BigEndian.Uint64(random[:8]))),
			Genesis: wire.Digest(random[8:]),
		})
		existed = errors.Is(err, eventlog.ErrExists)
		if existed {
			return nil
		}
		return s.failure(id, err)
	})
	return head, existed, err
}

// abandon removes a session that was made for something which was refused.
func (s *Service) abandon(ctx context.Context, id uuid.UUID, why error) {
	if errors.Is(why, ErrUnavailable) {
		return // it may have been done all the same, and a repeat finds it
	}
	if err := s.deps.Log.Delete(ctx, id, nil); err != nil {
		s.log.Warn("session of a refused request stays until it is swept", "session", id, "err", err)
	}
	s.warm.forget(id)
}

// List reads up to limit sessions behind the cursor, in an order that does not
// change. It returns ErrUnavailable.
func (s *Service) List(ctx context.Context, limit int, cursor string) (page Page, err error) {
	err = s.gate.pass(func() error {
		page, err = s.page(ctx, limit, cursor)
		return err
	})
	return page, err
}

func (s *Service) page(ctx context.Context, limit int, cursor string) (Page, error) {
	total, err := s.deps.Log.CountSessions(ctx)
	if err != nil {
		return Page{}, unavailable(err)
	}
	ids, next, err := s.deps.Log.Sessions(ctx, cursor, limit)
	if err != nil {
		return Page{}, unavailable(err)
	}
	infos, err := s.infos(ctx, ids)
	if err != nil {
		return Page{}, err
	}
	return Page{Sessions: infos, Total: int(total), Next: next}, nil
}

// infos reads what is known of sessions. Those that are gone or torn are left out.
func (s *Service) infos(ctx context.Context, ids []uuid.UUID) ([]Info, error) {
	all, err := s.deps.Log.Overviews(ctx, ids...)
	if err != nil {
		return nil, unavailable(err)
	}
	return describeAll(all), nil
}

func describeAll(all []eventlog.Overview) []Info {
	infos := make([]Info, 0, len(all))
	for _, o := range all {
		if o.Err == nil {
			infos = append(infos, describe(o.Session, o.Head))
			infos[len(infos)-1].Clients = o.Clients
		}
	}
	return infos
}

// every calls fn with the sessions there are, a few at a time. On the way it lists
// those under their projects that are not.
func (s *Service) every(ctx context.Context, fn func([]eventlog.Overview) error) error {
	const page = 500
	for cursor := ""; ; {
		ids, next, err := s.deps.Log.Sessions(ctx, cursor, page)
		if err != nil {
			return unavailable(err)
		}
		all, err := s.deps.Log.Overviews(ctx, ids...)
		if err != nil {
			return unavailable(err)
		}
		s.list(ctx, all...)
		if err := fn(all); err != nil || next == "" {
			return err
		}
		cursor = next
	}
}

// Info is what the head of the session says now. It returns ErrNoSession or
// ErrUnavailable.
func (s *Service) Info(ctx context.Context) (info Info, err error) {
	id, ok := FromContext(ctx)
	if !ok {
		return Info{}, ErrNoSession
	}
	err = s.gate.pass(func() error {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Deadline)
		defer cancel()
		one, err := s.deps.Log.Overviews(ctx, id)
		if err == nil {
			err = one[0].Err
		}
		if err != nil {
			return s.failure(id, err)
		}
		info = describeAll(one)[0]
		return nil
	})
	return info, err
}

// list lists sessions under their projects that are not.
func (s *Service) list(ctx context.Context, sessions ...eventlog.Overview) {
	if err := s.deps.Log.ListProjects(ctx, sessions...); err != nil {
		s.log.Warn("sessions are not listed under their projects", "err", err)
	}
}

// Delete removes the session and tells its clients. It returns ErrNoSession or
// ErrUnavailable.
func (s *Service) Delete(ctx context.Context) error {
	id, ok := FromContext(ctx)
	if !ok {
		return ErrNoSession
	}
	return s.gate.pass(func() error {
		err := s.deps.Log.Delete(ctx, id, nil)
		s.warm.forget(id)
		return s.failure(id, err)
	})
}

// Cleanup removes the sessions that have no clients and were not used for idle. It
// returns how many were removed and how many are left, and ErrUnavailable.
func (s *Service) Cleanup(ctx context.Context, idle time.Duration) (removed, active int, err error) {
	since := s.deps.Now().Add(-idle)
	err = s.every(ctx, func(all []eventlog.Overview) error {
		for _, o := range all {
			torn := errors.Is(o.Err, eventlog.ErrTorn) // when it was used is for the deletion to find out
			if !torn && (o.Err != nil || o.Head.LastActivity.After(since)) {
				continue
			}
			err := s.deps.Log.Delete(ctx, o.Session, &since)
			switch {
			case err == nil:
				removed++
				s.warm.forget(o.Session)
			case errors.Is(err, eventlog.ErrUnavailable):
				return s.failure(o.Session, err)
			case !errors.Is(err, eventlog.ErrBusy) && !errors.Is(err, eventlog.ErrNoSession):
				s.log.Warn("idle session was not removed", "session", o.Session, "err", err)
			}
		}
		return nil
	})
	s.metrics.swept.Add(float64(removed))
	if err != nil {
		return removed, 0, err
	}
	left, err := s.deps.Log.CountSessions(ctx)
	if err != nil {
		return removed, 0, unavailable(err)
	}
	return removed, int(left), nil
}

// failure turns an error of the log into one of this package.
func (s *Service) failure(id uuid.UUID, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, eventlog.ErrNoSession):
		return fmt.Errorf("%w: %w", ErrNoSession, err)
	case errors.Is(err, eventlog.ErrTorn):
		s.log.Error("session is torn", "session", id, "err", err)
		return fmt.Errorf("%w: %w", ErrTorn, err)
	case errors.Is(err, eventlog.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, eventlog.ErrStaged),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable(err)
	default:
		return err
	}
}
