package deploy_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// settings returns the environment that the services get in c.
func settings(t *testing.T, c cluster) map[string]string {
	t.Helper()
	for name, m := range c.configMaps {
		if m.Data["TALUS_REDIS_URL"] == "" {
			continue
		}
		for _, d := range c.deployments {
			if got := d.Spec.Template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name; got != name {
				t.Errorf("%s reads its settings from %s, they are in %s", d.Name, got, name)
			}
		}
		return m.Data
	}
	t.Fatal("no settings")
	return nil
}

func seconds(t *testing.T, text string) int64 {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return int64(d / time.Second)
}

func zero() *intstr.IntOrString { return &intstr.IntOrString{} }

// read returns the contents of a file of the repository.
func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestComposeAndKubernetesConfigureRedisAlike(t *testing.T) {
	t.Parallel()
	if !bytes.Equal(read(t, "deploy/redis/redis.conf"), read(t, "k8s/base/redis.conf")) {
		t.Error("deploy/redis/redis.conf and k8s/base/redis.conf differ")
	}
}

func TestRedisKeepsItsLogAndEvictsNothing(t *testing.T) {
	t.Parallel()
	conf := string(read(t, "deploy/redis/redis.conf"))
	for _, want := range []string{
		"maxmemory-policy noeviction", "appendonly yes", "client-output-buffer-limit pubsub 256mb 64mb 60",
	} {
		if !strings.Contains("\n"+conf, "\n"+want+"\n") {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestThePublicNamesOfTheImagesAreUsed(t *testing.T) {
	t.Parallel()
	for file, images := range map[string][]string{
		"docker-compose.yml":  {"image: redis:7-alpine", "image: nginx:1-alpine"},
		"deploy/Dockerfile":   {"FROM golang:1.26-alpine", "FROM scratch"},
		"k8s/base/redis.yaml": {"image: redis:7-alpine"},
		".ci/images":          {"redis:7-alpine", "nginx:1-alpine", "golang:1.26-alpine"},
	} {
		text := string(read(t, file))
		for _, image := range images {
			if !strings.Contains(text, image) {
				t.Errorf("%s does not name %q", file, image)
			}
		}
	}
}
