// Package specialaddr knows which IP addresses are not the public Internet, and judges addresses by that and by lists of a program's own.
// It has no effects: it resolves no name and makes no connection.
package specialaddr

import "net/netip"

// A block is a range of addresses that are set apart, with the words for it.
type block struct {
	prefix netip.Prefix

	// name is what the registry calls the range, and source the document that sets it apart.
	name, source string
}

func (b block) String() string { return b.name + " (" + b.source + ")" }

func at(prefix, name, source string) block {
	return block{netip.MustParsePrefix(prefix), name, source}
}

// metadata are the addresses at which clouds hand out credentials and configuration to all who can reach them.
// Some are within a range of the registries, and Azure's is a public address. They are few and exact, so that allowing a range allows none of them.
var metadata = []block{
	at("169.254.169.254/32", "cloud metadata service", "AWS, Azure, Google Cloud and others"),
	at("169.254.169.253/32", "cloud name server", "AWS"),
	at("169.254.169.123/32", "cloud time server", "AWS"),
	at("169.254.170.2/32", "cloud credentials of a task", "AWS ECS"),
	at("169.254.170.23/32", "cloud credentials of a pod", "AWS EKS"),
	at("169.254.0.23/32", "cloud metadata service", "Tencent Cloud"),
	at("168.63.129.16/32", "cloud platform service", "Azure"),
	at("100.100.100.200/32", "cloud metadata service", "Alibaba Cloud"),
	at("192.0.0.192/32", "cloud metadata service", "Oracle Cloud"),
	at("fd00:ec2::254/128", "cloud metadata service", "AWS"),
	at("fd00:ec2::253/128", "cloud name server", "AWS"),
	at("fd00:ec2::123/128", "cloud time server", "AWS"),
	at("fd00:ec2::23/128", "cloud credentials of a pod", "AWS EKS"),
	at("fd20:ce::254/128", "cloud metadata service", "Google Cloud"),
	at("fd00:c1::a9fe:a9fe/128", "cloud metadata service", "Oracle Cloud"),
	at("fe80::a9fe:a9fe/128", "cloud metadata service", "OpenStack"),
}

// ipv4 is the IANA IPv4 Special-Purpose Address Registry (RFC 6890), with multicast from the IPv4 address space registry.
// Ranges that the registry calls globally reachable are in it too: none has a server of HTTP for the public.
// A more specific range stands before the one that contains it.
var ipv4 = []block{
	at("0.0.0.0/8", "this network", "RFC 791 §3.2"),
	at("10.0.0.0/8", "private use", "RFC 1918"),
	at("100.64.0.0/10", "shared address space", "RFC 6598"),
	at("127.0.0.0/8", "loopback", "RFC 1122 §3.2.1.3"),
	at("169.254.0.0/16", "link local", "RFC 3927"),
	at("172.16.0.0/12", "private use", "RFC 1918"),
	at("192.0.0.0/29", "IPv4 service continuity", "RFC 7335"),
	at("192.0.0.8/32", "IPv4 dummy address", "RFC 7600"),
	at("192.0.0.9/32", "Port Control Protocol anycast", "RFC 7723"),
	at("192.0.0.10/32", "TURN anycast", "RFC 8155"),
	at("192.0.0.170/31", "NAT64/DNS64 discovery", "RFC 8880, RFC 7050 §2.2"),
	at("192.0.0.0/24", "IETF protocol assignments", "RFC 6890 §2.1"),
	at("192.0.2.0/24", "documentation", "RFC 5737"),
	at("192.31.196.0/24", "AS112", "RFC 7535"),
	at("192.52.193.0/24", "AMT", "RFC 7450"),
	at("192.88.99.2/32", "6a44 relay anycast", "RFC 6751"),
	at("192.88.99.0/24", "6to4 relay anycast", "RFC 7526"),
	at("192.168.0.0/16", "private use", "RFC 1918"),
	at("192.175.48.0/24", "direct delegation AS112", "RFC 7534"),
	at("198.18.0.0/15", "benchmarking", "RFC 2544"),
	at("198.51.100.0/24", "documentation", "RFC 5737"),
	at("203.0.113.0/24", "documentation", "RFC 5737"),
	at("224.0.0.0/4", "multicast", "RFC 5771"),
	at("255.255.255.255/32", "limited broadcast", "RFC 8190"),
	at("240.0.0.0/4", "reserved", "RFC 1112 §4"),
}

// ipv6 is the IANA IPv6 Special-Purpose Address Registry (RFC 6890), with what is set apart by the IPv6 address space registry.
// IPv4-mapped addresses are none of it: they are judged as the IPv4 addresses that they are, as are those of 64:ff9b::/96.
// A more specific range stands before the one that contains it; the last range has all that is not global unicast.
var ipv6 = []block{
	at("::1/128", "loopback", "RFC 4291 §2.5.3"),
	at("::/128", "unspecified", "RFC 4291 §2.5.2"),
	at("::/96", "IPv4-compatible", "RFC 4291 §2.5.5.1"),
	at("64:ff9b:1::/48", "local-use IPv4/IPv6 translation", "RFC 8215"),
	at("100::/64", "discard only", "RFC 6666"),
	at("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
	at("2001::/32", "Teredo", "RFC 4380"),
	at("2001:1::1/128", "Port Control Protocol anycast", "RFC 7723"),
	at("2001:1::2/128", "TURN anycast", "RFC 8155"),
	at("2001:1::3/128", "DNS-SD registration anycast", "RFC 9665"),
	at("2001:2::/48", "benchmarking", "RFC 5180"),
	at("2001:3::/32", "AMT", "RFC 7450"),
	at("2001:4:112::/48", "AS112", "RFC 7535"),
	at("2001:10::/28", "ORCHID", "RFC 4843"),
	at("2001:20::/28", "ORCHIDv2", "RFC 7343"),
	at("2001:30::/28", "drone remote identifiers", "RFC 9374"),
	at("2001::/23", "IETF protocol assignments", "RFC 2928"),
	at("2001:db8::/32", "documentation", "RFC 3849"),
	at("2002::/16", "6to4", "RFC 3056"),
	at("2620:4f:8000::/48", "direct delegation AS112", "RFC 7534"),
	at("3fff::/20", "documentation", "RFC 9637"),
	at("2000::/3", "", ""), // global unicast: what is left of it is public
	at("5f00::/16", "segment routing identifiers", "RFC 9602"),
	at("fc00::/7", "unique local", "RFC 4193"),
	at("fe80::/10", "link local", "RFC 4291 §2.5.6"),
	at("fec0::/10", "site local", "RFC 3879"),
	at("ff00::/8", "multicast", "RFC 4291 §2.7"),
	at("::/0", "not global unicast", "RFC 4291 §2.4"),
}

// in returns the first of the blocks that has a. A block without a name is public.
func in(blocks []block, a netip.Addr) (block, bool) {
	for _, b := range blocks {
		if b.prefix.Contains(a) {
			return b, b.name != ""
		}
	}
	return block{}, false
}
