package store

// full is a wrapper that has everything a store may have.
type full interface {
	Store
	MultiGetter
	Ranger
	Clearer
	Expirer
	Sizer
	Notifier
}

// as returns w with those optional interfaces that inner has, and no others: whoever asks w for one by a type assertion learns the truth.
// A set of methods must be written down before it can be had, so here are all of them.
func as(inner Store, w full) Store { return only(abilitiesOf(inner), w) }

func only(abilities int, w full) Store {
	switch abilities {
	case 0:
		return struct {
			Store
		}{w}
	case canMultiGetter:
		return struct {
			Store
			MultiGetter
		}{w, w}
	case canRanger:
		return struct {
			Store
			Ranger
		}{w, w}
	case canMultiGetter | canRanger:
		return struct {
			Store
			MultiGetter
			Ranger
		}{w, w, w}
	case canClearer:
		return struct {
			Store
			Clearer
		}{w, w}
	case canMultiGetter | canClearer:
		return struct {
			Store
			MultiGetter
			Clearer
		}{w, w, w}
	case canRanger | canClearer:
		return struct {
			Store
			Ranger
			Clearer
		}{w, w, w}
	case canMultiGetter | canRanger | canClearer:
		return struct {
			Store
			MultiGetter
			Ranger
			Clearer
		}{w, w, w, w}
	case canExpirer:
		return struct {
			Store
			Expirer
		}{w, w}
	case canMultiGetter | canExpirer:
		return struct {
			Store
			MultiGetter
			Expirer
		}{w, w, w}
	case canRanger | canExpirer:
		return struct {
			Store
			Ranger
			Expirer
		}{w, w, w}
	case canMultiGetter | canRanger | canExpirer:
		return struct {
			Store
			MultiGetter
			Ranger
			Expirer
		}{w, w, w, w}
	case canClearer | canExpirer:
		return struct {
			Store
			Clearer
			Expirer
		}{w, w, w}
	case canMultiGetter | canClearer | canExpirer:
		return struct {
			Store
			MultiGetter
			Clearer
			Expirer
		}{w, w, w, w}
	case canRanger | canClearer | canExpirer:
		return struct {
			Store
			Ranger
			Clearer
			Expirer
		}{w, w, w, w}
	case canMultiGetter | canRanger | canClearer | canExpirer:
		return struct {
			Store
			MultiGetter
			Ranger
			Clearer
			Expirer
		}{w, w, w, w, w}
	case canSizer:
		return struct {
			Store
			Sizer
		}{w, w}
	case canMultiGetter | canSizer:
		return struct {
			Store
			MultiGetter
			Sizer
		}{w, w, w}
	case canRanger | canSizer:
		return struct {
			Store
			Ranger
			Sizer
		}{w, w, w}
	case canMultiGetter | canRanger | canSizer:
		return struct {
			Store
			MultiGetter
			Ranger
			Sizer
		}{w, w, w, w}
	case canClearer | canSizer:
		return struct {
			Store
			Clearer
			Sizer
		}{w, w, w}
	case canMultiGetter | canClearer | canSizer:
		return struct {
			Store
			MultiGetter
			Clearer
			Sizer
		}{w, w, w, w}
	case canRanger | canClearer | canSizer:
		return struct {
			Store
			Ranger
			Clearer
			Sizer
		}{w, w, w, w}
	case canMultiGetter | canRanger | canClearer | canSizer:
		return struct {
			Store
			MultiGetter
			Ranger
			Clearer
			Sizer
		}{w, w, w, w, w}
	case canExpirer | canSizer:
		return struct {
			Store
			Expirer
			Sizer
		}{w, w, w}
	case canMultiGetter | canExpirer | canSizer:
		return struct {
			Store
			MultiGetter
			Expirer
			Sizer
		}{w, w, w, w}
	case canRanger | canExpirer | canSizer:
		return struct {
			Store
			Ranger
			Expirer
			Sizer
		}{w, w, w, w}
	case canMultiGetter | canRanger | canExpirer | canSizer:
		return struct {
			Store
			MultiGetter
			Ranger
			Expirer
			Sizer
		}{w, w, w, w, w}
	case canClearer | canExpirer | canSizer:
		return struct {
			Store
			Clearer
			Expirer
			Sizer
		}{w, w, w, w}
	case canMultiGetter | canClearer | canExpirer | canSizer:
		return struct {
			Store
			MultiGetter
			Clearer
			Expirer
			Sizer
		}{w, w, w, w, w}
	case canRanger | canClearer | canExpirer | canSizer:
		return struct {
			Store
			Ranger
			Clearer
			Expirer
			Sizer
		}{w, w, w, w, w}
	case canMultiGetter | canRanger | canClearer | canExpirer | canSizer:
		return struct {
			Store
			MultiGetter
			Ranger
			Clearer
			Expirer
			Sizer
		}{w, w, w, w, w, w}
	case canNotifier:
		return struct {
			Store
			Notifier
		}{w, w}
	case canMultiGetter | canNotifier:
		return struct {
			Store
			MultiGetter
			Notifier
		}{w, w, w}
	case canRanger | canNotifier:
		return struct {
			Store
			Ranger
			Notifier
		}{w, w, w}
	case canMultiGetter | canRanger | canNotifier:
		return struct {
			Store
			MultiGetter
			Ranger
			Notifier
		}{w, w, w, w}
	case canClearer | canNotifier:
		return struct {
			Store
			Clearer
			Notifier
		}{w, w, w}
	case canMultiGetter | canClearer | canNotifier:
		return struct {
			Store
			MultiGetter
			Clearer
			Notifier
		}{w, w, w, w}
	case canRanger | canClearer | canNotifier:
		return struct {
			Store
			Ranger
			Clearer
			Notifier
		}{w, w, w, w}
	case canMultiGetter | canRanger | canClearer | canNotifier:
		return struct {
			Store
			MultiGetter
			Ranger
			Clearer
			Notifier
		}{w, w, w, w, w}
	case canExpirer | canNotifier:
		return struct {
			Store
			Expirer
			Notifier
		}{w, w, w}
	case canMultiGetter | canExpirer | canNotifier:
		return struct {
			Store
			MultiGetter
			Expirer
			Notifier
		}{w, w, w, w}
	case canRanger | canExpirer | canNotifier:
		return struct {
			Store
			Ranger
			Expirer
			Notifier
		}{w, w, w, w}
	case canMultiGetter | canRanger | canExpirer | canNotifier:
		return struct {
			Store
			MultiGetter
			Ranger
			Expirer
			Notifier
		}{w, w, w, w, w}
	case canClearer | canExpirer | canNotifier:
		return struct {
			Store
			Clearer
			Expirer
			Notifier
		}{w, w, w, w}
	case canMultiGetter | canClearer | canExpirer | canNotifier:
		return struct {
			Store
			MultiGetter
			Clearer
			Expirer
			Notifier
		}{w, w, w, w, w}
	case canRanger | canClearer | canExpirer | canNotifier:
		return struct {
			Store
			Ranger
			Clearer
			Expirer
			Notifier
		}{w, w, w, w, w}
	case canMultiGetter | canRanger | canClearer | canExpirer | canNotifier:
		return struct {
			Store
			MultiGetter
			Ranger
			Clearer
			Expirer
			Notifier
		}{w, w, w, w, w, w}
	case canSizer | canNotifier:
		return struct {
			Store
			Sizer
			Notifier
		}{w, w, w}
	case canMultiGetter | canSizer | canNotifier:
		return struct {
			Store
			MultiGetter
			Sizer
			Notifier
		}{w, w, w, w}
	case canRanger | canSizer | canNotifier:
		return struct {
			Store
			Ranger
			Sizer
			Notifier
		}{w, w, w, w}
	case canMultiGetter | canRanger | canSizer | canNotifier:
		return struct {
			Store
			MultiGetter
			Ranger
			Sizer
			Notifier
		}{w, w, w, w, w}
	case canClearer | canSizer | canNotifier:
		return struct {
			Store
			Clearer
			Sizer
			Notifier
		}{w, w, w, w}
	case canMultiGetter | canClearer | canSizer | canNotifier:
		return struct {
			Store
			MultiGetter
			Clearer
			Sizer
			Notifier
		}{w, w, w, w, w}
	case canRanger | canClearer | canSizer | canNotifier:
		return struct {
			Store
			Ranger
			Clearer
			Sizer
			Notifier
		}{w, w, w, w, w}
	case canMultiGetter | canRanger | canClearer | canSizer | canNotifier:
		return struct {
			Store
			MultiGetter
			Ranger
			Clearer
			Sizer
			Notifier
		}{w, w, w, w, w, w}
	case canExpirer | canSizer | canNotifier:
		return struct {
			Store
			Expirer
			Sizer
			Notifier
		}{w, w, w, w}
	case canMultiGetter | canExpirer | canSizer | canNotifier:
		return struct {
			Store
			MultiGetter
			Expirer
			Sizer
			Notifier
		}{w, w, w, w, w}
	case canRanger | canExpirer | canSizer | canNotifier:
		return struct {
			Store
			Ranger
			Expirer
			Sizer
			Notifier
		}{w, w, w, w, w}
	case canMultiGetter | canRanger | canExpirer | canSizer | canNotifier:
		return struct {
			Store
			MultiGetter
			Ranger
			Expirer
			Sizer
			Notifier
		}{w, w, w, w, w, w}
	case canClearer | canExpirer | canSizer | canNotifier:
		return struct {
			Store
			Clearer
			Expirer
			Sizer
			Notifier
		}{w, w, w, w, w}
	case canMultiGetter | canClearer | canExpirer | canSizer | canNotifier:
		return struct {
			Store
			MultiGetter
			Clearer
			Expirer
			Sizer
			Notifier
		}{w, w, w, w, w, w}
	case canRanger | canClearer | canExpirer | canSizer | canNotifier:
		return struct {
			Store
			Ranger
			Clearer
			Expirer
			Sizer
			Notifier
		}{w, w, w, w, w, w}
	}
	return w
}

const (
	canMultiGetter = 1 << iota
	canRanger
	canClearer
	canExpirer
	canSizer
	canNotifier
)

func abilitiesOf(s Store) int {
	return ability[MultiGetter](s, canMultiGetter) | ability[Ranger](s, canRanger) | ability[Clearer](s, canClearer) |
		ability[Expirer](s, canExpirer) | ability[Sizer](s, canSizer) | ability[Notifier](s, canNotifier)
}

func ability[T any](s Store, bit int) int {
	if _, ok := s.(T); ok {
		return bit
	}
	return 0
}
