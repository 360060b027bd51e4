// Package digest authenticates requests with HTTP Digest (RFC 7616), on github.com/icholy/digest.
//
// [New] makes a layer that belongs below retry: each attempt has a number of its own under the server's nonce.
// The first request to an origin learns the nonce from a 401 and is sent again. All that follow are sent with credentials at once,
// until the server has had enough of the nonce and says so.
package digest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/icholy/digest"

	"github.com/plyhttp/ply/middleware/auth"
)

// Options say who authenticates where. Username, Password and Origins are needed.
type Options struct {
	Username, Password string

	// Origins are those that may get what is made of the password, such as "https://device.example": see auth.Options.Origins. A server that gets it can try passwords out.
	Origins []string

	// Principal names for whom the answers are, for a cache above. Zero means Username.
	Principal string
}

// Format hides the password, whatever the verb.
func (o Options) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Username:%q Password:REDACTED Origins:%q Principal:%q}", o.Username, o.Origins, o.Principal)
}

// MarshalText encodes what Format prints, so that JSON and log/slog show nothing else either.
func (o Options) MarshalText() ([]byte, error) { return fmt.Append(nil, o), nil }

// New returns a layer that answers the challenges of its origins, and goes before them once it knows how.
//
// SHA-256, SHA-512, SHA-512-256 and MD5 work, with qop auth, auth-int and without; of several challenges, the first of these counts, for that is
// the server's preference (RFC 7616 §3.7). A request whose body cannot be sent again, having no GetBody, can only be the first if the server
// answers 401 to it. A request that brings Authorization itself goes on as it came.
//
// Options that cannot be carried out make a layer that sends nothing and returns the error from each RoundTrip; ply.New refuses it.
func New(o Options) func(next http.RoundTripper) http.RoundTripper {
	spaces, _ := lru.New[string, *space](maxSpaces) // which fails for no positive number
	return auth.Sign(auth.SignOptions{
		Signer:    &signer{username: o.Username, password: o.Password, spaces: spaces},
		Origins:   o.Origins,
		Principal: cmp.Or(o.Principal, o.Username),
	})
}

// maxSpaces is for how many origins and realms nonces are kept.
const maxSpaces = 1024

// signer is safe for concurrent use. Its spaces are keyed by origin.
type signer struct {
	username, password string

	spaces *lru.Cache[string, *space]
}

// OptionsError reports the first field that is missing.
func (s *signer) OptionsError() error {
	if s.username == "" {
		return &auth.OptionError{Package: "digest", Option: "Username", Reason: "is missing"}
	}
	return nil
}

// space is the last challenge of an origin, and how often it was answered.
type space struct {
	challenge *digest.Challenge // which doesn't change

	mu    sync.Mutex // guards count
	count int
}

// next is the number of one more request with the nonce: no two have the same (RFC 7616 §3.4).
func (s *space) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	return s.count
}

func originOf(r *http.Request) string {
	return strings.ToLower(r.URL.Scheme + "://" + r.URL.Host)
}

// Sign adds the answer to the last challenge of the origin, if there was one.
func (s *signer) Sign(r *http.Request) error {
	if _, own := authorization(r.Header); own || r.URL.User != nil {
		return nil
	}
	at, ok := s.spaces.Get(originOf(r))
	if !ok {
		return nil
	}
	method := cmp.Or(r.Method, http.MethodGet)
	c := at.challenge
	if !c.SupportsQOP("auth") && c.SupportsQOP("auth-int") && r.GetBody == nil && r.Body != nil && r.Body != http.NoBody {
		return errors.New("digest: the server wants the body hashed (qop=auth-int), and the request has no GetBody to read it from")
	}
	answer, err := digest.Digest(c, digest.Options{
		Method: method, URI: r.URL.RequestURI(), GetBody: r.GetBody, Count: at.next(),
		Username: s.username, Password: s.password,
	})
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", answer.String())
	return nil
}

// Challenged takes down the challenge of a 401, and reports whether to answer it.
//
// Who was refused with the nonce that the challenge before had has the wrong password, unless the server says that the nonce is stale (RFC 7616 §3.3),
// or speaks of another realm.
func (s *signer) Challenged(sent *http.Request, resp *http.Response) (bool, error) {
	c := choose(resp.Header.Values("Www-Authenticate"))
	if c == nil || sent.URL.User != nil {
		return false, nil
	}
	if line, ok := authorization(sent.Header); ok {
		answered, err := digest.ParseCredentials(line)
		if err != nil || answered.Username != s.username && !answered.Userhash {
			return false, nil // it is the request's own
		}
		if !c.Stale && answered.Realm == c.Realm {
			s.forget(originOf(sent), answered.Nonce)
			return s.hasNewer(originOf(sent), answered.Nonce), nil
		}
	}
	s.spaces.Add(originOf(sent), &space{challenge: c})
	return true, nil
}

// forget drops a nonce that was refused, so that the next request learns anew.
func (s *signer) forget(origin, nonce string) {
	if at, ok := s.spaces.Peek(origin); ok && at.challenge.Nonce == nonce {
		s.spaces.Remove(origin)
	}
}

// hasNewer reports whether another request has learned another nonce meanwhile.
func (s *signer) hasNewer(origin, nonce string) bool {
	at, ok := s.spaces.Peek(origin)
	return ok && at.challenge.Nonce != nonce
}

// choose returns the first challenge of lines that can be answered, or nil.
func choose(lines []string) *digest.Challenge {
	for _, line := range lines {
		for _, text := range split(line) {
			if c, err := digest.ParseChallenge(text); err == nil && digest.CanDigest(c) && c.Nonce != "" {
				for i := range c.QOP {
					c.QOP[i] = strings.ToLower(strings.TrimSpace(c.QOP[i]))
				}
				return c
			}
		}
	}
	return nil
}

// split parts the challenges of a line (RFC 9110 §11.6.1). A member that begins with a word and no equals sign begins a challenge.
func split(line string) []string {
	var all []string
	for _, member := range members(line) {
		word, _, spaced := strings.Cut(strings.TrimSpace(member), " ")
		if len(all) == 0 || spaced && !strings.Contains(word, "=") || !strings.Contains(member, "=") {
			all = append(all, strings.TrimSpace(member))
			continue
		}
		all[len(all)-1] += "," + member
	}
	return all
}

// members cuts a line at the commas outside quoted strings.
func members(line string) []string {
	var all []string
	start, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && quoted:
			i++
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ',' && !quoted:
			all, start = append(all, line[start:i]), i+1
		}
	}
	return append(all, line[start:])
}

// authorization returns the credentials that a request has. A caller can fill the map with a name in any case.
func authorization(h http.Header) (line string, ok bool) {
	for name, lines := range h {
		if strings.EqualFold(name, "Authorization") {
			return strings.Join(lines, ", "), true
		}
	}
	return "", false
}
