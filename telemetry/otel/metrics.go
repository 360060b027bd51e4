package plyotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// instruments are the instruments for requests and calls.
type instruments struct {
	request  metric.Float64Histogram
	sent     metric.Int64Histogram
	received metric.Int64Histogram
	active   metric.Int64UpDownCounter
	call     metric.Float64Histogram
	retries  metric.Int64Counter
	stops    metric.Int64Counter
}

// seconds are the bucket boundaries that the semantic conventions recommend for durations.
var seconds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

func (i *instruments) make(m metric.Meter) (err error) {
	failed := func(e error) { err = errors.Join(err, e) }
	duration := func(name, description string) metric.Float64Histogram {
		h, e := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(seconds...))
		failed(e)
		return h
	}
	size := func(name, description string) metric.Int64Histogram {
		h, e := m.Int64Histogram(name, metric.WithUnit("By"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(0, 1<<10, 1<<12, 1<<14, 1<<16, 1<<18, 1<<20, 1<<22, 1<<24, 1<<26))
		failed(e)
		return h
	}
	count := func(name, unit, description string) metric.Int64Counter {
		c, e := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		failed(e)
		return c
	}
	i.request = duration("http.client.request.duration", "Duration of HTTP client requests.")
	i.sent = size("http.client.request.body.size", "Size of HTTP client request bodies.")
	i.received = size("http.client.response.body.size", "Size of HTTP client response bodies.")
	i.call = duration("ply.client.call.duration", "Duration of calls: redirects, hits of the cache, retries and waits included.")
	i.retries = count("ply.retry.retries", "{retry}", "Attempts after the first of a call.")
	i.stops = count("ply.retry.stops", "{call}", "Calls that passed a retry layer, by the reason why it stopped.")
	var e error
	i.active, e = m.Int64UpDownCounter("http.client.active_requests", metric.WithUnit("{request}"), metric.WithDescription("Number of active HTTP requests."))
	failed(e)
	return err
}

// enabled reports whether any instrument records.
func (i *instruments) enabled(ctx context.Context) bool {
	return i.request.Enabled(ctx) || i.call.Enabled(ctx) || i.active.Enabled(ctx) || i.sent.Enabled(ctx) || i.received.Enabled(ctx) || i.retries.Enabled(ctx) || i.stops.Enabled(ctx)
}

// observed is one count of a T, with the instrument that reports it.
type observed[T any] struct {
	name, unit, description string
	level                   bool // it can decrease
	attribute               attribute.KeyValue
	of                      func(T) int64
}

// ObserveCache reports the counts of c as ply.cache.* with the attribute ply.cache.name, which must be unique to each cache.
// The counts are read when metrics are collected. stop ends that.
func (t *Telemetry) ObserveCache(name string, c *cache.Cache) (stop func() error, err error) {
	return observe(t.meter, cacheNameKey.String(name), c.Stats, cacheCounts)
}

func answered(status string) attribute.KeyValue { return cacheStatusKey.String(status) }

var cacheCounts = []observed[cache.Stats]{
	{name: "ply.cache.requests", unit: "{request}", description: "Requests to the cache, by what it did.", attribute: answered("hit"), of: func(s cache.Stats) int64 { return s.Hits - s.Stale }},
	{name: "ply.cache.requests", attribute: answered("stale"), of: func(s cache.Stats) int64 { return s.Stale }},
	{name: "ply.cache.requests", attribute: answered("miss"), of: func(s cache.Stats) int64 { return s.Misses }},
	{name: "ply.cache.requests", attribute: answered("revalidated"), of: func(s cache.Stats) int64 { return s.Revalidated }},
	{name: "ply.cache.requests", attribute: answered("bypassed"), of: func(s cache.Stats) int64 { return s.Bypassed }},
	{name: "ply.cache.requests", attribute: answered("error"), of: func(s cache.Stats) int64 { return s.Errors }},
	{name: "ply.cache.collapsed", unit: "{request}", description: "Requests answered by the exchange of another one.", of: func(s cache.Stats) int64 { return s.Collapsed }},
	{name: "ply.cache.stored", unit: "{response}", description: "Responses taken into the store.", of: func(s cache.Stats) int64 { return s.Stored }},
	{name: "ply.cache.refresh_ahead.sent", unit: "{refresh}", description: "Refreshes of responses that were still fresh.", of: func(s cache.Stats) int64 { return s.Ahead }},
	{name: "ply.cache.refresh_ahead.refused", unit: "{refresh}", description: "Refreshes of fresh responses that the budget did not pay for.", of: func(s cache.Stats) int64 { return s.AheadRefused }},
	{name: "ply.cache.invalidated", unit: "{uri}", description: "URIs invalidated by unsafe requests.", of: func(s cache.Stats) int64 { return s.Invalidated }},
	{name: "ply.cache.store.errors", unit: "{error}", description: "Calls to the store that failed.", of: func(s cache.Stats) int64 { return s.StoreErrors }},
	{name: "ply.cache.store.skipped", unit: "{call}", description: "Calls to the store that were not tried, because it had failed before.", of: func(s cache.Stats) int64 { return s.StoreSkipped }},
	{name: "ply.cache.store.owed", unit: "{invalidation}", description: "Invalidations that the store has not taken yet.", level: true, of: func(s cache.Stats) int64 { return s.Owed }},
	{name: "ply.cache.store.down", unit: "1", description: "One while the store has failed and is not asked.", level: true, of: func(s cache.Stats) int64 { return oneIf(s.StoreDown) }},
	{name: "ply.cache.store.read_only", unit: "1", description: "One while changes to the store hang and are not tried.", level: true, of: func(s cache.Stats) int64 { return oneIf(s.StoreReadOnly) }},
	{name: "ply.cache.evictions", unit: "{key}", description: "Keys that had to go to make room.", of: func(s cache.Stats) int64 { return s.Evicted }},
	{name: "ply.cache.entries", unit: "{entry}", description: "Entries in memory.", level: true, of: func(s cache.Stats) int64 { return s.Entries }},
	{name: "ply.cache.size", unit: "By", description: "Bytes in memory.", level: true, of: func(s cache.Stats) int64 { return s.Bytes }},
}

func oneIf(holds bool) int64 {
	if holds {
		return 1
	}
	return 0
}

// ObserveBudget reports the counts of b as ply.retry.budget.* with the attribute ply.retry.budget.name, which must be unique to each budget.
// The default budget of a retry layer cannot be observed: set Options.Budget. stop ends the observation.
func (t *Telemetry) ObserveBudget(name string, b *retry.TokenBucket) (stop func() error, err error) {
	return observe(t.meter, budgetNameKey.String(name), b.Stats, budgetCounts)
}

var budgetCounts = []observed[retry.BudgetStats]{
	{name: "ply.retry.budget.granted", unit: "{retry}", description: "Retries that were paid for.", of: func(s retry.BudgetStats) int64 { return s.Granted }},
	{name: "ply.retry.budget.refused", unit: "{retry}", description: "Retries that the budget did not allow.", of: func(s retry.BudgetStats) int64 { return s.Refused }},
	{name: "ply.retry.budget.in_trouble", unit: "{key}", description: "Keys with less than a full bucket.", level: true, of: func(s retry.BudgetStats) int64 { return s.InTrouble }},
	{name: "ply.retry.budget.empty", unit: "{key}", description: "Keys that cannot pay for a retry.", level: true, of: func(s retry.BudgetStats) int64 { return s.Empty }},
}

// observe reads the counts once per collection. Rows with the same name share an instrument.
func observe[T any](m metric.Meter, id attribute.KeyValue, counts func() T, rows []observed[T]) (stop func() error, err error) {
	made := make(map[string]metric.Int64Observable)
	var all []metric.Observable
	for _, row := range rows {
		if made[row.name] != nil {
			continue
		}
		var i metric.Int64Observable
		var e error
		if row.level {
			i, e = m.Int64ObservableUpDownCounter(row.name, metric.WithUnit(row.unit), metric.WithDescription(row.description))
		} else {
			i, e = m.Int64ObservableCounter(row.name, metric.WithUnit(row.unit), metric.WithDescription(row.description))
		}
		if e != nil {
			return nil, e
		}
		made[row.name], all = i, append(all, i)
	}
	registered, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := counts()
		for _, row := range rows {
			attributes := []attribute.KeyValue{id}
			if row.attribute.Valid() {
				attributes = append(attributes, row.attribute)
			}
			o.ObserveInt64(made[row.name], row.of(s), metric.WithAttributes(attributes...))
		}
		return nil
	}, all...)
	if err != nil {
		return nil, err
	}
	return registered.Unregister, nil
}

// Counter is what keeps counts of its own under names of its own, as the budget, the breaker, the hedger and the limiter of the module resilience do.
type Counter interface {
	// Counts calls yield with each count, always the same ones; level says that it goes down too.
	Counts(yield func(name, unit, description string, level bool, value int64))
}

// Observe shows the counts of c with the attribute ply.name, which must be another one for each that has counts of the same names.
// The counts are asked for when metrics are collected, and not kept up with. stop ends it.
func (t *Telemetry) Observe(name string, c Counter) (stop func() error, err error) {
	var rows []observed[map[string]int64]
	c.Counts(func(name, unit, description string, level bool, _ int64) {
		rows = append(rows, observed[map[string]int64]{name: name, unit: unit, description: description, level: level,
			of: func(counts map[string]int64) int64 { return counts[name] }})
	})
	counts := func() map[string]int64 {
		all := make(map[string]int64, len(rows))
		c.Counts(func(name, _, _ string, _ bool, value int64) { all[name] = value })
		return all
	}
	return observe(t.meter, nameKey.String(name), counts, rows)
}
