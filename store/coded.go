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
	// What is there may be absent to those who cannot read it. Then it is replaced, if nobody else replaces it first.
	there, getErr := c.inner.Get(ctx, key)
	if getErr != nil || there.Version == "" || c.opened(key, there).Version != "" {
		return err
	}
	sealed.Version = there.Version
	return c.inner.Put(ctx, key, sealed)
}

func (c *coded) Delete(ctx context.Context, key, version string) error {
	return c.inner.Delete(ctx, key, version)
}

// The methods below exist for stores that have them; see as.

func (c *coded) GetMulti(ctx context.Context, keys []string) ([]Record, error) {
	records, err := c.inner.(MultiGetter).GetMulti(ctx, keys)
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
	return c.inner.(Ranger).Range(ctx, kind, func(key string, r Record) bool {
		plain := c.opened(key, r)
		return plain.Version == "" || f(key, plain)
	})
}

func (c *coded) Clear(ctx context.Context) error { return c.inner.(Clearer).Clear(ctx) }

func (c *coded) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	return c.inner.(Expirer).DeleteExpired(ctx, now)
}

func (c *coded) Size(ctx context.Context) (records, bytes int64, err error) {
	return c.inner.(Sizer).Size(ctx)
}

func (c *coded) Notify(f func(key string)) (stop func()) { return c.inner.(Notifier).Notify(f) }
