package stack_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/stack"
)

type handler struct{ name string }

func (handler) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrNotSupported }

type unwraps struct {
	handler
	next http.RoundTripper
}

func (u *unwraps) Unwrap() http.RoundTripper { return u.next }

type wrapped struct {
	handler
	next http.RoundTripper
}

func (w *wrapped) WrappedRoundTripper() http.RoundTripper { return w.next }

func TestWalkFollowsBothMethodsToTheTransport(t *testing.T) {
	end := &handler{"end"}
	left := stack.Limit
	var got []string
	stack.Walk(&unwraps{handler{"outer"}, &wrapped{handler{"inner"}, end}}, &left, func(h http.RoundTripper) http.RoundTripper {
		switch h := h.(type) {
		case *unwraps:
			got = append(got, h.name)
		case *wrapped:
			got = append(got, h.name)
		case *handler:
			got = append(got, h.name)
		}
		return stack.Next(h)
	})
	if diff := cmp.Diff([]string{"outer", "inner", "end"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWalkEndsInAStackThatLeadsBackIntoItself(t *testing.T) {
	loop := &unwraps{}
	loop.next = loop
	left, visited := stack.Limit, 0
	var walk func(h http.RoundTripper)
	walk = func(h http.RoundTripper) {
		stack.Walk(h, &left, func(h http.RoundTripper) http.RoundTripper {
			if visited++; visited < 50 {
				walk(h) // a fork
			}
			return stack.Next(h)
		})
	}
	walk(loop)
	if visited > stack.Limit+50 {
		t.Errorf("visited %d handlers", visited)
	}
}
