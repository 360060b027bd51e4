package ply

import (
	"errors"
	"fmt"
	"reflect"
)

// checkStack refuses stacks that cannot mean what they say. Layers that only some requests pass are left to whoever wrote the conditions.
// redirects are those of the client that has the stack, nil if it is an *http.Client.
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
		if m, ok := l.Handler.(*failing); ok {
			return &OptionError{Option: optionOf(i, inner), Reason: "contains a layer that makes nothing", Err: m.err}
		}
		if i < inner && l.Name == cacheLayer {
			return &OptionError{Option: "UseCall", Reason: "contains a cache, which has to see each hop of a redirect: move it to Use"}
		}
		if i < inner && (l.Name == authLayer || l.Name == signLayer) {
			return &OptionError{Option: "UseCall", Reason: "contains " + l.Name + ", which has to see each hop of a redirect, so that no other origin gets credentials: move it to Use"}
		}
		if i < inner && l.Name == retryLayer {
			return &OptionError{Option: "UseCall", Reason: "contains retry, which would repeat a whole chain of redirects for its last hop: move it to Use"}
		}
		if made, ok := l.Handler.(interface{ OptionsError() error }); ok && made.OptionsError() != nil {
			return &OptionError{Option: optionOf(i, inner), Reason: "contains " + l.Name + " with options that cannot be carried out", Err: made.OptionsError()}
		}
		for _, outer := range layers[:i] {
			if err := checkPair(outer, l, optionOf(i, inner)); err != nil {
				return err
			}
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
	authLayer   = "auth"
	cacheLayer  = "cache"
	decodeLayer = "decode"
	retryLayer  = "retry"
	signLayer   = "sign"
)

// wrongOrders are the pairs of layers that cannot stand in one stack with the first outside the second, and why.
var wrongOrders = map[[2]string]string{
	{cacheLayer, authLayer}:    "contains auth below a cache, which would not know whose answers it has; list auth before cache",
	{retryLayer, authLayer}:    "contains auth inside retry: each attempt could be sent twice, and a failed token source would be retried; list auth before retry",
	{signLayer, cacheLayer}:    "contains sign outside a cache: hits would be signed for nothing, and refreshes sent with an old signature; list sign after cache",
	{signLayer, retryLayer}:    "contains sign outside retry: all attempts would have one signature; list sign after retry",
	{retryLayer, cacheLayer}:   "contains a cache inside retry: hits would wait for attempts, and failed attempts could be stored; list cache before retry",
	{retryLayer, retryLayer}:   "contains retry twice: attempts would multiply, so list it once",
	{decodeLayer, decodeLayer}: "contains decode twice: the inner one would leave everything to the outer one, which asks for the codings, so list it once",
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

// sameState is whether two layers work on the same object, a *cache.Cache for instance.
func sameState(a, b Handler) bool {
	x, ok := a.(interface{ LayerID() any })
	y, ok2 := b.(interface{ LayerID() any })
	if !ok || !ok2 {
		return false
	}
	id, id2 := reflect.ValueOf(x.LayerID()), reflect.ValueOf(y.LayerID())
	return id.IsValid() && id2.IsValid() && id.Comparable() && id2.Comparable() && id.Interface() == id2.Interface()
}

func optionOf(i, inner int) string {
	if i < inner {
		return "UseCall"
	}
	return "Use"
}

func hasLayer(h Handler, name string) bool {
	found := false
	walk(h, true, func(l Layer) { found = found || l.Name == name })
	return found
}
