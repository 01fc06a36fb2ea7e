package deploy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/talus-tally/talus/services/edge"
)

// Kubernetes puts the values of variables that stand before it into a variable's own.
func TestAnEdgeIsFoundAtTheAddressOfItsPod(t *testing.T) {
	t.Parallel()
	container := render(t, base).deployments["talus-edge"].Spec.Template.Spec.Containers[0]
	at := func(name string) int {
		return slices.IndexFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == name })
	}
	pod, advertised := at("POD_IP"), at("TALUS_ADVERTISE_ADDR")
	if pod < 0 || advertised < pod {
		t.Fatalf("POD_IP is variable %d, TALUS_ADVERTISE_ADDR %d", pod, advertised)
	}
	from := container.Env[pod].ValueFrom
	if from == nil || from.FieldRef == nil || from.FieldRef.FieldPath != "status.podIP" {
		t.Errorf("POD_IP is from %+v", from)
	}
	for _, ip := range []string{"10.1.2.3", "fd00::1:2"} {
		value := strings.ReplaceAll(container.Env[advertised].Value, "$(POD_IP)", ip)
		if want := fmt.Sprintf("[%s]:%d", ip, container.Ports[0].ContainerPort); value != want {
			t.Errorf("an edge at %s says %s", ip, value)
		}
		if _, err := edge.ConfigFrom(func(name string) string {
			return map[string]string{"TALUS_ADVERTISE_ADDR": value}[name]
		}); err != nil {
			t.Errorf("an edge at %s does not start: %v", ip, err)
		}
	}
}
