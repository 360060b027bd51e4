package expiry

// Ahead returns s with responses that are refreshed before they expire: from the given fraction of the lifetime on, a hit is answered at once and has the response
// refreshed in the background, so that no caller waits for the origin as long as something is asked for often enough. 0.8 is usual.
//
// The fraction is between 0 and 1, and is that of the time that a response is fresh in the cache: what it had of its lifetime on receipt does not count.
// One that slides counts from the receipt. Ahead changes no lifetime, and refreshes no error, nothing that is asked for no more, and at most one time for each key at a time;
// see [github.com/plyhttp/ply/middleware/cache.Options], RefreshBudget. A nil s, and a silent verdict of s, stand for [Default].
func Ahead(s Strategy, fraction float64) Strategy {
	within := 1 - min(max(fraction, 0), 1)
	if within != within {
		within = 0 // not a number
	}
	return adjusted(s, func(_ Exchange, v Verdict) Verdict {
		v.RefreshWithin = within
		return v
	})
}

// XFetch returns s with responses that are refreshed before they expire, sooner the longer a fetch takes: each hit has the response refreshed in the background
// by chance, and the chance grows as the end of the lifetime comes near. With a beta of 1, which is usual, it is 37 % when as much time is left as the latest fetch took, up to its header;
// more is more eager, 100 at most, and zero is not at all. What is asked for often is refreshed in time, what takes long begins early, and clients that share a store
// do not all begin at once.
//
// The rule is that of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention" (2015). What [Ahead] says of lifetimes and of what is refreshed holds here, too,
// and both can be combined. A nil s, and a silent verdict of s, stand for [Default].
func XFetch(s Strategy, beta float64) Strategy {
	beta = min(max(beta, 0), 100)
	if beta != beta {
		beta = 0 // not a number
	}
	return adjusted(s, func(_ Exchange, v Verdict) Verdict {
		v.XFetch = beta
		return v
	})
}
