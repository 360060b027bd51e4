package store

import (
	"errors"
	"fmt"
)

// As returns s as T, one of the optional interfaces such as [Ranger], and reports whether s has it.
// Ask with As rather than by a type assertion: it knows wrappers.
//
// A store has an optional interface if it implements it. A wrapper is a store with a method
//
//	Unwrap() Store
//
// that returns the store it passes calls on to. It has an optional interface if it implements it and the store that it wraps has it, too:
//
//	shared, _ := store.Encrypted(redisStore, key)
//	store.As[store.Notifier](shared)  // true: Encrypted implements it, and Redis has it
//	store.As[store.Sizer](shared)     // false: Encrypted implements it, but Redis has not got it
//
// So a wrapper implements what it can pass on and need not know what it will wrap, and an interface that it does not implement is hidden:
// nothing goes around a wrapper. Where the wrapped store lacks the interface, the wrapper's method returns an error that wraps [errors.ErrUnsupported];
// no cache calls it.
func As[T any](s Store) (T, bool) {
	for at := s; ; {
		if _, ok := at.(T); !ok {
			var none T
			return none, false
		}
		wrapper, ok := at.(interface{ Unwrap() Store })
		if !ok {
			return s.(T), true
		}
		at = wrapper.Unwrap()
	}
}

// wrapped is As for the methods of a wrapper.
func wrapped[T any](inner Store) (T, error) {
	s, ok := As[T](inner)
	if !ok {
		return s, fmt.Errorf("store: %T has no such method: %w", inner, errors.ErrUnsupported)
	}
	return s, nil
}
