package auth_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

func TestTokenGoesToItsOriginsAlone(t *testing.T) {
	for _, test := range []struct {
		origin, url string
		goes        bool
	}{
		{"https://api.test", "https://api.test/a?b", true},
		{"https://api.test", "https://API.test:443", true},
		{"https://api.test:443/", "https://api.test", true},
		{"HTTPS://API.test", "https://api.test", true},
		{"https://api.test", "http://api.test", false},
		{"https://api.test", "https://api.test:8443", false},
		{"https://api.test:8443", "https://api.test:8443", true},
		{"https://api.test", "https://api.test.evil.test", false},
		{"https://api.test", "https://evil-api.test", false},
		{"https://api.test", "https://evil.test/https://api.test", false},
		{"https://*.example.test", "https://a.example.test", true},
		{"https://*.example.test", "https://a.b.example.test", true},
		{"https://*.example.test", "https://example.test", false},
		{"https://*.example.test", "https://.example.test", false},
		{"https://*.example.test", "https://aexample.test", false},
		{"https://*.example.test", "https://a.example.test:8443", false},
		{"http://[::1]:8080", "http://[::1]:8080/x", true},
		{"http://localhost", "http://localhost:80", true},
	} {
		t.Run(test.origin+" "+test.url, func(t *testing.T) {
			origin, rt := newAPI(auth.Options{Source: auth.Static(auth.Token{Value: "t"}), Origins: []string{test.origin}})
			get(t, rt, test.url)
			require.Equal(t, test.goes, origin.Exchanges()[0].Header.Get("Authorization") == "Bearer t")
		})
	}
}

// A proxy forwards a request over http to the origin that its Host or its Opaque names.
func TestTokenGoesToNoOriginThatAProxyWouldBeAskedFor(t *testing.T) {
	for _, test := range []struct {
		url, host, opaque string
		goes              bool
	}{
		{"http://api.test", "", "", true},
		{"http://api.test", "api.test", "", true},
		{"http://api.test", "API.test:80", "", true},
		{"http://api.test", "other.test", "", true},
		{"http://api.test", "evil.test", "", false},
		{"http://api.test", "api.test:8080", "", false},
		{"http://api.test", "api.test@evil.test", "", false},
		{"http://api.test", "%zz", "", false},
		{"http://api.test", "", "//evil.test/a", false},
		{"http://api.test", "", "http://evil.test/a", false},
		{"http://api.test", "", "//api.test/a%2Fb", true},
		{"http://api.test", "api.test", "/a%2Fb", true},
		{"https://api.test", "evil.test", "", true}, // a tunnel to api.test
	} {
		t.Run(test.url+" "+test.host+" "+test.opaque, func(t *testing.T) {
			origins := []string{"http://api.test", "https://api.test", "http://other.test"}
			origin, token := newAPI(auth.Options{Source: auth.Static(auth.Token{Value: "t"}), Origins: origins})
			signs := auth.Sign(auth.SignOptions{Origins: origins, Signer: auth.SignerFunc(func(r *http.Request) error {
				r.Header.Set("X-Signature", "s")
				return nil
			})})
			req := newRequest(t, t.Context(), "GET", test.url, "")
			req.Host, req.URL.Opaque = test.host, test.opaque
			_, err := signs(token).RoundTrip(req)
			require.NoError(t, err)
			sent := origin.Exchanges()[0].Header
			require.Equal(t, test.goes, sent.Get("Authorization") != "")
			require.Equal(t, test.goes, sent.Get("X-Signature") != "")
		})
	}
}

// A redirect to another origin gets nothing, whichever layer follows it.
func TestRedirectToAnotherOriginGetsNothing(t *testing.T) {
	origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "api.test" {
			http.Redirect(w, r, "https://evil.test/", http.StatusTemporaryRedirect)
		}
	}))
	for name, o := range map[string]auth.Options{"field": {Field: "X-Api-Key"}, "authorization": {}, "query": {Query: "api_key"}} {
		t.Run(name, func(t *testing.T) {
			o.Source, o.Origins = auth.APIKey("me", "k3y-s3cr3t"), []string{api}
			before := origin.Count()
			resp, err := (&http.Client{Transport: auth.New(o)(origin)}).Get(api + "/a")
			require.NoError(t, err)
			resp.Body.Close()
			seen := origin.Exchanges()[before:]
			require.Len(t, seen, 2)
			require.Contains(t, seen[0].URL.String()+join(seen[0].Header), "k3y-s3cr3t")
			require.NotContains(t, seen[1].URL.String()+join(seen[1].Header), "k3y-s3cr3t")
		})
	}
}

func join(h http.Header) string {
	var b strings.Builder
	h.Write(&b)
	return b.String()
}

func TestWhereTheTokenStands(t *testing.T) {
	for name, test := range map[string]struct {
		options auth.Options
		url     string
		header  http.Header
		want    string // the line of the request, and its fields
	}{
		"bearer":               {want: "/ Authorization: Bearer k"},
		"a scheme":             {options: auth.Options{Source: auth.Static(auth.Token{Value: "k", Scheme: "token"})}, want: "/ Authorization: token k"},
		"a field":              {options: auth.Options{Field: "x-api-key"}, want: "/ X-Api-Key: k"},
		"a query":              {options: auth.Options{Query: "api_key"}, want: "/?api_key=k"},
		"behind a query":       {options: auth.Options{Query: "api_key"}, url: "/p?b=%7e&a", want: "/p?b=%7e&a&api_key=k"},
		"a scheme in a query":  {options: auth.Options{Query: "api_key", Source: auth.Static(auth.Token{Value: "k", Scheme: "Key"})}, want: "/?api_key=k"},
		"its own field":        {header: http.Header{"Authorization": {"Basic x"}}, want: "/ Authorization: Basic x"},
		"its own in lowercase": {header: http.Header{"authorization": {"Basic x"}}, want: "/ authorization: Basic x"},
		"none on purpose":      {header: http.Header{"Authorization": nil}, want: "/"},
		"its own userinfo":     {url: "//me:pw@api.test/", want: "/"},
		"userinfo and a field": {options: auth.Options{Field: "X-Api-Key"}, url: "//me:pw@api.test/", want: "/ X-Api-Key: k"},
		"its own parameter":    {options: auth.Options{Query: "api_key"}, url: "/?api_key=", want: "/?api_key="},
		"escaped":              {options: auth.Options{Query: "api_key", Source: auth.APIKey("me", "a b&c")}, want: "/?api_key=a+b%26c"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.options.Source == nil {
				test.options.Source = auth.APIKey("me", "k")
			}
			origin, rt := newAPI(test.options)
			base, _ := url.Parse(api + "/")
			at, err := base.Parse(test.url)
			require.NoError(t, err)
			r := newRequest(t, t.Context(), "GET", at.String(), "")
			if test.header != nil {
				r.Header = test.header
			}
			_, _ = send(t, rt, r)
			require.Equal(t, at.String(), r.URL.String(), "the request was changed")
			x := origin.Exchanges()[0]
			got := x.URL.RequestURI()
			for field, values := range x.Header {
				for _, v := range values {
					got += " " + field + ": " + v
				}
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestDisabledLayerAddsNothing(t *testing.T) {
	origin, rt := newAPI(auth.Options{Source: auth.APIKey("me", "k")})
	ctx, info := auth.WithInfo(t.Context())
	send(t, rt, newRequest(t, auth.Disable(ctx), "GET", api, ""))
	send(t, rt, newRequest(t, auth.Enable(auth.Disable(ctx)), "GET", api, ""))
	require.Empty(t, origin.Exchanges()[0].Header)
	require.NotEmpty(t, origin.Exchanges()[1].Header)
	i, _ := info()
	require.Equal(t, auth.StatusRenewed, i.Status)
}

// Whatever a redactor shows, it does not show the field or the parameter of this layer's requests.
func TestRedactorHidesTheKeysPlace(t *testing.T) {
	const key = "k3y"
	shows := &redact.Redactor{ShowHeaders: []string{"X-Acme"}, ShowParams: []string{"acme", "page"}}
	named := &redact.Redactor{HideParams: redact.SignedURLs}
	for name, test := range map[string]struct {
		options  auth.Options
		redactor *redact.Redactor
	}{
		"a field":         {auth.Options{Field: "X-Acme"}, nil},
		"a shown field":   {auth.Options{Field: "X-Acme"}, shows},
		"a query":         {auth.Options{Query: "acme"}, nil},
		"a shown query":   {auth.Options{Query: "acme"}, shows},
		"an unnamed one":  {auth.Options{Query: "acme"}, named},
		"the empty value": {auth.Options{Query: "acme"}, &redact.Redactor{}},
	} {
		t.Run(name, func(t *testing.T) {
			test.options.Source, test.options.Origins = auth.APIKey("me", key), []string{api}
			rt := auth.New(test.options)(roundTripper(func(r *http.Request) (*http.Response, error) {
				shown := redact.From(r.Context())
				text := shown.URL(r.URL) + join(shown.Header(r.Header))
				require.NotContains(t, text, key)
				if test.redactor == shows {
					require.Contains(t, text, "page=7")
				}
				return nil, errors.New("done")
			}))
			ctx := t.Context()
			if test.redactor != nil {
				ctx = redact.With(ctx, test.redactor)
			}
			_, err := rt.RoundTrip(newRequest(t, ctx, "GET", api+"/?page=7", ""))
			require.EqualError(t, err, "done")
		})
	}
}

func TestOptionsThatCannotMeanAnythingAreRefused(t *testing.T) {
	source := auth.APIKey("me", "k")
	origins := []string{api}
	for want, o := range map[string]auth.Options{
		"Source":         {Origins: origins},
		"Origins":        {Source: source},
		"Origins[1]":     {Source: source, Origins: []string{api, "api.test"}},
		"Origins[0]":     {Source: source, Origins: []string{"https://api.test/path"}},
		"Query":          {Source: source, Origins: origins, Field: "A", Query: "b"},
		"Field":          {Source: source, Origins: origins, Field: "Host"},
		"MaxAccounts":    {Source: source, Origins: origins, MaxAccounts: -1},
		"RefreshBefore":  {Source: source, Origins: origins, RefreshBefore: -1},
		"ClockSkew":      {Source: source, Origins: origins, ClockSkew: -1},
		"RefreshTimeout": {Source: source, Origins: origins, RefreshTimeout: -1},
		"FailureHold":    {Source: source, Origins: origins, FailureHold: -1},
	} {
		t.Run(want, func(t *testing.T) {
			var refused *auth.OptionError
			require.ErrorAs(t, o.Validate(), &refused)
			require.Equal(t, want, refused.Option)
			origin := plytest.NewOrigin()
			_, err := auth.New(o)(origin).RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
			require.ErrorAs(t, err, &refused)
			require.Zero(t, origin.Count())
		})
	}
	for _, text := range []string{"", "ftp://a.test", "https://", "https://u:s3cr3t@a.test", "https://a.test?q", "https://a.test#f", "https://*.test", "https://*", "https://a.*.test", "https://a*.b.test", "https://*a.b.test", "https://*example.co.uk", "://"} {
		err := auth.SignOptions{Signer: auth.SignerFunc(func(*http.Request) error { return nil }), Origins: []string{text}}.Validate()
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "s3cr3t")
	}
	require.Error(t, auth.SignOptions{Origins: origins}.Validate())
	require.ErrorIs(t, auth.SignOptions{Origins: origins, Signer: unusable{}}.Validate(), errDown)
	require.ErrorContains(t, auth.Options{Source: source, Origins: origins, Query: "a&b"}.Validate(), "escaped")
	for name, rt := range map[string]http.RoundTripper{"auth": auth.New(auth.Options{})(nil), "sign": auth.Sign(auth.SignOptions{})(nil)} {
		var refused *auth.OptionError
		require.ErrorAs(t, rt.(interface{ OptionsError() error }).OptionsError(), &refused, name)
	}
}

func TestChallengesAreRead(t *testing.T) {
	for lines, want := range map[string]string{ // of WWW-Authenticate, to what is read
		``:                 ``,
		`Bearer`:           `Bearer `,
		`Bearer error="x"`: `Bearer x`,
		`bearer ERROR=x`:   `bearer x`,
		`Basic realm="a", Bearer realm="b, error=c", error="d"`: `Basic ;Bearer d`,
		`Negotiate, Basic realm="error"|NTLM`:                   `Negotiate ;Basic ;NTLM `,
		`Negotiate abc==, Bearer`:                               `Negotiate ;Bearer `,
		`error="x"`:                                             ``,
		`Bearer error = "x"`:                                    `Bearer x`,
		`Bearer realm="x" , error = "y"`:                        `Bearer y`,
	} {
		require.Empty(t, cmp.Diff(want, auth.Challenges(strings.Split(lines, "|"))), lines)
	}
}

// unusable is a signer with options of its own that cannot be carried out.
type unusable struct{}

func (unusable) Sign(*http.Request) error { return nil }
func (unusable) OptionsError() error      { return errDown }

// A request that was made by hand may lack a header, and even a URL.
func TestRequestMadeByHand(t *testing.T) {
	sign := auth.SignerFunc(func(r *http.Request) error { r.Header.Set("X-Signature", "s"); return nil })
	base, _ := url.Parse(api)
	for name, layer := range map[string]func(http.RoundTripper) http.RoundTripper{
		"a token":     auth.New(auth.Options{Source: auth.APIKey("me", "k"), Origins: []string{api}}),
		"a signature": auth.Sign(auth.SignOptions{Signer: sign, Origins: []string{api}}),
	} {
		origin := plytest.NewOrigin()
		send(t, layer(origin), (&http.Request{Method: "GET", URL: base}).WithContext(t.Context()))
		require.NotEmpty(t, origin.Exchanges()[0].Header, name)
		passed := false
		_, err := layer(roundTripper(func(*http.Request) (*http.Response, error) {
			passed = true
			return nil, errDown
		})).RoundTrip((&http.Request{Method: "GET"}).WithContext(t.Context()))
		require.ErrorIs(t, err, errDown, name)
		require.True(t, passed, name)
	}
}

// Another field, even one whose name is as long, is no credential of the request's own.
func TestOtherFieldsLeaveRoomForTheToken(t *testing.T) {
	origin, rt := newAPI(auth.Options{Source: auth.APIKey("me", "k")})
	r := newRequest(t, t.Context(), "GET", api, "")
	r.Header.Set("X-Correlation", "1")
	send(t, rt, r)
	require.Equal(t, "Bearer k", origin.Exchanges()[0].Header.Get("Authorization"))
}
