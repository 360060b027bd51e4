package ply_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply"
)

func TestValidStacksAreAccepted(t *testing.T) {
	cacheLike, retryLike := like("cache"), like("retry")
	toA := func(r *http.Request) bool { return r.URL.Host == "a.test" }
	toB := func(r *http.Request) bool { return r.URL.Host == "b.test" }
	for name, use := range map[string][]ply.Middleware{
		"canonical":                {plain, like("auth"), cacheLike, retryLike, like("sign"), plain},
		"two sources of tokens":    {like("auth"), like("auth")},
		"all that have an order":   {like("auth"), cacheLike, retryLike, like("hedge"), like("breaker"), like("limit"), like("sign")},
		"a limit for two keys":     {like("limit"), like("limit")},
		"one retry for each host":  {cacheLike, ply.When(toA, retryLike), ply.When(toB, retryLike)},
		"two caches of their own":  {cacheLike, cacheLike},
		"nil entries":              {nil, cacheLike, nil},
		"states of no kind":        {stateless(nil), stateless(nil), stateless([]int{1}), stateless([]int{1})},
		"retry inside a condition": {ply.When(toA, ply.Chain(cacheLike, retryLike))},
	} {
		if _, err := ply.New(ply.Options{Use: use}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each pair of layers whose order has a meaning is accepted one way around and refused the other.
func TestLayersInTheWrongOrderAreRefused(t *testing.T) {
	order := []string{"cache", "retry", "hedge", "breaker", "limit"}
	for i, outer := range order {
		for _, inner := range order[i+1:] {
			if _, err := ply.New(ply.Options{Use: []ply.Middleware{like(outer), plain, like(inner)}}); err != nil {
				t.Errorf("%s before %s: %v", outer, inner, err)
			}
			_, err := ply.New(ply.Options{Use: []ply.Middleware{like(inner), plain, like(outer)}})
			if want := "list " + outer + " before " + inner; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s before %s: %v, want an error with %q", inner, outer, err, want)
			}
		}
	}
}

// like returns a layer that goes by a name.
func like(name string) ply.Middleware {
	return func(next ply.Handler) ply.Handler { return &pretender{next, name} }
}

// pretender is a layer with the LayerName of another.
type pretender struct {
	next http.RoundTripper
	name string
}

func (p *pretender) RoundTrip(r *http.Request) (*http.Response, error) { return p.next.RoundTrip(r) }

func (p *pretender) LayerName() string { return p.name }

func (p *pretender) Unwrap() http.RoundTripper { return p.next }

type stateful struct {
	next http.RoundTripper
	id   string
}

func (s *stateful) RoundTrip(r *http.Request) (*http.Response, error) { return s.next.RoundTrip(r) }

func (s *stateful) LayerName() string { return "stateful" }

func (s *stateful) Unwrap() http.RoundTripper { return s.next }

func (s *stateful) LayerID() any { return s.id }

// stateless is a layer whose LayerID says nothing, or nothing that can be compared.
func stateless(id any) ply.Middleware {
	return func(next ply.Handler) ply.Handler { return &identified{next, id} }
}

type identified struct {
	ply.Handler
	id any
}

func (i *identified) LayerID() any { return i.id }
