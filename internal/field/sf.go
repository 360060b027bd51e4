package field

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Token is a structured-field token (RFC 9651 §3.3.4), as opposed to a string.
type Token string

// Item is a structured-field item or inner list (RFC 9651 §3.1.1, §3.3).
type Item struct {
	Key    string // in a dictionary
	Value  any    // int64, float64, string, Token, []byte, bool, or []Item for an inner list
	Params []Item
}

// ParseList reads a structured-field list, all lines together (RFC 9651 §4.2.1). It reports false if any part of it is malformed.
func ParseList(lines []string) ([]Item, bool) {
	p := &sfParser{rest: strings.Join(lines, ",")}
	var list []Item
	ok := p.members(func() bool {
		item, ok := p.itemOrInnerList()
		list = append(list, item)
		return ok
	})
	return list, ok
}

// ParseDictionary reads a structured-field dictionary, all lines together (RFC 9651 §4.2.2).
// Of several members with one key the last counts. It reports false if any part of it is malformed.
func ParseDictionary(lines []string) ([]Item, bool) {
	p := &sfParser{rest: strings.Join(lines, ",")}
	var dictionary members
	ok := p.members(func() bool {
		key, ok := p.key()
		if !ok {
			return false
		}
		member := Item{Value: true}
		if p.eat('=') {
			member, ok = p.itemOrInnerList()
		} else {
			member.Params, ok = p.params()
		}
		member.Key = key
		dictionary.put(member)
		return ok
	})
	return dictionary.list, ok
}

// Member returns the member of a dictionary, or of parameters, with this key.
func Member(dictionary []Item, key string) (Item, bool) {
	for _, item := range dictionary {
		if item.Key == key {
			return item, true
		}
	}
	return Item{}, false
}

// members are the members of a dictionary, or parameters, in the order of the first occurrence of their keys.
type members struct {
	list []Item
	at   map[string]int // the index of each key in a list that is too long to search, which would take quadratic time
}

// searched is the length up to which a list is searched.
const searched = 16

// put sets the member with item's key.
func (m *members) put(item Item) {
	if i := m.find(item.Key); i >= 0 {
		m.list[i] = item
		return
	}
	m.list = append(m.list, item)
	switch {
	case m.at != nil:
		m.at[item.Key] = len(m.list) - 1
	case len(m.list) > searched:
		m.at = make(map[string]int, 4*searched)
		for i := range m.list {
			m.at[m.list[i].Key] = i
		}
	}
}

func (m *members) find(key string) int {
	if m.at != nil {
		if i, ok := m.at[key]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(m.list, func(item Item) bool { return item.Key == key })
}

type sfParser struct {
	rest string
}

// members reads comma-separated members until the end. A comma at the end is malformed.
func (p *sfParser) members(member func() bool) bool {
	p.rest = strings.Trim(p.rest, " ")
	for p.rest != "" {
		if !member() {
			return false
		}
		p.skip(" \t")
		if p.rest == "" {
			return true
		}
		if !p.eat(',') {
			return false
		}
		if p.skip(" \t"); p.rest == "" {
			return false
		}
	}
	return true
}

func (p *sfParser) eat(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *sfParser) skip(cutset string) {
	p.rest = strings.TrimLeft(p.rest, cutset)
}

// passOn cuts off the longest prefix of accepted bytes.
func (p *sfParser) take(accept func(byte) bool) string {
	n := 0
	for n < len(p.rest) && accept(p.rest[n]) {
		n++
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

func (p *sfParser) itemOrInnerList() (Item, bool) {
	if !strings.HasPrefix(p.rest, "(") {
		return p.item()
	}
	p.rest = p.rest[1:]
	list := []Item{}
	for {
		p.skip(" ")
		if p.eat(')') {
			params, ok := p.params()
			return Item{Value: list, Params: params}, ok
		}
		item, ok := p.item()
		if !ok || p.rest == "" || p.rest[0] != ' ' && p.rest[0] != ')' {
			return Item{}, false
		}
		list = append(list, item)
	}
}

func (p *sfParser) item() (Item, bool) {
	value, ok := p.bare()
	if !ok {
		return Item{}, false
	}
	params, ok := p.params()
	return Item{Value: value, Params: params}, ok
}

func (p *sfParser) params() ([]Item, bool) {
	var params members
	for p.eat(';') {
		p.skip(" ")
		key, ok := p.key()
		if !ok {
			return nil, false
		}
		param := Item{Key: key, Value: true}
		if p.eat('=') {
			if param.Value, ok = p.bare(); !ok {
				return nil, false
			}
		}
		params.put(param)
	}
	return params.list, true
}

func (p *sfParser) key() (string, bool) {
	if p.rest == "" || !isLowerAlpha(p.rest[0]) && p.rest[0] != '*' {
		return "", false
	}
	return p.take(func(c byte) bool {
		return isLowerAlpha(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '*'
	}), true
}

// bare reads a bare item (RFC 9651 §4.2.3.1).
func (p *sfParser) bare() (any, bool) {
	if p.rest == "" {
		return nil, false
	}
	switch c := p.rest[0]; {
	case c == '-' || isDigit(c):
		return p.number()
	case c == '"':
		return p.text()
	case c == '*' || isLowerAlpha(lowerByte(c)):
		return Token(p.take(func(c byte) bool { return isTokenByte(c) || c == ':' || c == '/' })), true
	case c == ':':
		return p.bytes()
	case c == '?':
		return p.boolean()
	case c == '@':
		p.rest = p.rest[1:]
		date, ok := p.number()
		_, whole := date.(int64)
		return date, ok && whole
	case c == '%':
		return p.display()
	}
	return nil, false
}

func (p *sfParser) number() (any, bool) {
	sign := ""
	if p.eat('-') {
		sign = "-"
	}
	whole := p.take(isDigit)
	if whole == "" || len(whole) > 15 {
		return nil, false
	}
	if !p.eat('.') {
		n, err := strconv.ParseInt(sign+whole, 10, 64)
		return n, err == nil
	}
	fraction := p.take(isDigit)
	if fraction == "" || len(fraction) > 3 || len(whole) > 12 {
		return nil, false
	}
	f, err := strconv.ParseFloat(sign+whole+"."+fraction, 64)
	return f, err == nil
}

func (p *sfParser) text() (any, bool) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), true
		case c == '\\':
			if i++; i == len(p.rest) || p.rest[i] != '"' && p.rest[i] != '\\' {
				return nil, false
			}
			b.WriteByte(p.rest[i])
		case c < 0x20 || c > 0x7e:
			return nil, false
		default:
			b.WriteByte(c)
		}
	}
	return nil, false
}

func (p *sfParser) bytes() (any, bool) {
	encoded, rest, ok := strings.Cut(p.rest[1:], ":")
	if !ok {
		return nil, false
	}
	p.rest = rest
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	return decoded, err == nil
}

func (p *sfParser) boolean() (any, bool) {
	switch {
	case strings.HasPrefix(p.rest, "?1"):
		p.rest = p.rest[2:]
		return true, true
	case strings.HasPrefix(p.rest, "?0"):
		p.rest = p.rest[2:]
		return false, true
	}
	return nil, false
}

// display reads a display string (RFC 9651 §4.2.10).
func (p *sfParser) display() (any, bool) {
	if !strings.HasPrefix(p.rest, `%"`) {
		return nil, false
	}
	var b []byte
	for i := 2; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return string(b), utf8.Valid(b)
		case c < 0x20 || c > 0x7e:
			return nil, false
		case c == '%':
			if i+2 >= len(p.rest) || !isLowerHex(p.rest[i+1]) || !isLowerHex(p.rest[i+2]) {
				return nil, false
			}
			n, _ := strconv.ParseUint(p.rest[i+1:i+3], 16, 8)
			b = append(b, byte(n))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return nil, false
}

func isDigit(c byte) bool      { return '0' <= c && c <= '9' }
func isLowerAlpha(c byte) bool { return 'a' <= c && c <= 'z' }
func isLowerHex(c byte) bool   { return isDigit(c) || 'a' <= c && c <= 'f' }
