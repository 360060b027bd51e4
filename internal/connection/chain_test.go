package connection_test

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/reqctx"
)

type handler func(*http.Request) (*http.Response, error)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) { return h(r) }

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

type embeds struct{ *http.Transport }

type embedsAny struct{ http.RoundTripper }

type hasBase struct {
	handler
	Base http.RoundTripper
}

type hides struct {
	handler
	next http.RoundTripper
}

type named struct {
	unwraps
	name string
}

func (n *named) ConnectionName() string { return n.name }

// ofAnotherKind is a transport like those of other packages.
type ofAnotherKind struct {
	handler
	TLSClientConfig *tls.Config
	Dial            func()
}

func TestTransportsAreFoundBelowWrappers(t *testing.T) {
	config := &tls.Config{ServerName: "a.test"}
	tr := &http.Transport{TLSClientConfig: config}
	want := identity(tr)
	for name, h := range map[string]http.RoundTripper{
		"itself":               tr,
		"Unwrap":               &unwraps{next: tr},
		"WrappedRoundTripper":  &wrapped{next: tr},
		"a *Transport in it":   embeds{tr},
		"a RoundTripper in it": &embedsAny{tr},
		"Base":                 &hasBase{Base: tr},
		"several":              &unwraps{next: &wrapped{next: &embedsAny{&hasBase{Base: tr}}}},
		"another kind":         &ofAnotherKind{TLSClientConfig: config},
	} {
		if c := connection.Under(h); c.Opaque || c.Identity != want {
			t.Errorf("%s: %+v, want %+v", name, c, want)
		}
	}
	loop := &unwraps{}
	loop.next = loop
	for name, h := range map[string]http.RoundTripper{
		"a function": handler(nil), "a wrapper that hides it": &hides{next: tr}, "an empty Base": &hasBase{}, "a loop": loop,
		"Unwrap of nothing": &unwraps{}, "no handler": nil, "a nil transport": (*http.Transport)(nil),
	} {
		if c := connection.Under(h); !c.Opaque || !c.Common() {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if c := connection.Under(&ofAnotherKind{Dial: func() {}}); c.Why == "" {
		t.Errorf("a dialer of another kind: %+v", c)
	}
}

func partition(h http.RoundTripper, s reqctx.Values) (name, unnamed string) {
	c := connection.Under(h)
	p := connection.PathOf(&c, s)
	return string(p.Append(nil)), p.Unnamed()
}

// TestNamesGivenStandForWhatHasNone, and for nothing else.
func TestNamesGivenStandForWhatHasNone(t *testing.T) {
	give := func(name string, next http.RoundTripper) http.RoundTripper {
		return &named{unwraps{next: next}, name}
	}
	own := func(c *tls.Config) http.RoundTripper { return &http.Transport{DialContext: reach, TLSClientConfig: c} }
	a, why := partition(give("a", own(nil)), reqctx.Values{})
	again, _ := partition(give("a", own(nil)), reqctx.Values{})
	b, _ := partition(give("b", own(nil)), reqctx.Values{})
	c, _ := partition(give("a", own(&tls.Config{ServerName: "x.test"})), reqctx.Values{})
	none, unnamed := partition(give("", own(nil)), reqctx.Values{})
	hidden, _ := partition(give("a", &hides{}), reqctx.Values{})
	switch {
	case why != "":
		t.Errorf("unnamed: %s", why)
	case a != again:
		t.Errorf("another transport under the name has %q, not %q", again, a)
	case a == b, a == c, a == none:
		t.Error("other names, or other content, or no name are the same")
	case unnamed == "":
		t.Error("an empty name names something")
	case hidden != a:
		t.Error("what cannot be seen has another name")
	}
}

// TestAClientsChoiceTakesThePlaceOfItsTransport: and adds to any other.
func TestAClientsChoiceTakesThePlaceOfItsTransport(t *testing.T) {
	id := func(name string) *connection.Identity { return &connection.Identity{Name: name} }
	tr := &http.Transport{TLSClientConfig: &tls.Config{ServerName: "a.test"}}
	base := identity(tr)
	chosen := reqctx.Values{Connection: &connection.Choice{Base: &base, Own: id("own")}}
	own, _ := partition(handler(nil), reqctx.Values{Connection: &connection.Choice{Base: id(""), Own: id("own")}})
	if got, _ := partition(tr, chosen); got != own {
		t.Errorf("%q, want %q", got, own)
	}
	if got, _ := partition(&hides{}, chosen); got != own {
		t.Errorf("above a transport that cannot be seen: %q, want %q", got, own)
	}
	other, _ := partition(&http.Transport{TLSClientConfig: &tls.Config{ServerName: "b.test"}}, chosen)
	common, _ := partition(&http.Transport{}, chosen)
	if other == own || common == other {
		t.Error("another transport is forgotten")
	}
	ctx := connection.With(t.Context(), chosen.Connection.(*connection.Choice))
	nested := connection.With(ctx, &connection.Choice{Base: id(""), Own: id("inner")})
	inner, _ := partition(tr, reqctx.From(nested))
	alone, _ := partition(tr, reqctx.Values{Connection: &connection.Choice{Base: id(""), Own: id("inner")}})
	if inner == own || inner == alone {
		t.Error("a request in the context of another belongs to both")
	}
	if !connection.Has(ctx, chosen.Connection.(*connection.Choice)) || connection.Has(t.Context(), chosen.Connection.(*connection.Choice)) {
		t.Error("Has is wrong")
	}
}

// TestWhatIsUnverifiedIsKeptWhereThatIsKnown: nil says nothing about a connection.
func TestWhatIsUnverifiedIsKeptWhereThatIsKnown(t *testing.T) {
	answers := map[string]*http.Response{
		"none": {}, "unverified": {TLS: &tls.ConnectionState{}},
	}
	for kind, tt := range map[string]struct {
		chain http.RoundTripper
		kept  bool
	}{
		"common":      {&http.Transport{}, false},
		"unseen":      {&hides{}, false},
		"another":     {&http.Transport{TLSClientConfig: &tls.Config{ServerName: "a.test"}}, false},
		"unverified":  {&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, true},
		"TLS dialer":  {&http.Transport{DialTLSContext: reach}, true},
		"given":       {&named{unwraps{next: &hides{}}, "a"}, true},
		"given empty": {&named{unwraps{next: &hides{}}, ""}, false},
	} {
		c := connection.Under(tt.chain)
		p := connection.PathOf(&c, reqctx.Values{})
		if got := p.Admits(answers["unverified"]); got != tt.kept {
			t.Errorf("%s: %v", kind, got)
		}
		if !p.Admits(answers["none"]) {
			t.Errorf("%s: an answer that says nothing is not kept", kind)
		}
	}
}
