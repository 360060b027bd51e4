package tape

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// credentials are the secrets of a message by where they are: the placeholders of a tape, or hashes that stay in memory. Those of which a tape does not say whose they are are none.
type credentials map[string]string

// add takes down a secret.
func (c credentials) add(name, value string) string {
	id := identity(value)
	switch {
	case id == redact.Placeholder:
		return redact.Placeholder
	case !isPlaceholder(id):
		sum := sha256.Sum256([]byte(id))
		id = string(sum[:])
	}
	for n := 1; ; n++ {
		place := name + " " + strconv.Itoa(n)
		if _, used := c[place]; !used {
			c[place] = id
			return redact.Placeholder
		}
	}
}

// places returns where the secrets are, in their order.
func (c credentials) places() []string { return slices.Sorted(maps.Keys(c)) }

// without returns a request without its secrets, and these.
func (d redaction) without(r Request) (Request, credentials) {
	c := credentials{}
	d.pseudonym = c.add
	return d.exchange(&Exchange{Request: r}).Request.withBoundary("boundary"), c
}

// issued returns the secrets of a response that requests of the tape have.
func (d redaction) issued(r *Response) credentials {
	c := credentials{}
	if !r.hasNumbers() {
		return c
	}
	d.pseudonym = c.add
	d.response(r)
	maps.DeleteFunc(c, func(_, id string) bool { return !isPlaceholder(id) })
	return c
}

// A caller is what says who sends a request: its secrets, and the host that has them.
type caller struct {
	host    string
	secrets credentials
}

func callerOf(r Request, secrets credentials) caller {
	c := caller{r.Host, secrets}
	if u, err := url.Parse(r.URL); err == nil && c.host == "" {
		c.host = u.Host
	}
	return c
}

// A spot is where a secret is sent.
type spot struct{ host, place, secret string }

// An assignment says which secrets of a replay are which of the tape. Those of a replay may be others than those of the recording: each becomes the one that it gets an answer of first,
// which no other secret becomes. Secrets that follow one another, such as the cookies of a session that the server renews, are one line, and count as one. It is not safe for concurrent use.
type assignment struct {
	// What the tape says. It does not change after learned.
	onTape  map[string]bool   // its secrets
	renewed map[string]string // what a secret has followed
	sent    map[spot]bool     // where those of a line are sent, by its first
	issued  map[string]bool   // what an answer has, so that a replay has it from there
	beside  map[company][]string
	shared  map[string]bool // what several callers have, such as the key of an application: it says of none who it is

	// What the replay has shown.
	is    map[spot]string     // the secret of the tape that one of the replay is, where it is sent
	lines map[string][]string // the lines that a secret of the replay has become
	owner map[string]string   // the secret of the replay that has become a line
}

// A company is a secret, and a place where requests with it have another one.
type company struct{ secret, place string }

func newAssignment() *assignment {
	return &assignment{
		onTape: map[string]bool{}, renewed: map[string]string{}, sent: map[spot]bool{}, issued: map[string]bool{}, beside: map[company][]string{}, shared: map[string]bool{},
		is: map[spot]string{}, lines: map[string][]string{}, owner: map[string]string{},
	}
}

// line returns the first secret of the line that one of the tape is in.
func (a *assignment) line(secret string) string {
	for a.renewed[secret] != "" {
		secret = a.renewed[secret]
	}
	return secret
}

func (a *assignment) follows(secret, before string) {
	if secret, before = a.line(secret), a.line(before); secret != before {
		a.renewed[secret] = before
	}
}

// learn takes down what an exchange of the tape says of secrets. An answer renews the cookies of its request, and secrets of the same name that an answer has issued.
// A refresh token renews what comes for it (RFC 6749 §6). Of the secrets of an answer, it returns those that no request had before.
func (a *assignment) learn(c caller, issued credentials) credentials {
	for place, secret := range c.secrets {
		a.onTape[secret], a.sent[spot{c.host, place, secret}] = true, true
		for other, beside := range c.secrets {
			if with := (company{secret, other}); other != place && !slices.Contains(a.beside[with], beside) {
				a.beside[with] = append(a.beside[with], beside)
			}
		}
	}
	maps.DeleteFunc(issued, func(_, secret string) bool { return a.onTape[secret] })
	for _, place := range issued.places() {
		for _, from := range c.secrets.places() {
			before := c.secrets[from]
			if from == place && strings.HasPrefix(place, "Cookie ") || a.issued[before] && (from == place || refreshes(from)) {
				a.follows(issued[place], before)
			}
		}
	}
	a.together(issued)
	for _, secret := range issued {
		a.issued[secret] = true
	}
	return issued
}

// together makes one line of what comes with a refresh token: an access token and those like it. Where there are several of one name, they are of several callers.
func (a *assignment) together(issued credentials) {
	places := issued.places()
	if !slices.ContainsFunc(places, refreshes) || slices.ContainsFunc(places, func(place string) bool { return !strings.HasSuffix(place, " 1") }) {
		return
	}
	for _, place := range places[1:] {
		a.follows(issued[place], issued[places[0]])
	}
}

// refreshes reports whether a secret is a refresh token by where it is.
func refreshes(place string) bool { return strings.Contains(strings.ToLower(place), "refresh") }

// learned ends what the tape says.
func (a *assignment) learned() {
	for at := range maps.Clone(a.sent) {
		a.sent[spot{at.host, at.place, a.line(at.secret)}] = true
	}
	for with, others := range a.beside {
		if slices.ContainsFunc(others, func(other string) bool { return a.line(other) != a.line(others[0]) }) {
			a.shared[with.secret] = true
		}
	}
}

// see takes down the secrets that a replay has from the tape itself: those of a request, or of an answer that is given.
// A secret of the replay that has become one of these by the order of the requests is another's, after all.
func (a *assignment) see(secrets credentials) {
	for _, secret := range secrets {
		if !a.onTape[secret] {
			continue
		}
		line := a.line(secret)
		owner, taken := a.owner[line]
		if taken && !a.onTape[owner] {
			mistaken := false
			for at, is := range a.is {
				if at.secret == owner && is == secret {
					mistaken = true
					delete(a.is, at)
				}
			}
			if !mistaken { // it is renewed
				continue
			}
			a.lines[owner] = slices.DeleteFunc(a.lines[owner], func(l string) bool { return l == line })
		}
		a.owner[line] = secret
	}
}

// How well a secret of a replay suits one of the tape.
const (
	same     = 4  // it is this one
	renewed  = 3  // it is of the same line
	possible = 0  // neither is known
	elsewise = -2 // it is another one elsewhere
	awaited  = -3 // it is none that an answer has issued, and the other one is
	lacking  = -4 // one of them is not there
)

// suits says how well a secret of a replay suits one of the tape. It reports false if it is another's for certain.
func (a *assignment) suits(at spot, want string) (rank int, ok bool) {
	line, is := a.line(want), a.is[at]
	if a.onTape[at.secret] {
		is = at.secret
	} else if owner, taken := a.owner[line]; taken && owner != at.secret {
		return 0, false
	}
	switch {
	case is == want:
		return same, true
	case is != "":
		return renewed, a.line(is) == line
	case slices.Contains(a.lines[at.secret], line):
		return renewed, true
	case slices.ContainsFunc(a.lines[at.secret], func(line string) bool { return a.sent[spot{at.host, at.place, line}] }):
		return 0, false // it is another one here
	case len(a.lines[at.secret]) > 0:
		return elsewise, true
	case a.issued[want]:
		return awaited, true
	}
	return possible, true
}

// A fit says how well an exchange that was recorded with some secrets suits a caller.
type fit struct {
	exact bool // it was recorded with the same secrets, no more and no fewer
	own   bool // it is the caller's own, as far as that is known
	rank  int  // the more, the better
}

// before reports whether a fit is better.
func (f fit) before(other fit) bool {
	switch {
	case f.exact != other.exact:
		return f.exact
	case f.own != other.own:
		return f.own
	}
	return f.rank > other.rank
}

// fits says how well an exchange that was recorded with some secrets suits a caller. It reports false if it is another's for certain.
func (a *assignment) fits(c caller, recorded credentials) (f fit, ok bool) {
	f.exact = len(c.secrets) == len(recorded)
	for place, secret := range c.secrets {
		want, both := recorded[place]
		if !both {
			f.rank, f.exact = f.rank+lacking, false
			continue
		}
		n, ok := a.suits(spot{c.host, place, secret}, want)
		if !ok {
			return fit{}, false
		}
		f.rank += n
		f.exact = f.exact && n >= renewed
		f.own = f.own || n >= renewed && !a.shared[want]
	}
	f.own = f.own || f.exact
	for place, want := range recorded {
		if _, both := c.secrets[place]; both {
			continue
		}
		// A user may lack what an answer has issued, for requests overlap otherwise than they did. What no answer has issued is there from the beginning.
		if _, taken := a.owner[a.line(want)]; taken && !(f.own && a.issued[want]) {
			return fit{}, false
		}
		f.rank += lacking
	}
	return f, true
}

// assign has the secrets of a caller be those of an exchange that it got.
func (a *assignment) assign(c caller, recorded credentials) {
	for place, secret := range c.secrets {
		want, both := recorded[place]
		at := spot{c.host, place, secret}
		if !both || a.onTape[secret] || a.is[at] != "" {
			continue
		}
		line := a.line(want)
		owner, taken := a.owner[line]
		if taken && owner != secret {
			continue
		}
		a.is[at], a.owner[line] = want, secret
		if !slices.Contains(a.lines[secret], line) {
			a.lines[secret] = append(a.lines[secret], line)
		}
	}
}

// whose shows how the secrets of an exchange (-) differ from those of a caller (+), as far as the tape says whose they are.
func (a *assignment) whose(c caller, recorded credentials) string {
	all := maps.Clone(recorded)
	maps.Copy(all, c.secrets)
	var b strings.Builder
	for _, place := range all.places() {
		secret, sent := c.secrets[place]
		is := cmp.Or(a.is[spot{c.host, place, secret}], secret)
		if want, both := recorded[place]; !both || !sent || is != want {
			name := strings.TrimPrefix(strings.TrimSuffix(place, " 1"), "content ")
			fmt.Fprintf(&b, "- %s: %s\n+ %s: %s\n", name, shownAs(want, both), name, shownAs(is, sent))
		}
	}
	return b.String()
}

func shownAs(secret string, there bool) string {
	switch {
	case !there:
		return "(none)"
	case isPlaceholder(secret):
		return secret
	}
	return "(a secret that is not on the tape)"
}
