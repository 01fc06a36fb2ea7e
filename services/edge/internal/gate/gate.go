// Package gate says who is at the door: which client a request comes from when proxies stand in between, and whether a
// browser's page may open a connection.
//
// It promises that nobody but a proxy that the operator trusts decides which address counts, and that a page of another
// origin is refused unless it is listed. It does no I/O and keeps no state. Who is let in is the caller's decision.
package gate

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Proxies are the networks whose word about the client's address counts.
type Proxies []netip.Prefix

// ParseProxies reads a comma-separated list of addresses and networks, such as "10.0.0.0/8, ::1". The error names the
// part that is neither.
func ParseProxies(list string) (Proxies, error) {
	var proxies Proxies
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		network, err := netip.ParsePrefix(part)
		if err != nil {
			addr, err := netip.ParseAddr(part)
			if err != nil {
				return nil, fmt.Errorf("gate: %q is neither an address nor a network", part)
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		proxies = append(proxies, network.Masked())
	}
	return proxies, nil
}

// Client is the address that a request comes from. It is the peer of the connection; if that is a trusted proxy, the
// last address in forwarded (the values of X-Forwarded-For, in the order of the headers) that is none: what stands
// before it was written by somebody else. A part that is no address ends the search at the proxy that passed it on.
func (p Proxies) Client(peer netip.Addr, forwarded ...string) netip.Addr {
	client := peer.Unmap()
	for _, header := range slices.Backward(forwarded) {
		parts := strings.Split(header, ",")
		for _, part := range slices.Backward(parts) {
			if !p.trust(client) {
				return client
			}
			addr, ok := parseHop(strings.TrimSpace(part))
			if !ok {
				return client
			}
			client = addr
		}
	}
	return client
}

func (p Proxies) trust(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// parseHop reads an address with or without a port, as different proxies write it.
func parseHop(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		with, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = with.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// Origins are the origins whose pages may connect, such as "https://talus.example"; "*" stands for any.
type Origins []string

// Allow reports whether a request with these Origin and Host headers may connect. Programs send no origin and may;
// pages of the same host always may. A browser sends cookies along whatever page opens a WebSocket, and asks no server
// beforehand, so this check is what keeps foreign pages out (RFC 6455, section 10.2).
func (o Origins) Allow(origin, host string) bool {
	if origin == "" || slices.Contains(o, "*") {
		return true
	}
	if slices.ContainsFunc(o, func(known string) bool {
		return strings.EqualFold(strings.TrimSuffix(known, "/"), origin)
	}) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(bare(u.Scheme, u.Host), bare(u.Scheme, host))
}

// bare is host without the port that the scheme implies.
func bare(scheme, host string) string {
	port := map[string]string{"http": ":80", "https": ":443"}[strings.ToLower(scheme)]
	return strings.TrimSuffix(host, port)
}
