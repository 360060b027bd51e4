package target

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// net/http sends a host that is not ASCII in two forms. It connects to the IDNA form (RFC 5891 §4.4, mapped as in UTS #46),
// and writes the Punycode of the host as given into the Host field (RFC 3492). The two differ for "BÜCHER.example", and so may the responses.
// Hosts are compared in the first form, so that form must be sent: see [OnWire].

// OnWire returns r, or a copy whose Host is the name that net/http connects to, if net/http would write another name into the Host field.
// Keys are then made of what is sent.
func OnWire(r *http.Request) *http.Request {
	named := Authority(r)
	if isASCII(named) || wireHost(named) == dialedHost(named) {
		return r
	}
	sent := *r
	sent.Host = dialedHost(named)
	return &sent
}

// wireHost returns an authority as net/http writes it into the Host field.
func wireHost(authority string) string {
	return inLabels(authority, func(label string) string { return label })
}

// dialedHost returns an authority as net/http connects to it, as far as that needs no table of characters: letters are folded to lower case one by one.
// Characters that need composition (NFC), or have no simple lower case, stay as given; the host then counts as another than its mapped form.
func dialedHost(authority string) string {
	if isASCII(authority) {
		return authority
	}
	return inLabels(fullStops.Replace(authority), func(label string) string { return strings.Map(folded, label) })
}

// fullStops lists the characters that separate labels as "." does (RFC 3490 §3.1).
var fullStops = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

// inLabels applies change to the labels that are not ASCII and writes them in their ASCII form.
func inLabels(authority string, change func(string) string) string {
	if isASCII(authority) {
		return authority
	}
	labels := strings.Split(authority, ".")
	port := ""
	if i := strings.LastIndexByte(labels[len(labels)-1], ':'); i >= 0 {
		last := labels[len(labels)-1]
		labels[len(labels)-1], port = last[:i], last[i:]
	}
	for i, label := range labels {
		if isASCII(label) {
			continue
		}
		if ascii, ok := punycode(change(label)); ok {
			labels[i] = "xn--" + ascii
		}
	}
	return strings.Join(labels, ".") + port
}

// folded returns a letter in lower case, if its two cases are a plain pair.
func folded(c rune) rune {
	if small := unicode.ToLower(c); unicode.ToUpper(small) == c {
		return small
	}
	return c
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// The parameters of Punycode (RFC 3492 §5).
const (
	punyBase, punyMin, punyMax    = 36, 1, 26
	punySkew, punyDamp            = 38, 700
	punyFirstBias, punyFirstPoint = 72, 128
	maxLabel                      = 63 // RFC 1035 §2.3.4
)

// punycode encodes one label (RFC 3492 §6.3). It fails for a label that no host name can have.
func punycode(label string) (string, bool) {
	points := []rune(label)
	if !utf8.ValidString(label) || len(points) > maxLabel {
		return "", false
	}
	var out []byte
	for _, c := range points {
		if c < punyFirstPoint {
			out = append(out, byte(c))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	next, delta, bias := rune(punyFirstPoint), 0, punyFirstBias
	for handled := basic; handled < len(points); {
		least := rune(utf8.MaxRune)
		for _, c := range points {
			if c >= next {
				least = min(least, c)
			}
		}
		delta += int(least-next) * (handled + 1)
		next = least
		for _, c := range points {
			switch {
			case c < next:
				delta++
			case c == next:
				out = appendDigits(out, delta, bias)
				bias = adapted(delta, handled+1, handled == basic)
				delta = 0
				handled++
			}
		}
		delta++
		next++
	}
	return string(out), true
}

// appendDigits writes a number of variable length (RFC 3492 §3.3).
func appendDigits(dst []byte, n, bias int) []byte {
	for k := punyBase; ; k += punyBase {
		threshold := min(max(k-bias, punyMin), punyMax)
		if n < threshold {
			return append(dst, punyDigit(n))
		}
		dst = append(dst, punyDigit(threshold+(n-threshold)%(punyBase-threshold)))
		n = (n - threshold) / (punyBase - threshold)
	}
}

func punyDigit(n int) byte {
	if n < 26 {
		return byte('a' + n)
	}
	return byte('0' + n - 26)
}

// adapted returns the bias for the next number (RFC 3492 §6.1).
func adapted(delta, points int, first bool) int {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for ; delta > (punyBase-punyMin)*punyMax/2; k += punyBase {
		delta /= punyBase - punyMin
	}
	return k + (punyBase-punyMin+1)*delta/(delta+punySkew)
}
