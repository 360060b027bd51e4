package redis_test

import (
	"strings"
	"testing"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/redis"
)

func TestOpenURLTakesItsOptionsAndLeavesTheDriverIts(t *testing.T) {
	for _, rawURL := range []string{
		"redis://user:hunter2@127.0.0.1:1/0",
		"redis://127.0.0.1:1?namespace=app&ttl=24h&timeout=50ms&connections=4&client_name=ply",
		"rediss://127.0.0.1:1",
		"unix:///run/redis/redis.sock?db=2",
		"redis+cluster://127.0.0.1:1?addr=127.0.0.1:2&namespace=app",
		"redis+sentinel://127.0.0.1:1?master_name=m",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		if err != nil {
			t.Errorf("%s: %v", rawURL, err)
			continue
		}
		if _, ok := s.(*redis.Store); !ok {
			t.Errorf("%s: %T", rawURL, s)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", rawURL, err)
		}
	}
	for rawURL, want := range map[string]string{
		"redis://:hunter2@h:1?timeout=hunter2":      "redis: timeout in the URL must be a duration such as 30s",
		"redis://:hunter2@h:1?namespace=a/b":        "redis: Options.Namespace is",
		"redis://:hunter2@h:1?tiemout=1s":           `redis: the URL has options that neither the store nor go-redis knows: ["tiemout"]`,
		"redis+cluster://h:1?tiemout=1s&adr=b":      `redis: the URL has options that neither the store nor go-redis knows: ["adr" "tiemout"]`,
		"redis+sentinel://h:1?master_nam=hunter2":   `redis: the URL has options that neither the store nor go-redis knows: ["master_nam"]`,
		"redis://user:12?hunter2@h":                 "redis: the URL is not understood",
		"redis://user:12?hunter2=x@h":               "redis: the URL is not understood",
		"redis+sentinel://:hunter2@h:1?namespace=a": "redis: the URL is not understood",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, %v, want %s", rawURL, s, err, want)
		}
	}
}
