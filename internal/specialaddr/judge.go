package specialaddr

import (
	"net/netip"
	"slices"
)

// Rules decide which addresses are refused. The zero Rules refuse all that is not the public Internet. They must not change while they are used.
type Rules struct {
	// Deny has what is refused whatever else the rules say, and Allow what is not refused although it is not public.
	// Prefixes of IPv4-mapped addresses match nothing: see [Canonical].
	Deny, Allow []netip.Prefix

	// NAT64 has the translation prefixes of the network (RFC 6052 §2.2), beside 64:ff9b::/96.
	// The lengths that the RFC knows are 32, 40, 48, 56, 64 and 96.
	NAT64 []netip.Prefix
}

// The prefixes of IPv6 addresses that have an IPv4 address within.
var (
	wellKnown  = netip.MustParsePrefix("64:ff9b::/96")    // of the translators of every network (RFC 6052 §2.1)
	sixToFour  = netip.MustParsePrefix("2002::/16")       // RFC 3056 §2
	teredo     = netip.MustParsePrefix("2001::/32")       // RFC 4380 §4
	compatible = netip.MustParsePrefix("::/96")           // RFC 4291 §2.5.5.1
	translated = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765 §2.1
	localUse   = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215; of which length the translator's prefix is, is not known
)

// A Kind is what an address was refused for.
type Kind int8

// The kinds of a [Refusal]. None is that of an address that is not refused.
const (
	None     Kind = iota
	Denied        // Rules.Deny has it
	Metadata      // a cloud's own; Rules.Allow has to name the single address
	Special       // not the public Internet
)

// A Refusal is what the rules have against an address. The zero Refusal is none.
type Refusal struct {
	Kind   Kind
	Addr   netip.Addr // that is refused: the one that was asked about, or one that it leads to
	Reason string
}

// Judge returns what the rules have against a. Trusted says that the program trusts the name that has led to a:
// then all is allowed but what Deny names and the metadata services.
func (r *Rules) Judge(a netip.Addr, trusted bool) Refusal {
	a = a.WithZone("").Unmap()
	inner := r.embedded(a)
	for _, is := range append([]netip.Addr{a}, inner...) {
		if i := slices.IndexFunc(r.Deny, func(p netip.Prefix) bool { return p.Contains(is) }); i >= 0 {
			return refusal(Denied, a, is, "denied by "+r.Deny[i].String())
		}
		if b, ok := in(metadata, is); ok && !slices.Contains(r.Allow, b.prefix) {
			return refusal(Metadata, a, is, b.String())
		}
	}
	if trusted || contains(r.Allow, a) {
		return Refusal{}
	}
	if r.translates(a) {
		// The network sends it to the IPv4 address within.
		if contains(r.Allow, inner[0]) {
			return Refusal{}
		}
		return refusal(Special, a, inner[0], special(inner[0]))
	}
	reason := special(a)
	for _, is := range inner {
		if within := special(is); within != "" {
			reason += " for " + is.String() + ", " + within
			break
		}
	}
	return refusal(Special, a, a, reason)
}

// refusal is that of a for what holds for the address is, which may be one that a leads to. Without a reason it is none.
func refusal(kind Kind, a, is netip.Addr, reason string) Refusal {
	switch {
	case reason == "":
		return Refusal{}
	case a != is:
		reason = "leads to " + is.String() + ", " + reason
	}
	return Refusal{kind, is, reason}
}

func special(a netip.Addr) string {
	blocks := ipv6
	if a.Is4() {
		blocks = ipv4
	}
	if b, ok := in(blocks, a); ok {
		return b.String()
	}
	return ""
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// translates reports whether a translator of the network takes a for an IPv4 address.
func (r *Rules) translates(a netip.Addr) bool { return wellKnown.Contains(a) || contains(r.NAT64, a) }

// embedded returns the IPv4 addresses that packets to a may end at.
func (r *Rules) embedded(a netip.Addr) []netip.Addr {
	if !a.Is6() {
		return nil
	}
	b := a.As16()
	for _, p := range r.NAT64 {
		if p.Contains(a) {
			return []netip.Addr{fourAt(b, p.Bits())}
		}
	}
	switch {
	case wellKnown.Contains(a), translated.Contains(a), localUse.Contains(a):
		return []netip.Addr{four(b[12:])}
	case sixToFour.Contains(a):
		return []netip.Addr{four(b[2:])}
	case teredo.Contains(a): // the server, and the client with its bits inverted
		return []netip.Addr{four(b[4:]), four([]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	case compatible.Contains(a) && a != netip.IPv6Unspecified() && a != netip.IPv6Loopback():
		return []netip.Addr{four(b[12:])}
	}
	return nil
}

func four(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[:4])) }

// fourAt returns the address behind a translation prefix of the given length; the ninth byte is left out of it (RFC 6052 §2.2).
func fourAt(b [16]byte, bits int) netip.Addr {
	at := bits / 8
	var is [4]byte
	for i := range is {
		if at == 8 {
			at++
		}
		is[i] = b[at]
		at++
	}
	return netip.AddrFrom4(is)
}

// NAT64Length reports whether a translation prefix can have so many bits (RFC 6052 §2.2).
func NAT64Length(bits int) bool { return slices.Contains([]int{32, 40, 48, 56, 64, 96}, bits) }

// Canonical returns p as addresses are matched with it: masked, and as IPv4 if it has IPv4-mapped addresses only. It is not ok if p is invalid.
func Canonical(p netip.Prefix) (_ netip.Prefix, ok bool) {
	if !p.IsValid() {
		return p, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
