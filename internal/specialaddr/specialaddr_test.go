package specialaddr

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestSpecialPurposeAddressesAreRefusedWithTheirName(t *testing.T) {
	for _, tt := range []struct{ addr, reason string }{
		{"93.184.216.34", ""},
		{"8.8.8.8", ""},
		{"2606:2800:220:1:248:1893:25c8:1946", ""},
		{"2a00:1450:4001:810::200e", ""},

		{"0.0.0.0", "this network (RFC 791 §3.2)"},
		{"0.1.2.3", "this network (RFC 791 §3.2)"},
		{"9.255.255.255", ""},
		{"10.0.0.0", "private use (RFC 1918)"},
		{"10.255.255.255", "private use (RFC 1918)"},
		{"11.0.0.0", ""},
		{"100.63.255.255", ""},
		{"100.64.0.1", "shared address space (RFC 6598)"},
		{"100.127.255.255", "shared address space (RFC 6598)"},
		{"100.128.0.0", ""},
		{"127.0.0.1", "loopback (RFC 1122 §3.2.1.3)"},
		{"127.255.255.254", "loopback (RFC 1122 §3.2.1.3)"},
		{"169.254.1.1", "link local (RFC 3927)"},
		{"172.15.255.255", ""},
		{"172.16.0.1", "private use (RFC 1918)"},
		{"172.31.255.255", "private use (RFC 1918)"},
		{"172.32.0.0", ""},
		{"192.0.0.1", "IPv4 service continuity (RFC 7335)"},
		{"192.0.0.10", "TURN anycast (RFC 8155)"},
		{"192.0.0.171", "NAT64/DNS64 discovery (RFC 8880, RFC 7050 §2.2)"},
		{"192.0.0.200", "IETF protocol assignments (RFC 6890 §2.1)"},
		{"192.0.1.1", ""},
		{"192.0.2.1", "documentation (RFC 5737)"},
		{"192.88.99.1", "6to4 relay anycast (RFC 7526)"},
		{"192.168.1.1", "private use (RFC 1918)"},
		{"198.17.255.255", ""},
		{"198.18.0.1", "benchmarking (RFC 2544)"},
		{"198.20.0.0", ""},
		{"198.51.100.7", "documentation (RFC 5737)"},
		{"203.0.113.7", "documentation (RFC 5737)"},
		{"223.255.255.255", ""},
		{"224.0.0.1", "multicast (RFC 5771)"},
		{"239.255.255.250", "multicast (RFC 5771)"},
		{"240.0.0.1", "reserved (RFC 1112 §4)"},
		{"255.255.255.255", "limited broadcast (RFC 8190)"},

		{"::", "unspecified (RFC 4291 §2.5.2)"},
		{"::1", "loopback (RFC 4291 §2.5.3)"},
		{"fe80::1", "link local (RFC 4291 §2.5.6)"},
		{"fe80::1%eth0", "link local (RFC 4291 §2.5.6)"},
		{"febf::1", "link local (RFC 4291 §2.5.6)"},
		{"fec0::1", "site local (RFC 3879)"},
		{"fc00::1", "unique local (RFC 4193)"},
		{"fdff::1", "unique local (RFC 4193)"},
		{"ff02::1", "multicast (RFC 4291 §2.7)"},
		{"100::1", "discard only (RFC 6666)"},
		{"100:0:0:1::1", "dummy prefix (RFC 9780)"},
		{"2001:1::3", "DNS-SD registration anycast (RFC 9665)"},
		{"2001:1ff::1", "IETF protocol assignments (RFC 2928)"},
		{"2001:200::1", ""},
		{"2001:db8::1", "documentation (RFC 3849)"},
		{"3fff:fff::1", "documentation (RFC 9637)"},
		{"3fff:1000::1", ""},
		{"5f00::1", "segment routing identifiers (RFC 9602)"},
		{"4000::1", "not global unicast (RFC 4291 §2.4)"},
		{"::2:0:0", "not global unicast (RFC 4291 §2.4)"},
		{"64:ff9b:1::808:808", "local-use IPv4/IPv6 translation (RFC 8215)"},
		{"64:ff9b:1::a00:1", "local-use IPv4/IPv6 translation (RFC 8215) for 10.0.0.1, private use (RFC 1918)"},
		{"::ffff:0:808:808", "not global unicast (RFC 4291 §2.4)"},
		{"::ffff:0:a00:1", "not global unicast (RFC 4291 §2.4) for 10.0.0.1, private use (RFC 1918)"},

		{"169.254.169.254", "cloud metadata service (AWS, Azure, Google Cloud and others)"},
		{"100.100.100.200", "cloud metadata service (Alibaba Cloud)"},
		{"168.63.129.16", "cloud platform service (Azure)"},
		{"168.63.129.17", ""},
		{"fd00:ec2::254", "cloud metadata service (AWS)"},
		{"fd20:ce::254", "cloud metadata service (Google Cloud)"},
		{"fe80::a9fe:a9fe%2", "cloud metadata service (OpenStack)"},

		// Other spellings of IPv4 addresses.
		{"::ffff:10.0.0.1", "private use (RFC 1918)"},
		{"::ffff:8.8.8.8", ""},
		{"::ffff:a9fe:a9fe", "cloud metadata service (AWS, Azure, Google Cloud and others)"},
		{"::127.0.0.1", "IPv4-compatible (RFC 4291 §2.5.5.1) for 127.0.0.1, loopback (RFC 1122 §3.2.1.3)"},
		{"::8.8.8.8", "IPv4-compatible (RFC 4291 §2.5.5.1)"},
		{"64:ff9b::8.8.8.8", ""},
		{"64:ff9b::10.0.0.1", "leads to 10.0.0.1, private use (RFC 1918)"},
		{"64:ff9b::169.254.169.254", "leads to 169.254.169.254, cloud metadata service (AWS, Azure, Google Cloud and others)"},
		{"2002:a00:1::", "6to4 (RFC 3056) for 10.0.0.1, private use (RFC 1918)"},
		{"2002:808:808::1", "6to4 (RFC 3056)"},
		{"2001:0:a00:1::", "Teredo (RFC 4380) for 10.0.0.1, private use (RFC 1918)"},
		{"2001:0:808:808::f5ff:fffe", "Teredo (RFC 4380) for 10.0.0.1, private use (RFC 1918)"},
	} {
		var r Rules
		if diff := cmp.Diff(tt.reason, r.Judge(netip.MustParseAddr(tt.addr), false).Reason); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.addr, diff)
		}
	}
}

// A row that an earlier row contains would never be found.
func TestEachRangeIsFoundByItsName(t *testing.T) {
	for _, table := range [][]block{ipv4, ipv6, metadata} {
		for i, b := range table {
			if b.prefix != b.prefix.Masked() {
				t.Errorf("%s has bits beyond its length", b.prefix)
			}
			for _, earlier := range table[:i] {
				if earlier.prefix.Bits() <= b.prefix.Bits() && earlier.prefix.Overlaps(b.prefix) {
					t.Errorf("%s (%s) is hidden by %s (%s)", b.prefix, b.name, earlier.prefix, earlier.name)
				}
			}
			if b.name == "" {
				continue
			}
			var r Rules
			if got := r.Judge(b.prefix.Addr(), false); got.Reason == "" {
				t.Errorf("%s is not refused", b.prefix)
			}
		}
	}
}

func TestListsAllowAndDeny(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules Rules
		trust bool
		addr  string
		want  string
	}{
		{"allowed", Rules{Allow: prefixes("10.1.0.0/16")}, false, "10.1.2.3", ""},
		{"beside what is allowed", Rules{Allow: prefixes("10.1.0.0/16")}, false, "10.2.2.3", "private use (RFC 1918)"},
		{"allowed, IPv4-mapped", Rules{Allow: prefixes("10.1.0.0/16")}, false, "::ffff:10.1.2.3", ""},
		{"allowed, with a zone", Rules{Allow: prefixes("fe80::/10")}, false, "fe80::1%eth0", ""},
		{"denied", Rules{Deny: prefixes("8.8.0.0/16")}, false, "8.8.8.8", "denied by 8.8.0.0/16"},
		{"denied although allowed", Rules{Deny: prefixes("10.1.2.3/32"), Allow: prefixes("10.0.0.0/8")}, true, "10.1.2.3", "denied by 10.1.2.3/32"},
		{"denied behind a translator", Rules{Deny: prefixes("8.8.8.8/32")}, false, "64:ff9b::8.8.8.8", "leads to 8.8.8.8, denied by 8.8.8.8/32"},
		{"denied by 6to4", Rules{Deny: prefixes("8.8.8.8/32"), Allow: prefixes("2002::/16")}, false, "2002:808:808::", "leads to 8.8.8.8, denied by 8.8.8.8/32"},
		{"trusted", Rules{}, true, "10.1.2.3", ""},
		{"metadata, trusted", Rules{}, true, "169.254.169.254", "cloud metadata service (AWS, Azure, Google Cloud and others)"},
		{"metadata within an allowed range", Rules{Allow: prefixes("169.254.0.0/16")}, false, "169.254.169.254", "cloud metadata service (AWS, Azure, Google Cloud and others)"},
		{"metadata within an allowed range of IPv6", Rules{Allow: prefixes("fd00::/8")}, false, "fd00:ec2::254", "cloud metadata service (AWS)"},
		{"metadata by 6to4 that is allowed", Rules{Allow: prefixes("2002::/16")}, false, "2002:a9fe:a9fe::", "leads to 169.254.169.254, cloud metadata service (AWS, Azure, Google Cloud and others)"},
		{"metadata behind a translator that is allowed", Rules{Allow: prefixes("64:ff9b:1::/48")}, false, "64:ff9b:1::169.254.169.254", "leads to 169.254.169.254, cloud metadata service (AWS, Azure, Google Cloud and others)"},
		{"metadata behind a stateless translator, trusted", Rules{}, true, "::ffff:0:169.254.169.254", "leads to 169.254.169.254, cloud metadata service (AWS, Azure, Google Cloud and others)"},
		{"metadata, named", Rules{Allow: prefixes("169.254.169.254/32")}, false, "169.254.169.254", ""},
		{"allowed behind a translator", Rules{Allow: prefixes("10.0.0.0/8")}, false, "64:ff9b::10.0.0.1", ""},
		{"public behind the network's translator", Rules{NAT64: prefixes("64:ff9b:1::/96")}, false, "64:ff9b:1::8.8.8.8", ""},
		{"private behind the network's translator", Rules{NAT64: prefixes("64:ff9b:1::/96")}, false, "64:ff9b:1::10.0.0.1", "leads to 10.0.0.1, private use (RFC 1918)"},
		{"a public translator", Rules{NAT64: prefixes("2a00:1234::/32")}, false, "2a00:1234:a00:1::", "leads to 10.0.0.1, private use (RFC 1918)"},
	} {
		if diff := cmp.Diff(tt.want, tt.rules.Judge(netip.MustParseAddr(tt.addr), tt.trust).Reason); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// The examples of RFC 6052 §2.4, with an address that is not public in the place of 192.0.2.33.
func TestTranslationPrefixesOfEachLength(t *testing.T) {
	for prefix, addr := range map[string]string{
		"2600:db8::/32":             "2600:db8:c000:221::",
		"2600:db8:100::/40":         "2600:db8:1c0:2:21::",
		"2600:db8:122::/48":         "2600:db8:122:c000:2:2100::",
		"2600:db8:122:300::/56":     "2600:db8:122:3c0:0:221::",
		"2600:db8:122:344::/64":     "2600:db8:122:344:c0:2:2100::",
		"2600:db8:122:344::/96":     "2600:db8:122:344::192.0.2.33",
		"64:ff9b:1:aaaa::/64":       "64:ff9b:1:aaaa:c0:2:2100::",
		"64:ff9b:1:aaaa:0:1::/96":   "64:ff9b:1:aaaa:0:1:c000:221",
		"2600:db8:122:344:0:5::/96": "2600:db8:122:344:0:5:c000:221",
	} {
		r := Rules{NAT64: prefixes(prefix)}
		got := r.Judge(netip.MustParseAddr(addr), false).Reason
		if want := "leads to 192.0.2.33, documentation (RFC 5737)"; got != want {
			t.Errorf("%s with %s: %q", addr, prefix, got)
		}
	}
	for bits := range 129 {
		want := strings.Contains(" 32 40 48 56 64 96 ", " "+netip.PrefixFrom(netip.IPv6Unspecified(), bits).String()[3:]+" ")
		if NAT64Length(bits) != want {
			t.Errorf("a prefix of %d bits", bits)
		}
	}
}

func TestHostsThatSpellAnAddress(t *testing.T) {
	for _, tt := range []struct{ host, want string }{
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.1.", "127.0.0.1"},
		{"127.1", "127.0.0.1"},
		{"127.0.1", "127.0.0.1"},
		{"127.513", "127.0.2.1"},
		{"2130706433", "127.0.0.1"},
		{"0x7f.1", "127.0.0.1"},
		{"0X7F000001", "127.0.0.1"},
		{"0177.0.0.1", "127.0.0.1"},
		{"017700000001", "127.0.0.1"},
		{"0", "0.0.0.0"},
		{"0x", "0.0.0.0"},
		{"0xa9fea9fe", "169.254.169.254"},
		{"::1", "::1"},
		{"::ffff:7f00:1", "::ffff:127.0.0.1"},
		{"fe80::1%eth0", "fe80::1%eth0"},
		{"4294967296", ""},
		{"256.1", ""},
		{"1.2.3.256", ""},
		{"1.2.65536", ""},
		{"1.2.3.4.5", ""},
		{"127.0.0.08", ""},
		{"127..1", ""},
		{"+1", ""},
		{"1_0", ""},
		{"", ""},
		{"example.com", ""},
		{"localhost", ""},
	} {
		got := ""
		if a, ok := Literal(tt.host); ok {
			got = a.String()
		}
		if got != tt.want {
			t.Errorf("%q is %q, want %q", tt.host, got, tt.want)
		}
	}
	for host, want := range map[string]bool{
		"127.0.0.08": true, "1.2.3.4.5": true, "256.1.": true, "a.0x7f": true, "a.0x": true, "example.com": false, "": false, "1.example": false, "x": false,
	} {
		if EndsInNumber(host) != want {
			t.Errorf("%q ends in a number: %v", host, !want)
		}
	}
}

func TestNamesThatAreNoneOfThePublicDNS(t *testing.T) {
	for host, want := range map[string]string{
		"localhost":                "localhost (RFC 6761 §6.3)",
		"LOCALHOST.":               "localhost (RFC 6761 §6.3)",
		"a.localhost":              "localhost (RFC 6761 §6.3)",
		"printer.local":            "link-local name (RFC 6762)",
		"metadata.google.internal": "private-use name (ICANN, .internal)",
		"router.home.arpa":         "home network name (RFC 8375)",
		"metadata":                 "name of one label",
		"127.0.0.08":               "neither a name nor an address (RFC 3696 §2)",
		"１２７.０.０.１":                "name that is not in ASCII; write it as an A-label (RFC 5890)",
		"bücher.example":           "name that is not in ASCII; write it as an A-label (RFC 5890)",
		"xn--bcher-kva.example":    "",
		"example.com.":             "",
		"localhost.example":        "",
		"foo.localhost..":          "neither a name nor an address (RFC 3696 §2)",
		"a..example":               "neither a name nor an address (RFC 3696 §2)",
		".example.com":             "neither a name nor an address (RFC 3696 §2)",
		"":                         "neither a name nor an address (RFC 3696 §2)",
	} {
		if got := NameRefusal(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

func TestCanonicalPrefixes(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"10.1.2.3/8", "10.0.0.0/8"},
		{"::ffff:10.1.2.3/104", "10.0.0.0/8"},
		{"::ffff:0:0/96", "0.0.0.0/0"},
		{"::/0", "::/0"},
		{"fd00::1/8", "fd00::/8"},
	} {
		got, ok := Canonical(netip.MustParsePrefix(tt.in))
		if !ok || got.String() != tt.want {
			t.Errorf("%s is %s, want %s", tt.in, got, tt.want)
		}
	}
	if _, ok := Canonical(netip.Prefix{}); ok {
		t.Error("the zero prefix is valid")
	}
}
