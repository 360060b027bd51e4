package sigv4_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/auth/sigv4"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestMain(m *testing.M) { os.Exit(plytest.VerifyMain(m)) }

const (
	accessKey = "AKIDEXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

func keys(id, session string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secretKey, SessionToken: session}, nil
	})
}

func sum(data string) string {
	h := sha256.Sum256([]byte(data))
	return hex.EncodeToString(h[:])
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, data)
	return h.Sum(nil)
}

// escaped is the URI encoding of the specification: everything but the unreserved characters, with slashes kept or not.
func escaped(s string, slashes bool) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0, c == '/' && slashes:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// signature is what a request must be signed with, from the specification of Signature Version 4 and not from the SDK.
// path is the path as it was sent.
func signature(r *http.Request, path, service, scope, signed, payload string) string {
	if path == "" {
		path = "/"
	}
	if service != "s3" {
		path = escaped(path, true) // for the second time
	}
	var query []string
	for name, values := range r.URL.Query() {
		for _, v := range values {
			query = append(query, escaped(name, false)+"="+escaped(v, false))
		}
	}
	slices.Sort(query)
	var fields strings.Builder
	for name := range strings.SplitSeq(signed, ";") {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		fields.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	canonical := strings.Join([]string{r.Method, path, strings.Join(query, "&"), fields.String(), signed, payload}, "\n")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), scope, sum(canonical)}, "\n")
	key := []byte("AWS4" + secretKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, text))
}

// verify returns the access key of a request whose signature is right.
func verify(r *http.Request, service string) (id string, err error) {
	line, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "", errors.New("not signed")
	}
	p := map[string]string{}
	for part := range strings.SplitSeq(line, ", ") {
		name, value, _ := strings.Cut(part, "=")
		p[name] = value
	}
	id, scope, _ := strings.Cut(p["Credential"], "/")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 5*time.Minute || !strings.HasPrefix(scope, at.Format("20060102")+"/") || !strings.HasSuffix(scope, "/"+service+"/aws4_request") {
		return "", fmt.Errorf("not of now: %v %s", at, scope)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	payload := sum(string(body))
	if r.Header.Get("X-Amz-Content-Sha256") == "UNSIGNED-PAYLOAD" {
		payload = "UNSIGNED-PAYLOAD"
	}
	for _, must := range []string{"host", "x-amz-date", "x-amz-security-token"} {
		if (must == "host" || r.Header.Get(must) != "") && !slices.Contains(strings.Split(p["SignedHeaders"], ";"), must) {
			return "", errors.New(must + " is not signed")
		}
	}
	if want := signature(r, r.URL.EscapedPath(), service, scope, p["SignedHeaders"], payload); want != p["Signature"] {
		return "", fmt.Errorf("signature %s, want %s", p["Signature"], want)
	}
	return id, nil
}

// The verification agrees with the example "get-vanilla" of Amazon's test suite.
func TestVerificationIsThatOfAmazon(t *testing.T) {
	r := &http.Request{Method: "GET", Host: "example.amazonaws.com", URL: &url.URL{Path: "/"}, Header: http.Header{"X-Amz-Date": {"20150830T123600Z"}}}
	got := signature(r, "/", "service", "20150830/us-east-1/service/aws4_request", "host;x-amz-date", sum(""))
	if want := "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestSignaturesAreRight(t *testing.T) {
	for _, service := range []string{"execute-api", "s3"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := verify(r, service); err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
			}
		}))
		defer server.Close()
		for name, o := range map[string]sigv4.Options{
			"long-lived keys":  {Credentials: keys(accessKey, "")},
			"a session":        {Credentials: keys(accessKey, "session/token==")},
			"unsigned payload": {Credentials: keys(accessKey, ""), UnsignedPayload: true},
		} {
			t.Run(service+" "+name, func(t *testing.T) {
				o.Service, o.Region, o.Origins = service, "eu-central-1", []string{server.URL}
				hc := &http.Client{Transport: sigv4.New(o)(nil)}
				defer hc.CloseIdleConnections()
				for _, test := range []struct{ method, target, body string }{
					{"GET", "", ""}, {"GET", "/a/b%20c/%C3%BC", ""}, {"GET", "/x?b=2&a=1&a=0&c", ""}, {"GET", "/x?q=a%20b%2Fc&d=e+f", ""},
					{"POST", "/x", "content"}, {"PUT", "/large", strings.Repeat("x", 1<<20)}, {"DELETE", "/it's/(a)*test", ""},
				} {
					r, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.target, strings.NewReader(test.body))
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("X-Amz-Meta-Note", "  two   words ")
					resp, err := hc.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					text, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if resp.StatusCode != 200 {
						t.Errorf("%s %s: %s", test.method, test.target, text)
					}
				}
			})
		}
	}
}

// Each attempt is signed at its own time, and a cache above keeps what comes back under the principal, through a change of keys.
func TestAttemptsAreSignedAnewAndCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		var dates []string
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			dates = append(dates, r.Header.Get("X-Amz-Date"))
			if _, err := verify(r, "execute-api"); err != nil {
				t.Error(err)
			}
			if n.Add(1) < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("Cache-Control", "max-age=86400")
		}))
		store, err := cache.New(cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		var fetched atomic.Int64
		rotating := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			i := fetched.Add(1)
			return aws.Credentials{AccessKeyID: fmt.Sprint("ASIA", i), SecretAccessKey: secretKey, SessionToken: fmt.Sprint("s", i), CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
		})
		client := func(principal string) http.RoundTripper {
			return store.Middleware(retry.New(retry.Options{Backoff: retry.Constant(10 * time.Second)})(sigv4.New(sigv4.Options{
				Credentials: rotating, Service: "execute-api", Region: "r", Origins: []string{"https://a.test"}, Principal: principal,
			})(origin)))
		}
		get := func(rt http.RoundTripper) {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://a.test/x", nil)
			resp, err := rt.RoundTrip(r)
			if err != nil || resp.StatusCode != 200 {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
		}
		one := client("account 1")
		for range 5 {
			get(one)
			time.Sleep(2 * time.Hour)
		}
		if n.Load() != 3 || dates[0] == dates[1] || dates[1] == dates[2] {
			t.Errorf("%d requests at %v, want three, each at its time", n.Load(), dates)
		}
		get(client("account 2"))
		if n.Load() != 4 {
			t.Error("another account got what was stored for the first")
		}
	})
}

// A herd fetches credentials once, each of its requests is right, and one that is canceled leaves the others alone.
func TestHerdFetchesCredentialsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetched atomic.Int64
		slow := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			time.Sleep(time.Second)
			fetched.Add(1)
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
		})
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := verify(r, "execute-api"); err != nil {
				t.Error(err)
			}
		}))
		rt := sigv4.New(sigv4.Options{Credentials: slow, Service: "execute-api", Region: "r", Origins: []string{"https://a.test"}})(origin)
		var herd sync.WaitGroup
		for i := range 200 {
			herd.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if i%10 == 0 {
					time.AfterFunc(time.Millisecond, cancel)
				}
				r, _ := http.NewRequestWithContext(ctx, "PUT", fmt.Sprint("https://a.test/", i), strings.NewReader(strings.Repeat("x", i)))
				resp, err := rt.RoundTrip(r)
				if i%10 == 0 {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("%v, want the cancellation", err)
					}
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			})
		}
		herd.Wait()
		if fetched.Load() != 1 || origin.Count() != 180 {
			t.Errorf("fetched %d times for %d requests", fetched.Load(), origin.Count())
		}
	})
}

func TestWhatIsNotSigned(t *testing.T) {
	origin := plytest.NewOrigin()
	rt := sigv4.New(sigv4.Options{Credentials: keys(accessKey, ""), Service: "s3", Region: "r", Origins: []string{"https://a.test"}})(origin)
	for name, change := range map[string]func(*http.Request){
		"another origin":           func(r *http.Request) { r.URL.Host = "b.test" },
		"credentials of its own":   func(r *http.Request) { r.Header.Set("Authorization", "x") },
		"credentials in any case":  func(r *http.Request) { r.Header["authorization"] = []string{"x"} },
		"a signature in the query": func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=y" },
	} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://a.test/x", nil)
		change(r)
		before := r.Header.Get("Authorization")
		if _, err := rt.RoundTrip(r); err != nil {
			t.Error(name, err)
		}
		seen := origin.Exchanges()
		if x := seen[len(seen)-1]; x.Header.Get("Authorization") != before || x.Header.Get("X-Amz-Date") != "" {
			t.Errorf("%s: %v", name, x.Header)
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), "PUT", "https://a.test/x", io.MultiReader(strings.NewReader("x")))
	_, err := rt.RoundTrip(r)
	var failed *auth.Error
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "GetBody") {
		t.Errorf("%v, want that the body cannot be hashed", err)
	}
}

func TestContract(t *testing.T) {
	plytest.CheckMiddleware(t, sigv4.New(sigv4.Options{Credentials: keys(accessKey, ""), Service: "s3", Region: "r", Origins: []string{"https://layer.test"}, UnsignedPayload: true}))
}

func TestOptions(t *testing.T) {
	full := sigv4.Options{Credentials: keys(accessKey, ""), Service: "s3", Region: "r", Origins: []string{"https://a.test"}}
	for want, change := range map[string]func(*sigv4.Options){
		"Credentials": func(o *sigv4.Options) { o.Credentials = nil }, "Service": func(o *sigv4.Options) { o.Service = "" },
		"Region": func(o *sigv4.Options) { o.Region = "" }, "Origins": func(o *sigv4.Options) { o.Origins = nil },
	} {
		o := full
		change(&o)
		_, err := sigv4.New(o)(nil).RoundTrip(&http.Request{})
		var refused *auth.OptionError
		if !errors.As(err, &refused) || refused.Option != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// static yields keys that are in the provider itself, as those of the SDK do.
type static struct{ Value aws.Credentials }

func (s static) Retrieve(context.Context) (aws.Credentials, error) { return s.Value, nil }

func TestPrintedOptionsShowNoKey(t *testing.T) {
	o := sigv4.Options{Credentials: static{aws.Credentials{AccessKeyID: "AKIDHUSH", SecretAccessKey: "hush", SessionToken: "hush"}}, Service: "s3"}
	encoded, err := json.Marshal(map[string]any{"o": o})
	if text := fmt.Sprintf("%v %+v %#v %d %s", o, &o, o, o, encoded); err != nil || strings.Contains(strings.ToLower(text), "hush") || !strings.Contains(string(encoded), "s3") {
		t.Error(text, err)
	}
}
