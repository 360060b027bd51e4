package cache

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/store"
)

// Options say how a [Cache] works. The zero Options make a private cache in memory that follows RFC 9111.
type Options struct {
	// Store keeps the responses: a [Memory], any [store.Store], or both, see [Tiered]. The cache does not close it.
	// Nil means a new [Memory] with its default bounds.
	Store store.Store

	// Key says what makes two requests the same. Nil means [keying.Default]; in a shared cache [keying.SingleUser],
	// for there RFC 9111 §3.5 says which answers to requests with credentials may be shared.
	// Caches that share a Store need the same strategy: with two that make equal keys of different meaning, each would serve the other's responses.
	Key keying.Strategy

	// Expiry says how long a response is fresh. Nil means [expiry.Default]: for as long as the server says.
	Expiry expiry.Strategy

	// Shared makes a cache whose responses go to more than one person (RFC 9111 §1.2.2): it obeys s-maxage, private and proxy-revalidate,
	// and stores an answer to a request with credentials only if that is marked as shareable. Zero means a private cache.
	Shared bool

	// OneIdentityBelow says that the layers below the cache, or its transport, add credentials to requests, and that these are one principal's
	// for all who use the cache: one service account, say, whose token is renewed there. Zero means that an answer to a request that has got credentials below
	// the cache is neither stored nor shared, unless [WithPrincipal] says who asks: the cache could not know whose it is. The same goes for other fields
	// that layers below set and that the response varies on, such as X-User.
	// A shared cache stores it only if it is marked as shareable, as one whose credentials it has seen. Caches that share a Store need the same identity.
	OneIdentityBelow bool

	// Mode is how the cache treats requests whose context says nothing of it: [WithMode] counts before it, ModeDefault too. [ModeOnlyIfCached] is for a program without
	// a network, and [ModeReadOnly] for one that answers from what is stored and adds nothing. [Cache.SetMode] changes it later. Zero means ModeDefault.
	Mode Mode

	// Methods are the request methods that are answered from the store. Nil means GET, HEAD and QUERY. A method with content, such as POST,
	// is stored with its content in the key, and no longer counts as one that changes something: name it only if that is so.
	Methods []string

	// Unsafe reports whether a request changes something although its method is one of Methods: a command that is sent by POST to an endpoint that answers queries, too.
	// It is not answered from the store, and if it succeeds, what is stored for its URI is invalidated, as by any unsafe request (RFC 9111 §4.4).
	// It must not change the request or read its Body; GetBody has a copy. It is called from many goroutines, for requests whose method is not safe (RFC 9110 §9.2.1).
	//
	// Nil means what Key says: with [keying.FormatGraphQL] each mutation is unsafe, and with any other key no request is.
	// With GraphQL, what is invalidated is all that is stored for the endpoint, whatever the query of the URL.
	Unsafe func(*http.Request) bool

	// Statuses are the statuses of responses that are stored, as far as RFC 9111 lets them be, and served: a stored response of another status
	// counts as absent. Nil means all.
	Statuses []int

	// Filter reports whether a response may be stored, and a stored one served. It must neither change the response nor read its body.
	// It is called from many goroutines. Nil means every response.
	Filter func(*http.Request, *http.Response) bool

	// FilterBody reports whether a response may be stored, once all of its body has come: an answer of 200 may be an error all the same,
	// as in GraphQL; see [NoGraphQLErrors]. The body is as it came, compressed perhaps, and a part if the response is one. It must not be changed or retained.
	// The caller does not wait for it: it has been given the body meanwhile, and so have the requests that shared the exchange.
	// A body of more than 1 MiB is not shown, and its response not stored. FilterBody is called from many goroutines. Nil means every response.
	FilterBody func(r *http.Request, resp *http.Response, body []byte) bool

	// Tags returns the tags of a response, by which [Cache.DeleteTag] removes it. [SurrogateKey], [CacheTag] and [XKey] read what servers write for
	// their CDNs; a function of your own may go by the URL of the response's Request, too. A response with more than 128 tags, or one of more than 1024 bytes,
	// is not stored, for a removal by one of the others would not reach it. Tags must neither change the response nor read its body.
	// It is called from many goroutines. Nil means that responses have no tags.
	Tags func(*http.Response) []string

	// TargetedFields are response fields that are obeyed before Cache-Control, first one first: "CDN-Cache-Control" for example (RFC 9213). Nil means none.
	TargetedFields []string

	// RefuseSetCookie keeps a shared cache from storing any response that sets a cookie. Zero means that such a response is stored
	// if the server gave it a lifetime and the request had no credentials. A private cache stores it in any case.
	RefuseSetCookie bool

	// ReplayCookies stores the cookies that a response sets, and sets them again with each answer from the store. Zero means that a hit sets none:
	// they would undo what the origin has set since then, a login for example. What comes from the origin sets its cookies in any case.
	ReplayCookies bool

	// EventStreams says whether event streams (text/event-stream) are stored, for as long as any other response of the same freshness, and how a stored one is replayed.
	// Zero means that none is stored: each passes through as it arrives. Name a mode for streams that have an end and are worth repeating, such as the answers of a language model;
	// those to POST need [Options.Methods] and a Key with [keying.Body], and mostly an Expiry of your own. Keep feeds without an end away by Filter or [WithMode]:
	// each would be copied until it is larger than MaxEntryBytes.
	//
	// The first caller, and those who share its fetch, get the stream as it arrives. It is stored once it has ended in order, with the end of an event:
	// not if it broke off, was closed before its end, has an event of the type "error" or none at all, a content coding, or a status other than 200.
	// That a stream lacks its last events though it ended in order, only FilterBody can see.
	//
	// A request with Last-Event-ID bypasses the cache, for what is stored begins before that event.
	EventStreams EventStreamMode

	// MaxEntryBytes bounds the body of a stored response. A larger one streams to the caller and is not stored. Zero means 8 MiB.
	MaxEntryBytes int64

	// MaxInFlightBytes bounds what the copies of bodies on their way from the origin to the store take together. A body whose copy does not fit
	// streams to its callers and is not stored. Zero means 64 MiB.
	MaxInFlightBytes int64

	// NoCollapse sends each request that the store cannot answer to the origin by itself. Zero means that requests for one answer at the same time
	// share one exchange with the origin. See also [WithoutCollapsing].
	NoCollapse bool

	// Lease lets one process per key ask the origin, among those that share a Store: it leaves a record in the store, and the others wait
	// until the answer is there with its whole body. They wait as long as Lease at most, also for a process that has died: give a little more than what an answer takes.
	// If the store fails they do not wait. It needs a Store that processes can share, so no [Memory]. Zero means that each process asks by itself.
	Lease time.Duration

	// StaleWhileRevalidate is for how long a stale response may be served while it is refreshed in the background,
	// for responses that do not say so themselves (RFC 5861 §3). Zero means not at all.
	StaleWhileRevalidate time.Duration

	// StaleIfError is for how long a stale response may be served in place of an error,
	// for responses that do not say so themselves (RFC 5861 §4). Zero means not at all.
	StaleIfError time.Duration

	// MaxStaleDisconnected is for how long a stale response may be served when the origin cannot be reached at all (RFC 9111 §4.2.4). Zero means not at all.
	MaxStaleDisconnected time.Duration

	// RefreshTimeout bounds a refresh in the background. Zero means one minute.
	RefreshTimeout time.Duration

	// RefreshBudget pays for each refresh of a response that is still fresh; see [expiry.Ahead]. It is asked with the host of the URL, port included, before the origin is;
	// if ok is false, the response stays as it is, and another hit tries again later. refund, which may be nil, is called at most once,
	// if the refresh was not sent after all. [FromBudget] makes one of what layers such as retry pay from. It is called from many goroutines.
	// Nil means that all are paid for: 64 refreshes at a time, one of each key, are the bound.
	RefreshBudget func(host string) (refund func(), ok bool)

	// StoreTimeout bounds how long a request waits for one call of a Store that is not a [Memory], and for all calls of its lookup together.
	// A call that takes longer counts as failed. Give it five times the round trip to the store. Zero means 100 milliseconds.
	// What no request waits for may take longer: an invalidation that the store did not take in time has ten times as long when it is tried again.
	StoreTimeout time.Duration

	// RetainStale is for how long a Store that is not a [Memory] keeps a response beyond the last moment that it may be used without asking the origin,
	// in case the origin can confirm it then. Zero means seven days; a negative duration means not at all.
	RetainStale time.Duration

	// L1TTL is for how long a copy in L1 is served without a look at the shared store; see [Tiered]. With a [store.Notifier] it is at least 30 seconds.
	// Zero means one second.
	L1TTL time.Duration

	// VaryHashKey is the key of the hashes of credentials that a response varies on (Vary: Cookie): at least 16 secret random bytes, the same in all processes
	// that share a Store. Set it where those who can read the store must not be able to try credentials out.
	// Nil means a random one, which a Store that is not a [Memory] keeps.
	VaryHashKey []byte

	// Trace has functions that are called when something happens. Nil means none. See also [WithTrace].
	Trace *Trace
}

// knownMethods are methods that are not meant to be written in another case.
var knownMethods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true, http.MethodPatch: true,
	http.MethodDelete: true, http.MethodOptions: true, "QUERY": true,
}

func (o *Options) checkDurations() error {
	for _, d := range [...]struct {
		name string
		time.Duration
	}{
		{"StaleWhileRevalidate", o.StaleWhileRevalidate},
		{"StaleIfError", o.StaleIfError},
		{"MaxStaleDisconnected", o.MaxStaleDisconnected},
		{"RefreshTimeout", o.RefreshTimeout},
		{"StoreTimeout", o.StoreTimeout},
		{"L1TTL", o.L1TTL},
		{"Lease", o.Lease},
	} {
		if d.Duration < 0 {
			return optionError(d.name, fmt.Sprintf("is negative (%v): give a positive duration, or zero for the default", d.Duration))
		}
	}
	return nil
}

// OptionError reports a field of [Options] that cannot be carried out. Its Package is "cache".
// The type is that of ply.OptionError, too:
//
//	type OptionError struct {
//		Package string // "cache"
//		Option  string // the name of the field
//		Reason  string // what is wrong with it and what to give instead
//		Err     error  // the cause, or nil; Unwrap returns it
//	}
type OptionError = optionerror.Error

func optionError(option, reason string) *OptionError {
	return &OptionError{Package: "cache", Option: option, Reason: reason}
}

// check refuses options that cannot be carried out.
func (o *Options) check() error {
	if o.MaxEntryBytes < 0 {
		return optionError("MaxEntryBytes", "is negative: give a size in bytes, or zero for the default")
	}
	if o.MaxInFlightBytes < 0 {
		return optionError("MaxInFlightBytes", "is negative: give a size in bytes, or zero for the default")
	}
	if err := o.checkDurations(); err != nil {
		return err
	}
	if err := o.checkLease(); err != nil {
		return err
	}
	if t, ok := o.Store.(*tiered); ok {
		if err := t.check(); err != nil {
			return err
		}
	}
	if o.EventStreams > EventStreamsPaced {
		return optionError("EventStreams", fmt.Sprintf("%d is no mode: give EventStreamsNotStored, EventStreamsAtOnce or EventStreamsPaced", o.EventStreams))
	}
	if !o.Mode.valid() {
		return optionError("Mode", fmt.Sprintf("%d is no mode: give ModeDefault, ModeOnlyIfCached, ModeReadOnly or another one of the package", o.Mode))
	}
	if o.VaryHashKey != nil && len(o.VaryHashKey) < 16 {
		return optionError("VaryHashKey", "has less than 16 bytes: give as many random ones, or nil")
	}
	if err := o.checkLists(); err != nil {
		return err
	}
	if m, ok := o.Store.(*Memory); ok && !m.takes(o.Shared) {
		return optionError("Store", "is a Memory that keeps the responses of a private cache, or of a shared one, for caches of the other kind: give each kind a Memory of its own")
	}
	return nil
}

// checkLists refuses elements of Methods, Statuses and TargetedFields.
func (o *Options) checkLists() error {
	for _, method := range o.Methods {
		if !field.IsToken(method) {
			return optionError("Methods", fmt.Sprintf("%q is no request method: give tokens such as GET", method))
		}
		if upper := strings.ToUpper(method); upper != method && knownMethods[upper] {
			return optionError("Methods", fmt.Sprintf("%q is not %s: methods are case-sensitive (RFC 9110 §9.1), so give %q", method, upper, upper))
		}
	}
	for _, status := range o.Statuses {
		if status < 200 || status > 599 {
			return optionError("Statuses", fmt.Sprintf("%d is no final status: give numbers from 200 to 599", status))
		}
	}
	for _, name := range o.TargetedFields {
		if !field.IsToken(name) {
			return optionError("TargetedFields", fmt.Sprintf("%q is no field name: give tokens such as CDN-Cache-Control", name))
		}
	}
	return nil
}

// checkLease refuses leases that no process could hold.
func (o *Options) checkLease() error {
	_, memory := o.Store.(*Memory)
	switch {
	case o.Lease == 0:
		return nil
	case o.Lease < time.Millisecond:
		return optionError("Lease", "is shorter than a millisecond: give what an answer takes, or zero for none")
	case o.Store == nil || memory:
		return optionError("Lease", "needs a Store that other processes share, and a Memory is none: drop Lease, or give such a Store")
	case o.NoCollapse:
		return optionError("Lease", "contradicts NoCollapse: drop one of them")
	}
	return nil
}
