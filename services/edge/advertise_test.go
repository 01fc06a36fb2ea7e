package edge_test

import (
	"context"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge"
)

func TestAnEdgeHasNoAddressTowardsANameThatCannotBeResolved(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()

	if address, err := edge.Towards(ctx, []string{"nobody.invalid:6379"}); err == nil {
		t.Errorf("took %v for an address", address)
	}
	if address, err := edge.Towards(ctx, []string{"127.0.0.1:6379"}); err != nil || address.String() != "127.0.0.1" {
		t.Errorf("on the way to this machine: %v, %v", address, err)
	}
}

func TestAnEdgeHasAnAddressIfOneOfTheHostsOfRedisCanBeResolved(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	if address, err := edge.Towards(ctx, []string{"a name that is none:6379", "127.0.0.1:6379"}); err != nil || address.String() != "127.0.0.1" {
		t.Errorf("got %v, %v", address, err)
	}
}

func TestAnAddressInBracketsIsAdvertisedAsOthersDialIt(t *testing.T) {
	t.Parallel()
	for configured, want := range map[string]string{
		"[10.1.2.3]:8081": "10.1.2.3:8081", "10.1.2.3:8081": "10.1.2.3:8081", "[fd00::1]:8081": "[fd00::1]:8081", "edge-1:8081": "edge-1:8081",
	} {
		e, _ := serve(t, edge.Config{Advertise: configured})
		if got, err := edge.Advertised(t.Context(), e); err != nil || got != want {
			t.Errorf("%s is advertised as %s, %v", configured, got, err)
		}
	}
}
