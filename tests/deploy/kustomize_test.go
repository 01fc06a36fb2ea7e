// Package deploy_test holds what must be true of the files that Talus is deployed with: they decode strictly, hold what
// the services rely on, and agree with one another.
package deploy_test

import (
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// cluster is what a rendered kustomization asks Kubernetes for.
type cluster struct {
	deployments  map[string]*appsv1.Deployment
	statefulSets map[string]*appsv1.StatefulSet
	services     map[string]*corev1.Service
	configMaps   map[string]*corev1.ConfigMap
	ingresses    map[string]*networkingv1.Ingress
	budgets      map[string]*policyv1.PodDisruptionBudget
	namespaces   map[string]*corev1.Namespace
}

// render builds the kustomization in dir and decodes every object into its Kubernetes type. A field that the type does
// not have fails the test, as does a kind that is not known here.
func render(t *testing.T, dir string) cluster {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{
		deployments: map[string]*appsv1.Deployment{}, statefulSets: map[string]*appsv1.StatefulSet{},
		services: map[string]*corev1.Service{}, configMaps: map[string]*corev1.ConfigMap{},
		ingresses: map[string]*networkingv1.Ingress{}, budgets: map[string]*policyv1.PodDisruptionBudget{},
		namespaces: map[string]*corev1.Namespace{},
	}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.add(r.GetKind(), r.GetName(), text); err != nil {
			t.Errorf("%s %s: %v", r.GetKind(), r.GetName(), err)
		}
	}
	return c
}

func (c cluster) add(kind, name string, text []byte) error {
	switch kind {
	case "Deployment":
		return decode(c.deployments, name, text)
	case "StatefulSet":
		return decode(c.statefulSets, name, text)
	case "Service":
		return decode(c.services, name, text)
	case "ConfigMap":
		return decode(c.configMaps, name, text)
	case "Ingress":
		return decode(c.ingresses, name, text)
	case "PodDisruptionBudget":
		return decode(c.budgets, name, text)
	case "Namespace":
		return decode(c.namespaces, name, text)
	}
	return fmt.Errorf("no type is known for this kind")
}

func decode[T any](into map[string]*T, name string, text []byte) error {
	object := new(T)
	into[name] = object
	return yaml.UnmarshalStrict(text, object)
}

// pods returns every pod template by the name of what makes it.
func (c cluster) pods() map[string]corev1.PodSpec {
	pods := map[string]corev1.PodSpec{}
	for name, d := range c.deployments {
		pods[name] = d.Spec.Template.Spec
	}
	for name, s := range c.statefulSets {
		pods[name] = s.Spec.Template.Spec
	}
	return pods
}

const (
	base    = "../../k8s/base"
	example = "../../k8s/overlays/example"
)

func TestTheBaseIsTheTopologyOfTheComposeFile(t *testing.T) {
	t.Parallel()
	c := render(t, base)

	if n := *c.deployments["talus-command"].Spec.Replicas; n != 2 {
		t.Errorf("%d command instances", n)
	}
	if n := *c.deployments["talus-edge"].Spec.Replicas; n != 3 {
		t.Errorf("%d edges", n)
	}
	if len(c.statefulSets) != 1 || len(c.statefulSets["talus-redis"].Spec.VolumeClaimTemplates) != 1 {
		t.Error("want one Redis with a volume of its own")
	}
}

func TestEveryPodIsLockedDownAndBounded(t *testing.T) {
	t.Parallel()
	for name, pod := range render(t, base).pods() {
		if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
			t.Errorf("%s: service links would be read as settings", name)
		}
		if pod.SecurityContext == nil || pod.SecurityContext.RunAsNonRoot == nil || !*pod.SecurityContext.RunAsNonRoot {
			t.Errorf("%s: may run as root", name)
		}
		for _, container := range pod.Containers {
			s := container.SecurityContext
			if s == nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Contains(s.Capabilities.Drop, "ALL") {
				t.Errorf("%s: container %s is not locked down", name, container.Name)
			}
			if container.Resources.Requests.Cpu().IsZero() || container.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: container %s is not bounded", name, container.Name)
			}
			if container.LivenessProbe == nil || container.ReadinessProbe == nil || container.StartupProbe == nil {
				t.Errorf("%s: container %s is not probed", name, container.Name)
			}
		}
	}
}

func TestServicesAreProbedAndDrainWithinTheirGracePeriod(t *testing.T) {
	t.Parallel()
	c := render(t, base)
	drain := seconds(t, settings(t, c)["TALUS_DRAIN"])
	for name, d := range c.deployments {
		pod := d.Spec.Template.Spec
		container := pod.Containers[0]
		if container.LivenessProbe.HTTPGet.Path != "/livez" || container.ReadinessProbe.HTTPGet.Path != "/readyz" {
			t.Errorf("%s: wrong probes", name)
		}
		if container.Lifecycle == nil || container.Lifecycle.PreStop == nil || container.Lifecycle.PreStop.Sleep == nil {
			t.Fatalf("%s: stops before the proxies have noticed", name)
		}
		if need := container.Lifecycle.PreStop.Sleep.Seconds + drain; *pod.TerminationGracePeriodSeconds <= need {
			t.Errorf("%s: is killed after %d s, needs more than %d s", name, *pod.TerminationGracePeriodSeconds, need)
		}
		if *d.Spec.Strategy.RollingUpdate.MaxUnavailable != *zero() {
			t.Errorf("%s: a roll-out takes instances away first", name)
		}
	}
}

func TestEveryServiceAndIngressLeadsSomewhere(t *testing.T) {
	t.Parallel()
	c := render(t, base)
	labels := map[string]bool{}
	for _, d := range c.deployments {
		labels[d.Spec.Template.Labels["app.kubernetes.io/name"]] = true
	}
	for _, s := range c.statefulSets {
		labels[s.Spec.Template.Labels["app.kubernetes.io/name"]] = true
	}
	for name, s := range c.services {
		if !labels[s.Spec.Selector["app.kubernetes.io/name"]] {
			t.Errorf("service %s selects no pod", name)
		}
	}
	for name, b := range c.budgets {
		if !labels[b.Spec.Selector.MatchLabels["app.kubernetes.io/name"]] {
			t.Errorf("budget %s selects no pod", name)
		}
	}
	want := map[string]string{"/api": "talus-command", "/ws": "talus-edge", "/sse": "talus-edge", "/socket.io": "talus-edge"}
	for _, path := range c.ingresses["talus"].Spec.Rules[0].HTTP.Paths {
		if got := path.Backend.Service.Name; got != want[path.Path] || c.services[got] == nil {
			t.Errorf("%s leads to %s", path.Path, got)
		}
		delete(want, path.Path)
	}
	if len(want) > 0 {
		t.Errorf("nothing serves %v", want)
	}
}

func TestTheExampleOverlayNamesImagesHostAndOrigins(t *testing.T) {
	t.Parallel()
	c := render(t, example)

	if got := c.deployments["talus-edge"].Spec.Template.Spec.Containers[0].Image; got != "registry.example.org/talus/edge:0.1.0" {
		t.Errorf("image %s", got)
	}
	if got := c.ingresses["talus"].Spec.Rules[0].Host; got != "talus.example.org" {
		t.Errorf("host %s", got)
	}
	set := settings(t, c)
	if set["TALUS_ALLOWED_ORIGINS"] != "https://talus.example.org" || set["TALUS_REDIS_URL"] == "" {
		t.Errorf("settings %v", set)
	}
	for name, d := range c.deployments {
		if d.Namespace != "talus" {
			t.Errorf("%s is in namespace %q", name, d.Namespace)
		}
	}
}
