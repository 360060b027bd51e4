package plyoauth2_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	plyoauth2 "github.com/plyhttp/ply/middleware/auth/oauth2"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

func TestMain(m *testing.M) { os.Exit(plytest.VerifyMain(m)) }

const secret = "cl1ent-s3cret"

// authority is an authorization server and the API that takes its tokens: client credentials, and refresh tokens that are spent with their use
// (RFC 9700 §4.14). Who uses one twice loses the grant.
type authority struct {
	uses int             // for how many requests an access token is good; zero for any number
	life time.Duration   // of an access token; zero for an hour
	hold <-chan struct{} // a token is issued once this is closed; nil for at once

	mu        sync.Mutex
	issued    int
	access    map[string]*access
	refresh   map[string]string // the grant of each refresh token that is good
	spent     map[string]string
	requests  int // for tokens
	stolen    int // refresh tokens that came twice
	down      bool
	presented []string // the tokens that the API saw
}

type access struct {
	who  string
	left int
}

func (a *authority) grant(refreshToken, who string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refresh == nil {
		a.refresh, a.spent, a.access = map[string]string{}, map[string]string{}, map[string]*access{}
	}
	if refreshToken != "" {
		a.refresh[refreshToken] = who
	}
}

func (a *authority) token(w http.ResponseWriter, r *http.Request) {
	if a.hold != nil {
		<-a.hold
	}
	a.grant("", "")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests++
	w.Header().Set("Content-Type", "application/json")
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "you sent " + r.FormValue("refresh_token") + r.FormValue("client_secret")})
	}
	if a.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "try later, "+r.FormValue("client_secret"))
		return
	}
	id, pass, ok := r.BasicAuth()
	if !ok {
		id, pass = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	if pass != secret {
		refuse("invalid_client")
		return
	}
	answer := map[string]any{"token_type": "bearer", "expires_in": int(max(a.life, time.Second) / time.Second)}
	if a.life == 0 {
		answer["expires_in"] = 3600
	}
	a.issued++
	who := id
	switch r.FormValue("grant_type") {
	case "client_credentials":
	case "refresh_token":
		old := r.FormValue("refresh_token")
		if who, ok = a.refresh[old]; !ok {
			if grant, again := a.spent[old]; again {
				a.stolen++
				for token, g := range a.refresh {
					if g == grant {
						delete(a.refresh, token)
					}
				}
			}
			refuse("invalid_grant")
			return
		}
		delete(a.refresh, old)
		a.spent[old] = who
		next := fmt.Sprint("refresh-", a.issued)
		a.refresh[next] = who
		answer["refresh_token"] = next
	default:
		refuse("unsupported_grant_type")
		return
	}
	value := fmt.Sprint("access-", a.issued)
	a.access[value] = &access{who: who, left: a.uses}
	answer["access_token"] = value
	json.NewEncoder(w).Encode(answer)
}

func (a *authority) api(w http.ResponseWriter, r *http.Request) {
	value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a.mu.Lock()
	a.presented = append(a.presented, value)
	t := a.access[value]
	good := t != nil && (a.uses == 0 || t.left > 0)
	if good {
		t.left--
	}
	a.mu.Unlock()
	if !good {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Cache-Control", r.URL.Query().Get("cache"))
	fmt.Fprint(w, t.who)
}

func (a *authority) do(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *authority) serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/token", a.token)
	mux.HandleFunc("/", a.api)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		server.Close()
	})
	return server.URL
}

func client(t *testing.T, url string, source auth.Source, err error, layers ...ply.Middleware) *ply.Client {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	layer := auth.New(auth.Options{Source: source, Origins: []string{url}, FailureHold: time.Nanosecond})
	c, err := ply.New(ply.Options{BaseURL: url, Use: append([]ply.Middleware{layer}, layers...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func get(t *testing.T, c *ply.Client, path, want string) {
	t.Helper()
	if got, err := ply.Text(ply.ErrorForStatus(c.Get(t.Context(), path))); err != nil || got != want {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
}

func credentials(url string) *clientcredentials.Config {
	return &clientcredentials.Config{ClientID: "billing", ClientSecret: secret, TokenURL: url + "/token", Scopes: []string{"read", "write"}}
}

func TestClientCredentials(t *testing.T) {
	begun := make(chan struct{})
	a := &authority{hold: begun}
	url := a.serve(t)
	source, err := plyoauth2.ClientCredentials(credentials(url), plyoauth2.Options{})
	c := client(t, url, source, err)
	var herd, beginning sync.WaitGroup
	beginning.Add(100)
	for range 100 {
		herd.Go(func() {
			beginning.Done()
			get(t, c, "/", "billing")
		})
	}
	beginning.Wait()
	close(begun) // so that all of them ask for one token
	herd.Wait()
	if a.requests != 1 {
		t.Errorf("%d requests for tokens, want 1", a.requests)
	}
	a.do(func() { clear(a.access) }) // all are revoked
	for range 100 {
		herd.Go(func() { get(t, c, "/", "billing") })
	}
	herd.Wait()
	if a.requests != 2 {
		t.Errorf("%d requests for tokens, want 2", a.requests)
	}
}

func TestRenewedTokenFindsWhatIsCached(t *testing.T) {
	a := &authority{uses: 1}
	url := a.serve(t)
	store, err := cache.New(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	source, err := plyoauth2.ClientCredentials(credentials(url), plyoauth2.Options{})
	c := client(t, url, source, err, store.Middleware)
	get(t, c, "/a?cache=max-age=60", "billing")
	get(t, c, "/b", "billing") // with a new token, since the first is used up
	get(t, c, "/a?cache=max-age=60", "billing")
	if len(a.presented) != 3 {
		t.Errorf("the API saw %v, want one request for /a, and two for /b", a.presented)
	}
	if err := store.DeletePrincipal(t.Context(), url+"/token client_id=billing&scope=read+write"); err != nil {
		t.Fatal(err)
	}
	get(t, c, "/a?cache=max-age=60", "billing")
	if len(a.presented) < 4 {
		t.Error("the answer does not belong to the token server, the client's id and its scopes")
	}
}

// One client that acts for several tenants has one id: what the token server tells them apart by keeps their answers apart.
func TestTenantsOfOneClientNeverShare(t *testing.T) {
	for name, change := range map[string]func(c *clientcredentials.Config, tenant string){
		"a token server of each": func(c *clientcredentials.Config, tenant string) { c.TokenURL += "/" + tenant },
		"a query of the server":  func(c *clientcredentials.Config, tenant string) { c.TokenURL += "?tenant=" + tenant },
		"a parameter": func(c *clientcredentials.Config, tenant string) {
			c.EndpointParams = map[string][]string{"account_id": {tenant}}
		},
		"a scope as a parameter": func(c *clientcredentials.Config, tenant string) {
			c.Scopes, c.EndpointParams = nil, map[string][]string{"scope": {tenant}}
		},
		"a client id of two words": func(c *clientcredentials.Config, tenant string) {
			c.ClientID, c.Scopes = "billing", []string{"alice", "read"}
			if tenant == "bob" {
				c.ClientID, c.Scopes = "billing alice", []string{"read"}
			}
		},
		"a secret parameter": func(c *clientcredentials.Config, tenant string) {
			c.EndpointParams = map[string][]string{"password": {tenant}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var issued atomic.Int64
			mux := http.NewServeMux()
			mux.HandleFunc("/token/", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer"}`, issued.Add(1))
			})
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, r.Header.Get("Authorization"))
			})
			server := httptest.NewServer(mux)
			defer server.Close()
			defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			store, err := cache.New(cache.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			for i, tenant := range []string{"alice", "bob"} {
				config := credentials(server.URL)
				config.TokenURL += "/x"
				change(config, tenant)
				source, err := plyoauth2.ClientCredentials(config, plyoauth2.Options{})
				c := client(t, server.URL, source, err, store.Middleware)
				get(t, c, "/", fmt.Sprint("Bearer t", i+1))
				get(t, c, "/", fmt.Sprint("Bearer t", i+1))
				if token, err := source.Token(t.Context()); err != nil || name == "a secret parameter" && token.Principal != "" {
					t.Errorf("%v %v", token, err)
				}
				issued.Store(int64(i + 1))
			}
		})
	}
}

func config(url string) *oauth2.Config {
	return &oauth2.Config{ClientID: "app", ClientSecret: secret, Endpoint: oauth2.Endpoint{TokenURL: url + "/token"}}
}

// A refresh token that is spent with its use is used once, whatever happens at the same time, and the program hears of each new one.
func TestRefreshTokenRotates(t *testing.T) {
	a := &authority{uses: 7}
	a.grant("refresh-0", "alice")
	url := a.serve(t)
	var mu sync.Mutex
	var kept []string
	source, err := plyoauth2.RefreshToken(config(url), &oauth2.Token{RefreshToken: "refresh-0"}, plyoauth2.Options{
		Principal: func(*oauth2.Token) string { return "alice" },
		OnRotate: func(t *oauth2.Token) error {
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, t.RefreshToken)
			return nil
		},
	})
	clients := []*ply.Client{client(t, url, source, err), client(t, url, source, err)} // two layers with one source
	var herd sync.WaitGroup
	answers := make(chan string, 400)
	for i := range 400 {
		herd.Go(func() {
			got, err := ply.Text(clients[i%2].Get(t.Context(), "/"))
			var refused *ply.StatusError
			if err != nil && (!errors.As(err, &refused) || refused.StatusCode != http.StatusUnauthorized) {
				t.Error(err)
			}
			answers <- got
		})
		if i%10 == 9 {
			herd.Wait()
		}
	}
	close(answers)
	good := 0
	for got := range answers {
		if got == "alice" {
			good++
		} else if got != "" { // its second token had been used up by others
			t.Errorf("got %q", got)
		}
	}
	if a.stolen != 0 {
		t.Errorf("%d refresh tokens were used twice", a.stolen)
	}
	if good < 50 || len(kept) != a.issued || !slices.Contains(kept, fmt.Sprint("refresh-", a.issued)) {
		t.Errorf("%d good answers, %d tokens issued, %d kept", good, a.issued, len(kept))
	}
	get(t, clients[0], "/", "alice")
}

// The access token that comes with the refresh token is used first.
func TestRefreshTokenBeginsWithTheAccessToken(t *testing.T) {
	a := &authority{}
	a.grant("refresh-0", "alice")
	a.access["given"] = &access{who: "alice"}
	url := a.serve(t)
	source, err := plyoauth2.RefreshToken(config(url), &oauth2.Token{AccessToken: "given", RefreshToken: "refresh-0", Expiry: time.Now().Add(time.Hour)}, plyoauth2.Options{})
	c := client(t, url, source, err)
	get(t, c, "/", "alice")
	if a.requests != 0 {
		t.Error("a good token was renewed")
	}
	a.do(func() { delete(a.access, "given") })
	get(t, c, "/", "alice")
	if want := []string{"given", "given", "access-1"}; !slices.Equal(a.presented, want) {
		t.Errorf("the API saw %v, want %v", a.presented, want)
	}
}

// A program that cannot keep the new refresh token hears of it at once, and the source goes on with it.
func TestRotationThatCannotBeKept(t *testing.T) {
	a := &authority{}
	a.grant("refresh-0", "alice")
	url := a.serve(t)
	full := errors.New("disk full")
	source, err := plyoauth2.RefreshToken(config(url), &oauth2.Token{RefreshToken: "refresh-0"}, plyoauth2.Options{OnRotate: func(t *oauth2.Token) error {
		if t.RefreshToken == "refresh-1" {
			return fmt.Errorf("%w: %s", full, t.RefreshToken)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = source.Token(t.Context()); !errors.Is(err, full) || strings.Contains(err.Error(), "refresh-1") {
		t.Errorf("got %v", err)
	}
	get(t, client(t, url, source, nil), "/", "alice")
	if a.stolen != 0 {
		t.Error("the old refresh token was used again")
	}
}

func TestTokenSourceOfOthers(t *testing.T) {
	a := &authority{}
	url := a.serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	source, err := plyoauth2.FromTokenSource(credentials(url).TokenSource(ctx), plyoauth2.Options{})
	c := client(t, url, source, err)
	get(t, c, "/", "billing")
	get(t, c, "/", "billing")
	if a.requests != 1 {
		t.Errorf("%d requests for tokens", a.requests)
	}
	a.do(func() { clear(a.access) }) // which the source does not know
	resp, err := c.Get(t.Context(), "/")
	if err != nil || resp.StatusCode != 401 || a.requests != 1 {
		t.Errorf("%v %v after %d requests for tokens", resp, err, a.requests)
	}
	resp.Body.Close()
}

// Errors say what is wrong, and have no secret, though the token server sends them back.
func TestErrorsHaveNoSecret(t *testing.T) {
	a := &authority{}
	url := a.serve(t)
	ask := func(source auth.Source, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %+v %#v", source, source, source); strings.Contains(text, secret) || strings.Contains(text, "stolen-refresh") {
			t.Errorf("the source shows %s", text)
		}
		_, err = source.Token(t.Context())
		return err
	}
	wrong := credentials(url)
	wrong.ClientSecret = "wr0ng-s3cret"
	for want, err := range map[string]error{
		"invalid_client": ask(plyoauth2.ClientCredentials(wrong, plyoauth2.Options{})),
		"invalid_grant":  ask(plyoauth2.RefreshToken(config(url), &oauth2.Token{RefreshToken: "stolen-refresh"}, plyoauth2.Options{})),
	} {
		text := fmt.Sprintf("%v %+v %#v", err, err, err)
		for _, secret := range []string{secret, "wr0ng", "stolen"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %s", text, secret)
			}
		}
		var refused *oauth2.RetrieveError
		if !strings.Contains(text, want) || !errors.As(err, &refused) {
			t.Errorf("%s, want %s", text, want)
		}
	}
	a.do(func() { a.down = true })
	if err := ask(plyoauth2.ClientCredentials(credentials(url), plyoauth2.Options{})); !strings.Contains(err.Error(), "503") || strings.Contains(err.Error(), secret) {
		t.Error(err)
	}
}

func TestHTTPClientOfTheOptions(t *testing.T) {
	a := &authority{}
	used := 0
	hc := &http.Client{Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		used++
		w := httptest.NewRecorder()
		a.token(w, r)
		return w.Result(), nil
	})}
	source, err := plyoauth2.ClientCredentials(credentials("http://none.test"), plyoauth2.Options{HTTPClient: hc})
	if err != nil {
		t.Fatal(err)
	}
	if token, err := source.Token(t.Context()); err != nil || token.Value != "access-1" || token.Scheme != "Bearer" || token.Principal != "http://none.test/token client_id=billing&scope=read+write" || used != 1 {
		t.Errorf("%v %v", token, err)
	}
}

func TestConfigurationThatLacksSomething(t *testing.T) {
	for name, err := range map[string]error{
		"no configuration": failing(plyoauth2.ClientCredentials(nil, plyoauth2.Options{})),
		"no token URL":     failing(plyoauth2.ClientCredentials(&clientcredentials.Config{ClientID: "x"}, plyoauth2.Options{})),
		"no refresh token": failing(plyoauth2.RefreshToken(config("http://a.test"), &oauth2.Token{AccessToken: "x"}, plyoauth2.Options{})),
		"no endpoint":      failing(plyoauth2.RefreshToken(&oauth2.Config{}, &oauth2.Token{RefreshToken: "x"}, plyoauth2.Options{})),
		"no source":        failing(plyoauth2.FromTokenSource(nil, plyoauth2.Options{})),
	} {
		var refused *auth.OptionError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func failing(_ auth.Source, err error) error { return err }
