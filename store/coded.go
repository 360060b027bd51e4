package store

import (
	"context"
	"errors"
	"time"
)

// codec changes what a record holds on its way into a store, and back.
type codec interface {
	// seal returns r with other data. It does not change the data of r.
	seal(key string, r Record) (Record, error)

	// open is false if r is not what seal made for key.
	open(key string, r Record) (Record, bool)
}

// coded is a store whose records pass a codec. A record that cannot be opened is absent.
type coded struct {
	inner Store
	codec codec
}

func (c *coded) Get(ctx context.Context, key string) (Record, error) {
	r, err := c.inner.Get(ctx, key)
	if err != nil || r.Version == "" {
		return Record{}, err
	}
	return c.opened(key, r), nil
}

// opened returns the zero Record in the place of one that cannot be read.
func (c *coded) opened(key string, r Record) Record {
	if r.Version == "" {
		return Record{}
	}
	plain, ok := c.codec.open(key, r)
	if !ok {
		return Record{}
	}
	return plain
}

func (c *coded) Put(ctx context.Context, key string, r Record) error {
	sealed, err := c.codec.seal(key, r)
	if err != nil {
		return err
	}
	err = c.inner.Put(ctx, key, sealed)
	if r.Version != "" || !errors.Is(err, ErrConflict) {
		return err
	}
	// What is absent to those who cannot read it is replaced, unless another caller replaces it first.
	version, ok := c.unreadable(ctx, key)
	if !ok {
		return err
	}
	sealed.Version = version
	return c.inner.Put(ctx, key, sealed)
}

func (c *coded) Delete(ctx context.Context, key, version string) error {
	err := c.inner.Delete(ctx, key, version)
	if version == "" || !errors.Is(err, ErrConflict) {
		return err
	}
	if _, ok := c.unreadable(ctx, key); ok {
		return nil // nothing is there
	}
	return err
}

// unreadable returns the version of the inner store's record if it is one that cannot be opened.
func (c *coded) unreadable(ctx context.Context, key string) (version string, ok bool) {
	there, err := c.inner.Get(ctx, key)
	if err != nil || there.Version == "" || c.opened(key, there).Version != "" {
		return "", false
	}
	return there.Version, true
}

// Unwrap returns the store whose records are coded; see [As].
func (c *coded) Unwrap() Store { return c.inner }

// The methods below are those of the optional interfaces. Each is there for an inner store that has it, too; see [As].

func (c *coded) GetMulti(ctx context.Context, keys []string) ([]Record, error) {
	inner, err := wrapped[MultiGetter](c.inner)
	if err != nil {
		return nil, err
	}
	records, err := inner.GetMulti(ctx, keys)
	if err != nil {
		return nil, err
	}
	if len(records) != len(keys) {
		return nil, errors.New("store: GetMulti did not return a record for each key")
	}
	for i, key := range keys {
		records[i] = c.opened(key, records[i])
	}
	return records, nil
}

func (c *coded) Range(ctx context.Context, kind Kind, f func(key string, r Record) bool) error {
	inner, err := wrapped[Ranger](c.inner)
	if err != nil {
		return err
	}
	return inner.Range(ctx, kind, func(key string, r Record) bool {
		plain := c.opened(key, r)
		return plain.Version == "" || f(key, plain)
	})
}

func (c *coded) Clear(ctx context.Context) error {
	inner, err := wrapped[Clearer](c.inner)
	if err != nil {
		return err
	}
	return inner.Clear(ctx)
}

func (c *coded) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	inner, err := wrapped[Expirer](c.inner)
	if err != nil {
		return 0, err
	}
	return inner.DeleteExpired(ctx, now)
}

func (c *coded) Size(ctx context.Context) (records, bytes int64, err error) {
	inner, err := wrapped[Sizer](c.inner)
	if err != nil {
		return 0, 0, err
	}
	return inner.Size(ctx)
}

// Notify never calls f if the inner store does not tell of changes: the method has no error to say so.
func (c *coded) Notify(f func(key string)) (stop func()) {
	inner, err := wrapped[Notifier](c.inner)
	if err != nil {
		return func() {}
	}
	return inner.Notify(f)
}
