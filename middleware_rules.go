package ply

import (
	"errors"
	"fmt"
	"reflect"
)

// checkStack refuses stacks whose order cannot work. It does not judge conditional layers, whose conditions it cannot know.
// redirects is the redirect layer of the stack's client, or nil if that is an *http.Client.
func checkStack(h Handler, redirects *redirectLayer) error {
	var layers []Layer
	inner := -1 // the index of redirects
	walk(h, true, func(l Layer) {
		if f, ok := l.Handler.(*redirectLayer); ok && f == redirects {
			inner = len(layers)
		}
		layers = append(layers, l)
	})

	for i, l := range layers {
		option := optionOf(i, inner)
		if err := checkLayer(l, option); err != nil {
			return err
		}
		for _, outer := range layers[:i] {
			if err := checkPair(outer, l, option); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkLayer refuses a layer that is in the wrong list, or that could not be made. option is the list that has it.
func checkLayer(l Layer, option string) error {
	if f, ok := l.Handler.(*failing); ok {
		return &OptionError{Option: option, Reason: "contains a layer that makes nothing", Err: f.err}
	}
	if reason := notAroundRedirects[l.Name]; reason != "" && option == callLayers {
		return &OptionError{Option: option, Reason: "contains " + l.Name + ", which " + reason + ": move it to Use"}
	}
	if checked, ok := l.Handler.(interface{ OptionsError() error }); ok {
		if err := checked.OptionsError(); err != nil {
			return &OptionError{Option: option, Reason: "contains " + l.Name + " with options that cannot be carried out", Err: err}
		}
	}
	return nil
}

// checkWrapped is [checkStack] for the layers of [Wrap].
func checkWrapped(h Handler) error {
	err := checkStack(h, nil)
	var refused *OptionError
	if errors.As(err, &refused) {
		refused.Option = "Wrap"
	}
	return err
}

const (
	authLayer    = "auth"
	cacheLayer   = "cache"
	decodeLayer  = "decode"
	retryLayer   = "retry"
	hedgeLayer   = "hedge"
	breakerLayer = "breaker"
	limitLayer   = "limit"
	signLayer    = "sign"
)

// wrongOrders are the pairs of layers that cannot stand in one stack with the first outside the second, and why.
var wrongOrders = map[[2]string]string{
	{cacheLayer, authLayer}:    "contains auth below a cache, which would not know whose answers it has; list auth before cache",
	{retryLayer, authLayer}:    "contains auth inside retry: each attempt could be sent twice, and a failed token source would be retried; list auth before retry",
	{hedgeLayer, authLayer}:    "contains auth inside hedge: the copies would be sent twice after a 401; list auth before hedge",
	{breakerLayer, authLayer}:  "contains auth inside breaker: a failed token source would count as a failure of the server; list auth before breaker",
	{limitLayer, authLayer}:    "contains auth inside limit: requests would hold their places while they wait for a token; list auth before limit",
	{signLayer, cacheLayer}:    "contains sign outside a cache: hits would be signed for nothing, and refreshes sent with an old signature; list sign after cache",
	{signLayer, retryLayer}:    "contains sign outside retry: all attempts would have one signature; list sign after retry",
	{retryLayer, cacheLayer}:   "contains a cache inside retry: hits would wait for attempts, and failed attempts could be stored; list cache before retry",
	{hedgeLayer, cacheLayer}:   "contains a cache inside hedge: copies would be lookups, and would not reach the server; list cache before hedge",
	{breakerLayer, cacheLayer}: "contains a cache inside breaker: hits would be refused while the server is down, and stale responses never served; list cache before breaker",
	{limitLayer, cacheLayer}:   "contains a cache inside limit: hits would wait for places at the server; list cache before limit",
	{hedgeLayer, retryLayer}:   "contains retry inside hedge: each copy would be sent again, and attempts would multiply; list retry before hedge",
	{breakerLayer, retryLayer}: "contains retry inside breaker: it would see only what is left after the last attempt, and open too late; list retry before breaker",
	{limitLayer, retryLayer}:   "contains retry inside limit: retries would go past the limit; list retry before limit",
	{breakerLayer, hedgeLayer}: "contains hedge inside breaker: copies would go past it, uncounted; list hedge before breaker",
	{limitLayer, hedgeLayer}:   "contains hedge inside limit: copies would go past the limit; list hedge before limit",
	{limitLayer, breakerLayer}: "contains a breaker inside limit: requests would wait for a place only to be refused; list breaker before limit",
	{signLayer, hedgeLayer}:    "contains sign outside hedge: a copy would have the signature of the request; list sign after hedge",
	{retryLayer, retryLayer}:   "contains retry twice: attempts would multiply, so list it once",
	{hedgeLayer, hedgeLayer}:   "contains hedge twice: copies would multiply, so list it once",
	{decodeLayer, decodeLayer}: "contains decode twice: the inner one would leave everything to the outer one, which asks for the codings, so list it once",
}

// notAroundRedirects are the layers that cannot be call layers, and why.
var notAroundRedirects = map[string]string{
	cacheLayer:   "has to see each hop of a redirect",
	authLayer:    "has to see each hop of a redirect, so that no other origin gets credentials",
	signLayer:    "has to see each hop of a redirect, so that no other origin gets credentials",
	retryLayer:   "would repeat a whole chain of redirects for its last hop",
	hedgeLayer:   "has to see each hop of a redirect, perhaps to another host",
	breakerLayer: "has to see each hop of a redirect, perhaps to another host",
	limitLayer:   "has to see each hop of a redirect, perhaps to another host",
}

func checkPair(outer, l Layer, option string) error {
	if outer.Conditional || l.Conditional {
		return nil
	}
	reason := wrongOrders[[2]string{outer.Name, l.Name}]
	if sameState(outer.Handler, l.Handler) {
		reason = fmt.Sprintf("contains the same %s twice: the inner one would only see what the outer one lets through, so list it once", l.Name)
	}
	if reason == "" {
		return nil
	}
	return &OptionError{Option: option, Reason: reason}
}

// sameState reports whether two layers work on the same object, a *cache.Cache for instance.
func sameState(a, b Handler) bool {
	x, ok := a.(interface{ LayerID() any })
	y, ok2 := b.(interface{ LayerID() any })
	if !ok || !ok2 {
		return false
	}
	id, id2 := reflect.ValueOf(x.LayerID()), reflect.ValueOf(y.LayerID())
	return id.IsValid() && id2.IsValid() && id.Comparable() && id2.Comparable() && id.Interface() == id2.Interface()
}

// The options that list layers.
const (
	callLayers     = "UseCall"
	exchangeLayers = "Use"
)

// optionOf returns the option that lists layer i, if the redirects are layer inner.
func optionOf(i, inner int) string {
	if i < inner {
		return callLayers
	}
	return exchangeLayers
}

func hasLayer(h Handler, name string) bool {
	found := false
	walk(h, true, func(l Layer) { found = found || l.Name == name })
	return found
}
