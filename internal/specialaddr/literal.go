package specialaddr

import (
	"net/netip"
	"strconv"
	"strings"
)

// Literal returns the address that a host of a URL spells, in any spelling that a resolver may take for one: 127.0.0.1, [::1] without its brackets,
// and the forms of inet_aton(3), which are 127.1, 0x7f.1, 0177.0.0.1 and 2130706433. It is not ok for a name.
func Literal(host string) (_ netip.Addr, ok bool) {
	host = strings.TrimSuffix(host, ".")
	if a, err := netip.ParseAddr(host); err == nil {
		return a, true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var sum uint64
	for i, part := range parts {
		n, ok := number(part)
		last := i == len(parts)-1
		switch {
		case !ok, !last && n > 255, last && n >= 1<<(8*(5-len(parts))):
			return netip.Addr{}, false
		case last:
			sum += n
		default:
			sum += n << (8 * (3 - i))
		}
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}), true
}

// EndsInNumber reports whether the last label of a host is a number, so that the host can be no name of the DNS:
// where it spells no address either, programs disagree about what it is.
func EndsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last != "" && strings.Trim(last, "0123456789") == "" {
		return true
	}
	_, ok := number(last)
	return ok
}

// number reads a part of an address as C does: 0x begins hexadecimal digits, and 0 octal ones.
func number(s string) (uint64, bool) {
	base := 10
	switch {
	case len(s) > 1 && (strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X")):
		s, base = s[2:], 16
		if s == "" {
			return 0, true
		}
	case len(s) > 1 && s[0] == '0':
		base = 8
	}
	if strings.ContainsAny(s, "+-_") {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 32)
	return n, err == nil
}

// NameRefusal returns why a host name cannot be one of the public DNS, or "" if it can. Each resolver finds something of its own by such a name.
func NameRefusal(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case last == "localhost":
		return "localhost (RFC 6761 §6.3)"
	case EndsInNumber(host), strings.Contains("."+host+".", ".."):
		return "neither a name nor an address (RFC 3696 §2)"
	case last == "local":
		return "link-local name (RFC 6762)"
	case last == "internal":
		return "private-use name (ICANN, .internal)"
	case host == "home.arpa" || strings.HasSuffix(host, ".home.arpa"):
		return "home network name (RFC 8375)"
	case last == host:
		return "name of one label"
	}
	for i := range len(host) {
		if host[i] >= 0x80 {
			return "name that is not in ASCII; write it as an A-label (RFC 5890)"
		}
	}
	return ""
}
