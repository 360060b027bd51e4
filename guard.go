package ply

import (
	"net/netip"
)

// Guard refuses connections to addresses that are not the public Internet, for programs that fetch URLs which others have written:
// webhooks, feeds, previews, imports. The zero Guard refuses what the IANA registries of special-purpose addresses list (loopback, private use,
// link local, unique local, shared, documentation …), multicast, all IPv6 that is not global unicast, and the metadata services of clouds.
// An IPv4 address is found in each form that IPv6 has for it: mapped, compatible, translated (NAT64), 6to4, Teredo.
//
// It looks at the address of each connection when that is dialed, after names have been resolved: redirects, several addresses of one name,
// and names whose address changes between two lookups (DNS rebinding) are covered. A connection that is used again was looked at when it was dialed.
// What it refuses is a [*GuardError], and nothing has been sent then.
//
// Through a proxy, Guard sees the address of the proxy, which must be allowed like any other if it is not public. The proxy resolves the names, so it has to
// guard the addresses behind them; here, each request to a proxy is refused whose host is an address that would be refused, in any spelling,
// or a name that is none of the public DNS, such as localhost or metadata.google.internal.
//
// A response from a cache has needed no connection. Answers that came over guarded connections are cached apart from all others.
// A Guard must not change once it has been given away.
type Guard struct {
	// AllowPrefixes are ranges that may be dialed although they are not public: 10.20.0.0/16. A range does not allow the metadata services within it;
	// only a prefix of such a single address, 169.254.169.254/32, does. Nil means none.
	AllowPrefixes []netip.Prefix

	// AllowHosts are names whose addresses may be dialed although they are not public, but for metadata services: "vault.corp.example",
	// and "*.svc.example" for all names below. Their DNS is trusted. A name that is not in ASCII is given as an A-label (xn--…).
	// Addresses are for AllowPrefixes. Nil means none.
	AllowHosts []string

	// DenyPrefixes are ranges that are refused, whatever the other fields allow. Nil means none.
	DenyPrefixes []netip.Prefix

	// NAT64 are the prefixes with which the network translates IPv6 into IPv4 (RFC 6052 §2.2), beside 64:ff9b::/96, of 32, 40, 48, 56, 64 or 96 bits.
	// An address with such a prefix is judged by the IPv4 address within. Nil means none.
	NAT64 []netip.Prefix
}

// GuardError says that a [Guard] has refused a connection. Nothing was sent. It is final: retry makes no further attempt, and no cache answers in its place with a stale response.
// Of a host with several addresses, all were refused: where an allowed one fails, the error is that of a connection, and retry may try again.
// Its text shows to which address a name leads, which the author of a URL may have no right to know.
type GuardError struct {
	// Host is the name or address that was to be connected to, without its port. It is that of a proxy if the request goes through one.
	Host string

	// Addr is the address that was refused. It is the zero Addr if Host was refused by its name, or if the dialer of the program did not say where it had connected to.
	Addr netip.Addr

	// Reason says what the address is, as the registries put it: "private use (RFC 1918)".
	Reason string

	advice string
}

func (e *GuardError) Error() string {
	text := "ply: Guard refuses " + e.Host
	if e.Addr.IsValid() && e.Addr.String() != e.Host {
		text += " at " + e.Addr.String()
	}
	return text + ": " + e.Reason + e.advice
}

// RetryableError is false: the next attempt would meet the same refusal.
func (e *GuardError) RetryableError() bool { return false }

// OriginUnavailable is false: a refusal is no failure of the origin that a stale response could stand in for.
func (e *GuardError) OriginUnavailable() bool { return false }
