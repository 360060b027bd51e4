// Package storeclient stands between a cache and a store.Store, which may hang, fail, panic or lie: no request waits for it beyond a deadline.
//
//	client.go    deadlines, room for calls that hang, probes
//	breaker.go   when the store is left alone
//	workers.go   what is done in the background, bounded
package storeclient
