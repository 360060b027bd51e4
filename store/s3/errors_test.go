//go:build unix

package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/s3"
	"github.com/plyhttp/ply/store/s3/internal/fake"
)

// What cannot be carried out is an error at once that says what to do, and quotes no secret.
func TestOpenRefuses(t *testing.T) {
	for rawURL, want := range map[string]string{
		"":                       "s3://bucket/prefix",
		"http://bucket":          "s3://bucket/prefix",
		"s3:bucket":              "s3://bucket/prefix",
		"s3:///prefix":           "s3://bucket/prefix",
		"s3://key:sesame@bucket": "Options.Credentials",
		"s3://bu%zzcket:sesame":  "cannot be parsed",
		"s3://bucket/a/../b":     "Options.Prefix",
		"s3://bucket/./b":        "Options.Prefix",
		"s3://bucket/a%20b":      "Options.Prefix",
		"s3://bucket/" + strings.Repeat("x", 201): "Options.Prefix",
		"s3://b?region=":                                  "region",
		"s3://bucket#sesame":                              "fragment",
		"s3://bucket?secret=sesame":                       `not known: "secret"`,
		"s3://bucket?path_style=yes":                      "path_style",
		"s3://bucket?endpoint=minio:9000":                 "Options.Endpoint",
		"s3://bucket?endpoint=http://a:sesame@minio:9000": "Options.Endpoint",
		"s3://bucket?endpoint=http://minio/%3Fx=sesame":   "Options.Endpoint",
		"s3://bucket?max_record_bytes=1GiB":               "Options.MaxRecordBytes",
		"s3://bucket?timeout=-1s":                         "timeout",
		"s3://bucket?connections=20000":                   "Options.Connections",
		"s3://bucket?profile=nosuchprofile":               "Options.Profile",
		"s3://x":                                          "no name of a bucket",
	} {
		s, err := s3.Open(rawURL, s3.Options{})
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), "s3: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v, want an error with %q and without a secret", rawURL, err, want)
		}
	}
	if _, err := s3.New(nil, "bucket", s3.Options{}); err == nil {
		t.Error("New takes a nil client")
	}
	if _, err := s3.New(awss3.New(awss3.Options{}), "", s3.Options{}); err == nil {
		t.Error("New takes a bucket without a name")
	}
	option := new(s3.OptionError)
	if _, err := s3.New(awss3.New(awss3.Options{}), "bucket", s3.Options{Timeout: -1}); !errors.As(err, &option) || option.Option != "Options.Timeout" {
		t.Errorf("New with a negative timeout: %v, want an OptionError", err)
	}
}

func TestOpenWithoutARegionSaysSo(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	if _, err := s3.Open("s3://bucket", s3.Options{}); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("%v, want an error that names AWS_REGION", err)
	}
	if _, err := s3.Open("s3://bucket?endpoint=http://127.0.0.1:1", s3.Options{}); err != nil {
		t.Errorf("with an endpoint: %v", err)
	}
}

// The URL says what the options say otherwise, and goes before them.
func TestOpenURLSetsTheOptions(t *testing.T) {
	f := fake.New(t)
	s, err := store.OpenURL(t.Context(), fmt.Sprintf(
		"s3://%s/deep/prefix/?endpoint=%s&path_style=true&region=eu-west-1&kms_key=alias/k&max_record_bytes=1KiB&timeout=10s&connections=2", fake.Bucket, f.URL))
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x")}))
	_, header := f.Value("deep/prefix/k.ply")
	if header.Get("X-Amz-Server-Side-Encryption") != "aws:kms" || header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != "alias/k" {
		t.Errorf("the object is put with %v, want the key of KMS", header)
	}
	if !strings.Contains(header.Get("Authorization"), accessKey+"/") || !strings.Contains(header.Get("Authorization"), "/eu-west-1/s3/") {
		t.Errorf("the request is signed with %q", header.Get("Authorization"))
	}
	if err := s.Put(t.Context(), "l", store.Record{Data: make([]byte, 1025)}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Put of more than max_record_bytes: %v, want ErrTooLarge", err)
	}
}

func TestAnonymousRequestsAreNotSigned(t *testing.T) {
	f := fake.New(t)
	s, err := s3.Open(fmt.Sprintf("s3://%s?endpoint=%s&path_style=true&anonymous=true", fake.Bucket, f.URL), s3.Options{})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x")}))
	if _, header := f.Value("ply/k.ply"); header.Get("Authorization") != "" {
		t.Errorf("the request is signed with %q", header.Get("Authorization"))
	}
}

// The client of a program works as well, with its own options. Nothing that some servers refuse is sent: no checksum that the server must compute.
func TestNewTakesAClient(t *testing.T) {
	f := fake.New(t)
	client := awss3.New(awss3.Options{Region: "us-east-1", BaseEndpoint: aws.String(f.URL), UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")})
	s, err := s3.New(client, fake.Bucket, s3.Options{Prefix: "a/b"})
	require.NoError(t, err)
	put(t, s, "k", "v")
	value, header := f.Value("a/b/k.ply")
	for name := range header {
		if strings.Contains(strings.ToLower(name), "checksum") || name == "X-Amz-Trailer" {
			t.Errorf("the request has %s", name)
		}
	}
	if !strings.HasSuffix(string(value), "\nv") {
		t.Errorf("the object holds %q", value)
	}
	require.NoError(t, s.Close())
}

// Whatever a server or a proxy sends back, an error has none of the secrets that it was sent.
func TestErrorsHaveNoSecrets(t *testing.T) {
	const token = "token-sesame"
	f := fake.New(t)
	s := open(t, f.Listener.Addr().String(), "ply", s3.Options{Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, token)})
	f.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		said := strings.NewReplacer("<", "", "&", "").Replace(fmt.Sprint(r.Header, secretKey))
		w.Header().Set("X-Amz-Request-Id", said)
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>%s</Message><StringToSign>%[1]s</StringToSign></Error>", said)
		return true
	})
	check := func(what string, err error) {
		t.Helper()
		for e := err; e != nil; e = errors.Unwrap(e) {
			for _, secret := range []string{secretKey, token, "Signature"} {
				if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, secret) {
					t.Errorf("%s: the error %q has %q", what, text, secret)
				}
			}
		}
	}
	_, err := s.Get(t.Context(), "k")
	check("Get", err)
	api := smithy.APIError(nil)
	if !errors.As(err, &api) || api.ErrorCode() != "AccessDenied" || !strings.Contains(err.Error(), "s3:ListBucket") {
		t.Errorf("%v, want an error with the server's code, and what to do", err)
	}
	check("Put", s.Put(t.Context(), "k", store.Record{Data: []byte("x")}))
	check("Delete", s.Delete(t.Context(), "k", ""))
	check("Clear", s.Clear(t.Context()))
	f.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://127.0.0.1:1/?X-Amz-Security-Token="+token, http.StatusTemporaryRedirect)
		return true
	})
	_, err = s.Get(t.Context(), "k")
	check("Get that is redirected", err)
	if err == nil {
		t.Error("Get follows a redirect")
	}
	f.Close()
	_, err = s.Get(t.Context(), "k")
	check("Get from a server that is away", err)
	if err == nil || !strings.HasPrefix(err.Error(), "s3: get: ") {
		t.Errorf("Get from a server that is away: %v", err)
	}
}

func TestMissingCredentialsAreAnErrorThatSaysSo(t *testing.T) {
	f := fake.New(t)
	s := open(t, f.Listener.Addr().String(), "ply", s3.Options{Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("sesame")
	})})
	_, err := s.Get(t.Context(), "k")
	if err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") || strings.Contains(err.Error(), "sesame") {
		t.Errorf("%v, want an error that says what to set", err)
	}
}

// Ping finds out what a server does not do, before a cache loses updates by it.
func TestPing(t *testing.T) {
	ctx := t.Context()
	require.NoError(t, open(t, start(t).addr, "ply", s3.Options{}).Ping(ctx))
	f, s := fakeServer(t, s3.Options{})
	require.NoError(t, s.Ping(ctx))
	if names := f.Names(); len(names) != 0 {
		t.Errorf("Ping leaves %q", names)
	}
	f.IgnorePut = true
	if err := s.Ping(ctx); err == nil || !strings.Contains(err.Error(), "If-None-Match") {
		t.Errorf("a server that ignores conditions: %v", err)
	}
	f.IgnorePut = false
	s, err := s3.Open(fmt.Sprintf("s3://nosuchbucket?endpoint=%s&path_style=true", f.URL), s3.Options{})
	require.NoError(t, err)
	if err := s.Ping(ctx); err == nil || !strings.Contains(err.Error(), "create the bucket") {
		t.Errorf("no such bucket: %v", err)
	}
	if _, err := s.Get(ctx, "k"); err == nil {
		t.Error("Get from a bucket that is not there is no error")
	}
}
