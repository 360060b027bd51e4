package freshness

// A PerRequestAsker is a strategy that asks the choice for the request in its own order. A cache asks that choice before any other strategy.
// Only a type that embeds [AsksPerRequest] is one.
type PerRequestAsker interface{ asksPerRequest() }

// AsksPerRequest makes a strategy that embeds it a [PerRequestAsker].
type AsksPerRequest struct{}

func (AsksPerRequest) asksPerRequest() {}
