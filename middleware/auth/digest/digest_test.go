package digest_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/auth/digest"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestMain(m *testing.M) { os.Exit(plytest.VerifyMain(m)) }

const realm = "http-auth@example.org"

var users = map[string]string{"Mufasa": "Circle of Life", "bob": "hunter2"}

// server verifies Digest by the words of RFC 7616, without the library that the layer is made of.
type server struct {
	algorithm string // as it is named in the challenge; "" for the default
	qop       string
	uses      int    // for how many requests a nonce is good; zero for any number
	challenge string // in place of its own

	mu       sync.Mutex
	nonces   map[string]map[int]bool // the numbers that were used with each
	retired  map[string]bool
	issued   int
	requests int
	replayed int // requests whose number was used before
}

func (s *server) hash(parts ...string) string {
	h := md5.New()
	if s.algorithm == "SHA-256" {
		h = sha256.New()
	}
	io.WriteString(h, strings.Join(parts, ":"))
	return fmt.Sprintf("%x", h.Sum(nil))
}

var param = regexp.MustCompile(`(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))`)

func params(line string) map[string]string {
	all := map[string]string{}
	for _, m := range param.FindAllStringSubmatch(line, -1) {
		all[m[1]] = m[2] + m[3]
	}
	return all
}

// response is what the answer to a challenge has to be (RFC 7616 §3.4.1).
func (s *server) response(method, user, password string, p map[string]string) string {
	a1 := s.hash(user, realm, password)
	a2 := s.hash(method, p["uri"])
	if p["qop"] == "" {
		return s.hash(a1, p["nonce"], a2)
	}
	return s.hash(a1, p["nonce"], p["nc"], p["cnonce"], p["qop"], a2)
}

// check returns the user of a request, or whether its nonce is stale.
func (s *server) check(r *http.Request) (user string, stale bool) {
	p := params(r.Header.Get("Authorization"))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	password, ok := users[p["username"]]
	if !ok || p["uri"] != r.RequestURI || p["realm"] != realm || p["response"] != s.response(r.Method, p["username"], password, p) {
		return "", false
	}
	used, ok := s.nonces[p["nonce"]]
	if !ok {
		return "", s.retired[p["nonce"]]
	}
	if s.qop != "" {
		nc, err := strconv.ParseInt(p["nc"], 16, 32)
		if err != nil || len(p["nc"]) != 8 || used[int(nc)] || p["qop"] != "auth" || p["cnonce"] == "" {
			s.replayed++
			return "", false
		}
		used[int(nc)] = true
		if s.uses > 0 && len(used) >= s.uses {
			delete(s.nonces, p["nonce"])
			s.retired[p["nonce"]] = true
		}
	}
	return p["username"], false
}

func (s *server) issue(stale bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	nonce := fmt.Sprint("nonce-", s.issued)
	if s.nonces == nil {
		s.nonces, s.retired = map[string]map[int]bool{}, map[string]bool{}
	}
	s.nonces[nonce] = map[int]bool{}
	line := fmt.Sprintf("Digest realm=%q, nonce=%q, opaque=\"a, b\"", realm, nonce)
	if s.qop != "" {
		line += fmt.Sprintf(", qop=%q", s.qop)
	}
	if s.algorithm != "" {
		line += ", algorithm=" + s.algorithm
	}
	if stale {
		line += ", stale=true"
	}
	return line
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, _ := io.ReadAll(r.Body)
	user, stale := s.check(r)
	if user == "" {
		line := s.issue(stale)
		if s.challenge != "" {
			line = s.challenge + line
		}
		w.Header().Set("WWW-Authenticate", line)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Cache-Control", r.URL.Query().Get("cache"))
	fmt.Fprintf(w, "%s %s %s", user, r.URL.Path, content)
}

// The server agrees with the examples of RFC 7616 §3.9.1.
func TestServerVerifiesAsTheRFCDoes(t *testing.T) {
	p := params(`Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth`)
	for algorithm, want := range map[string]string{
		"MD5":     "8ca523f5e9506fed4657c9700eebdbec",
		"SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		s := &server{algorithm: algorithm}
		if got := s.response("GET", "Mufasa", "Circle of Life", p); got != want {
			t.Errorf("%s: %s, want %s", algorithm, got, want)
		}
	}
}

func serve(t *testing.T, s *server) string {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return h.URL
}

func layer(url, user string) func(http.RoundTripper) http.RoundTripper {
	return digest.New(digest.Options{Username: user, Password: users[user], Origins: []string{url}})
}

func do(t *testing.T, hc *http.Client, method, url, content string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := hc.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func TestChallengeIsLearnedOnce(t *testing.T) {
	for _, test := range []*server{
		{qop: "auth"}, {qop: "auth", algorithm: "SHA-256"}, {qop: "auth", algorithm: "MD5"}, {}, {algorithm: "SHA-256"}, {qop: "auth, auth-int"},
		{qop: "auth", challenge: `Basic realm="a, Digest b", Negotiate, `},
		{qop: "auth", algorithm: "SHA-256", challenge: `Digest realm="x", nonce="y", algorithm=WHIRLPOOL, `},
	} {
		t.Run(fmt.Sprint(test.algorithm, test.qop, test.challenge), func(t *testing.T) {
			url := serve(t, test)
			hc := &http.Client{Transport: layer(url, "Mufasa")(nil)}
			for i, path := range []string{"/a?x=%7e&y", "/b", "/c"} {
				method := []string{"GET", "POST", "PUT"}[i]
				if status, text := do(t, hc, method, url+path, "content"); status != 200 || text != "Mufasa "+path[:2]+" content" {
					t.Errorf("%s %s: %d %q", method, path, status, text)
				}
			}
			if test.requests != 4 || test.issued != 1 {
				t.Errorf("%d requests with %d nonces, want 4 with one", test.requests, test.issued)
			}
			hc.CloseIdleConnections()
		})
	}
}

func TestStaleNonceIsReplaced(t *testing.T) {
	s := &server{qop: "auth", uses: 2}
	url := serve(t, s)
	hc := &http.Client{Transport: layer(url, "bob")(nil)}
	defer hc.CloseIdleConnections()
	for range 6 {
		if status, _ := do(t, hc, "GET", url, ""); status != 200 {
			t.Fatal(status)
		}
	}
	if s.issued != 3 || s.requests != 9 {
		t.Errorf("%d nonces and %d requests, want 3 and 9", s.issued, s.requests)
	}
}

// A wrong password ends with the server's 401, after one answer for each request.
func TestWrongPasswordIsNotRepeated(t *testing.T) {
	s := &server{qop: "auth"}
	url := serve(t, s)
	hc := &http.Client{Transport: digest.New(digest.Options{Username: "bob", Password: "wrong", Origins: []string{url}})(nil)}
	defer hc.CloseIdleConnections()
	for range 3 {
		if status, _ := do(t, hc, "GET", url, ""); status != 401 {
			t.Fatal(status)
		}
	}
	if s.requests != 6 {
		t.Errorf("%d requests, want 6", s.requests)
	}
}

// Requests at once, of several people, with nonces that end meanwhile: no number is used twice, each gets its own.
func TestConcurrentRequestsHaveNumbersOfTheirOwn(t *testing.T) {
	s := &server{qop: "auth", algorithm: "SHA-256", uses: 40}
	url := serve(t, s)
	store, err := cache.New(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var herd sync.WaitGroup
	refused := make(chan string, 1000)
	for user := range users {
		hc := &http.Client{Transport: store.Middleware(retry.New(retry.Options{})(layer(url, user)(nil)))}
		defer hc.CloseIdleConnections()
		for i := range 200 {
			herd.Go(func() {
				path := fmt.Sprint("/", i%10)
				content := strings.Repeat(user, i)
				method := "PUT"
				if i%2 == 0 {
					method, content = "GET", ""
				}
				status, text := do(t, hc, method, url+path+"?cache=max-age=60", content)
				switch {
				case status == 401:
					refused <- text // its second nonce had been used up by others as well
				case status != 200 || text != user+" "+path+" "+content:
					t.Errorf("%s: %d %.100q", user, status, text)
				}
			})
		}
	}
	herd.Wait()
	if s.replayed > 0 {
		t.Errorf("%d requests had a number that was used before", s.replayed)
	}
	if len(refused) > 40 {
		t.Errorf("%d of 400 were refused", len(refused))
	}
}

func TestOtherOriginsLearnNothing(t *testing.T) {
	s := &server{qop: "auth"}
	url := serve(t, s)
	hc := &http.Client{Transport: layer("https://device.example", "bob")(nil)}
	defer hc.CloseIdleConnections()
	if status, _ := do(t, hc, "GET", url, ""); status != 401 || s.requests != 1 {
		t.Errorf("%d after %d requests", status, s.requests)
	}
}

func TestRequestWithCredentialsOfItsOwn(t *testing.T) {
	for _, name := range []string{"Authorization", "authorization"} {
		origin := plytest.NewOrigin(plytest.Status(401, "Www-Authenticate", `Digest realm="r", nonce="n", qop="auth"`))
		rt := layer("https://a.test", "bob")(origin)
		for range 2 { // the second time the challenge could be known
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://a.test", nil)
			r.Header[name] = []string{"Bearer x"}
			resp, err := rt.RoundTrip(r)
			if err != nil || resp.StatusCode != 401 {
				t.Errorf("%s: %v %v", name, resp, err)
			}
		}
		if origin.Count() != 2 {
			t.Errorf("%s: %d requests, want 2", name, origin.Count())
		}
	}
}

func TestContract(t *testing.T) { plytest.CheckMiddleware(t, layer("https://layer.test", "bob")) }

func TestOptions(t *testing.T) {
	for want, o := range map[string]digest.Options{"Username": {Origins: []string{"https://a.test"}}, "Origins": {Username: "u"}} {
		_, err := digest.New(o)(nil).RoundTrip(&http.Request{})
		var refused *auth.OptionError
		if !errors.As(err, &refused) || refused.Option != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	o := digest.Options{Username: "bob", Password: "hunter2"}
	encoded, err := json.Marshal(map[string]any{"o": o})
	if text := fmt.Sprintf("%v %+v %#v %+v %s", o, o, o, layer("https://a.test", "bob")(plytest.NewOrigin()), encoded); err != nil || strings.Contains(text, "hunter2") {
		t.Error(text, err)
	}
}
