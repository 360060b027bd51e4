// Package sigv4 signs requests with AWS Signature Version 4, on the signer of the AWS SDK for Go v2.
//
// [New] makes a layer that belongs below retry, for a signature has a time in it, and each attempt needs one of its own.
package sigv4

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/plyhttp/ply/middleware/auth"
)

// Options say who signs what. All but Principal and UnsignedPayload are needed.
type Options struct {
	// Credentials yields access keys: aws.Config.Credentials, for one. They are cached until they expire, and fetched once for all who wait.
	Credentials aws.CredentialsProvider

	// Service and Region are those of the endpoint: "execute-api", "s3", "es"; "eu-central-1".
	Service, Region string

	// Origins are those that may get the signature, and the session token: "https://*.execute-api.eu-central-1.amazonaws.com". See auth.Options.Origins.
	Origins []string

	// Principal names for whom the answers are, for a cache above: an account, a role. Access keys of a session change too often for that.
	// Zero means that a cache stores what was signed only if the principal is named above it.
	Principal string

	// UnsignedPayload leaves the body out of the signature, which S3 allows over https. Otherwise a body is hashed before it is sent,
	// from the request's GetBody, and a request with a body and without GetBody is an error.
	UnsignedPayload bool
}

// Format shows no access key, whatever the verb.
func (o Options) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Service:%q Region:%q Origins:%q Principal:%q UnsignedPayload:%t}", o.Service, o.Region, o.Origins, o.Principal, o.UnsignedPayload)
}

// MarshalText encodes what Format prints, so that JSON and log/slog show nothing else either.
func (o Options) MarshalText() ([]byte, error) { return fmt.Append(nil, o), nil }

// New returns a layer that signs requests. One that has an Authorization field, or a signature in its query, goes on as it came.
//
// Options that cannot be carried out make a layer that sends nothing and returns the error from each RoundTrip; ply.New refuses it.
func New(o Options) func(next http.RoundTripper) http.RoundTripper {
	s := &signer{opts: o, signer: v4.NewSigner(func(so *v4.SignerOptions) { so.DisableURIPathEscaping = o.Service == "s3" })}
	if o.Credentials != nil {
		s.credentials = aws.NewCredentialsCache(o.Credentials)
	}
	return auth.Sign(auth.SignOptions{Signer: s, Origins: o.Origins, Principal: o.Principal})
}

type signer struct {
	credentials *aws.CredentialsCache
	opts        Options
	signer      *v4.Signer
}

// OptionsError reports the first field that is missing.
func (s *signer) OptionsError() error {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"Credentials", s.credentials == nil}, {"Service", s.opts.Service == ""}, {"Region", s.opts.Region == ""},
	} {
		if f.missing {
			return &auth.OptionError{Package: "sigv4", Option: f.name, Reason: "is missing"}
		}
	}
	return nil
}

const unsigned = "UNSIGNED-PAYLOAD"

// Sign adds the signature of now.
func (s *signer) Sign(r *http.Request) error {
	if authorized(r.Header) || r.URL.Query().Has("X-Amz-Signature") {
		return nil
	}
	keys, err := s.credentials.Retrieve(r.Context())
	if err != nil {
		return fmt.Errorf("sigv4: no credentials: %w", err)
	}
	hash, err := s.payload(r)
	if err != nil {
		return err
	}
	if s.opts.Service == "s3" || hash == unsigned {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	return s.signer.SignHTTP(r.Context(), keys, r, hash, s.opts.Service, s.opts.Region, time.Now())
}

// payload is the hash of the body, read from a copy.
func (s *signer) payload(r *http.Request) (string, error) {
	h := sha256.New()
	switch {
	case s.opts.UnsignedPayload:
		return unsigned, nil
	case r.Body == nil || r.Body == http.NoBody:
	case r.GetBody == nil:
		return "", errors.New("sigv4: the body cannot be hashed before it is sent: give the request GetBody, or set Options.UnsignedPayload if the service allows that")
	default:
		body, err := r.GetBody()
		if err != nil {
			return "", fmt.Errorf("sigv4: the body cannot be hashed: %w", err)
		}
		defer body.Close()
		if _, err := io.Copy(h, &canceled{r.Context(), body}); err != nil {
			return "", fmt.Errorf("sigv4: the body cannot be hashed: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// canceled is a reader that ends with its context.
type canceled struct {
	context.Context
	io.Reader
}

func (c *canceled) Read(p []byte) (int, error) {
	if c.Err() != nil {
		return 0, context.Cause(c)
	}
	return c.Reader.Read(p)
}

// authorized reports whether a request has credentials of its own. A caller can fill the map with a name in any case.
func authorized(h http.Header) bool {
	for name := range h {
		if strings.EqualFold(name, "Authorization") {
			return true
		}
	}
	return false
}
