package edge

import (
	"errors"
	"net"
	"net/netip"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/services/edge/internal/gate"
	"github.com/talus-tally/talus/services/edge/internal/native"
	"github.com/talus-tally/talus/services/edge/internal/rate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// door decides who may come in, and counts who may not, here and in the parts behind it.
type door struct {
	proxies gate.Proxies
	origins gate.Origins
	turned  *prometheus.CounterVec // by reason
}

func newDoor(cfg Config, reg prometheus.Registerer) (*door, error) {
	proxies, err := gate.ParseProxies(cfg.Proxies)
	if err != nil {
		return nil, err
	}
	d := &door{proxies: proxies, origins: cfg.Origins, turned: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "talus_edge_refused_total", Help: "Clients and requests of theirs that were refused, by reason.",
	}, []string{"reason"})}
	reg.MustRegister(d.turned)
	return d, nil
}

// refuse counts a refusal.
func (d *door) refuse(reason string) { d.turned.WithLabelValues(reason).Inc() }

// admit is asked before each upgrade.
func (d *door) admit(c *fiber.Ctx) error {
	if !d.origins.Allow(c.Get(fiber.HeaderOrigin), c.Get(fiber.HeaderHost)) {
		d.refuse("origin")
		return fiber.NewError(fiber.StatusForbidden, "pages of this origin may not connect")
	}
	return nil
}

// address is the client that a request comes from.
func (d *door) address(c *fiber.Ctx) netip.Addr {
	peer, ok := c.Context().RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	var forwarded []string
	if len(d.proxies) > 0 {
		for _, header := range c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) {
			forwarded = append(forwarded, string(header))
		}
	}
	return d.proxies.Client(peer.AddrPort().Addr(), forwarded...)
}

// late counts a request that did not come within the handshake deadline, and answers it.
func (d *door) late(c *fiber.Ctx, err error) error {
	var known *fiber.Error
	if errors.As(err, &known) && known.Code == fiber.StatusRequestTimeout {
		d.refuse("handshake")
	}
	return refuse(c, err)
}

// transport are the limits that the sockets keep.
func (d *door) transport(cfg Config) socket.Limits {
	return socket.Limits{
		Connections: cfg.Connections,
		PerAddress:  cfg.PerAddress,
		Messages:    rate.Limit{PerSecond: cfg.MessageRate, Burst: 2 * cfg.MessageRate},
		JoinWithin:  cfg.JoinWithin,
		Refused:     func(why socket.Refusal) { d.refuse(string(why)) },
	}
}

// requests are the limits that the protocol keeps. A client that comes back joins all its sessions at once.
func (d *door) requests(cfg Config) native.Limits {
	return native.Limits{
		Sessions: cfg.Joins,
		Joins:    rate.Limit{PerSecond: cfg.JoinRate, Burst: cfg.JoinRate + socket.MaxSlots},
		Refused:  d.refuse,
	}
}
