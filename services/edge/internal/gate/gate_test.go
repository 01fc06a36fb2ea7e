package gate_test

import (
	"net/netip"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/gate"
)

func proxies(t *testing.T, list string) gate.Proxies {
	t.Helper()
	p, err := gate.ParseProxies(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOnlyTrustedProxiesSayWhereARequestComesFrom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trusted   string
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy, no header":                {"", "203.0.113.7", nil, "203.0.113.7"},
		"a header of somebody untrusted":     {"10.0.0.0/8", "203.0.113.7", []string{"198.51.100.1"}, "203.0.113.7"},
		"a trusted proxy":                    {"10.0.0.0/8", "10.1.2.3", []string{"198.51.100.1"}, "198.51.100.1"},
		"a trusted proxy without a header":   {"10.0.0.0/8", "10.1.2.3", nil, "10.1.2.3"},
		"an invented hop before the proxy's": {"10.0.0.0/8", "10.1.2.3", []string{"192.0.2.99, 198.51.100.1"}, "198.51.100.1"},
		"two trusted proxies":                {"10.0.0.0/8,192.0.2.1", "10.1.2.3", []string{"198.51.100.1, 192.0.2.1"}, "198.51.100.1"},
		"two headers":                        {"10.0.0.0/8", "10.1.2.3", []string{"192.0.2.99", "198.51.100.1, 10.9.9.9"}, "198.51.100.1"},
		"only proxies":                       {"10.0.0.0/8", "10.1.2.3", []string{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		"something that is no address":       {"10.0.0.0/8", "10.1.2.3", []string{"198.51.100.1, unknown"}, "10.1.2.3"},
		"an empty header":                    {"10.0.0.0/8", "10.1.2.3", []string{""}, "10.1.2.3"},
		"with a port":                        {"10.0.0.0/8", "10.1.2.3", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		"IPv6 in brackets with a port":       {"::1", "::1", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		"IPv6 in brackets":                   {"::1", "::1", []string{"[2001:db8::7]"}, "2001:db8::7"},
		"IPv6":                               {"fd00::/8", "fd00::1", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv4 in IPv6":                       {"10.0.0.0/8", "::ffff:10.1.2.3", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
	} {
		got := proxies(t, c.trusted).Client(netip.MustParseAddr(c.peer), c.forwarded...)
		if got.String() != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

func TestAListOfProxiesNamesAddressesAndNetworks(t *testing.T) {
	t.Parallel()
	if p := proxies(t, " 10.1.2.3/8,, ::1 "); len(p) != 2 || p[0].String() != "10.0.0.0/8" || p[1].String() != "::1/128" {
		t.Errorf("%v", p)
	}
	for _, bad := range []string{"everybody", "10.0.0.0/33", "10.0.0.1,nginx", "10.0.0.1:80"} {
		if p, err := gate.ParseProxies(bad); err == nil {
			t.Errorf("%s: %v", bad, p)
		}
	}
}

func TestPagesOfOtherOriginsMayNotConnect(t *testing.T) {
	t.Parallel()
	listed := gate.Origins{"https://talus.example", "http://localhost:5173/"}
	for _, c := range []struct {
		origins      gate.Origins
		origin, host string
		want         bool
	}{
		{nil, "", "talus.example", true}, // a program
		{nil, "https://talus.example", "talus.example", true},
		{nil, "https://TALUS.example", "talus.example", true},
		{nil, "https://talus.example", "talus.example:443", true},
		{nil, "http://talus.example:80", "talus.example", true},
		{nil, "http://127.0.0.1:8080", "127.0.0.1:8080", true},
		{nil, "http://127.0.0.1:8081", "127.0.0.1:8080", false},
		{nil, "https://evil.example", "talus.example", false},
		{nil, "https://talus.example.evil.example", "talus.example", false},
		{nil, "null", "talus.example", false},
		{nil, "null", "null", false},
		{nil, "%zz", "talus.example", false},
		{listed, "https://talus.example", "edge.internal:8081", true},
		{listed, "HTTPS://talus.example", "edge.internal:8081", true},
		{listed, "http://talus.example", "edge.internal:8081", false}, // another scheme is another origin
		{listed, "http://localhost:5173", "edge.internal:8081", true},
		{listed, "http://localhost:5174", "edge.internal:8081", false},
		{gate.Origins{"*"}, "https://evil.example", "talus.example", true},
		{gate.Origins{"*"}, "null", "talus.example", true},
	} {
		if got := c.origins.Allow(c.origin, c.host); got != c.want {
			t.Errorf("%v: page of %q on %q: %v", c.origins, c.origin, c.host, got)
		}
	}
}
