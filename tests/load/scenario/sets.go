//go:build linux

package scenario

import (
	"slices"
	"time"
)

// Set is scenarios with sizes that fit a purpose.
type Set struct {
	Name, About string
	Parts       []Part
}

// Part is one scenario of a set.
type Part struct {
	Scenario
	Params Params
}

// Sets returns the sets there are.
func Sets() []Set {
	return []Set{
		{"standard", "the short set: room, rooms, connect, reconnect, idle, commands and slow, in less than three minutes", []Part{
			part("room", Params{For: 5 * time.Second}),
			part("rooms", Params{For: 5 * time.Second, Rates: []float64{1000}}),
			part("connect", Params{}),
			part("reconnect", Params{}),
			part("idle", Params{For: 10 * time.Second}),
			part("commands", Params{For: 4 * time.Second}),
			part("slow", Params{For: 15 * time.Second}),
		}},
	}
}

func part(name string, p Params) Part {
	i := slices.IndexFunc(All(), func(s Scenario) bool { return s.Name == name })
	return Part{All()[i], p}
}

// Over returns p where it says something, and otherwise q.
func (p Params) Over(q Params) Params {
	q.Clients = or(p.Clients, q.Clients)
	q.Rooms = or(p.Rooms, q.Rooms)
	q.For = or(p.For, q.For)
	q.Slow = or(p.Slow, q.Slow)
	q.Pending = or(p.Pending, q.Pending)
	q.Callers = or(p.Callers, q.Callers)
	q.Nap = or(p.Nap, q.Nap)
	q.Rates = p.rates(q.Rates...)
	if p.Dialect != nil {
		q.Dialect = p.Dialect
	}
	return q
}
