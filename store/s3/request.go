package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/plyhttp/ply/store"
)

// errPrecondition says that a conditional request found something else than it was made for.
var errPrecondition = errors.New("the object has been changed meanwhile")

// request makes one request: it waits for a slot, ends with ctx or after Options.Timeout, and returns an error that names no secret.
// The SDK and net/http give up as soon as the context is done, so that no goroutine is needed.
func (s *Store) request(ctx context.Context, f func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.slots }()
	limited, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	err := f(limited)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return context.DeadlineExceeded
	}
	return clean(err)
}

// fetched is the content of an object, or the beginning of it.
type fetched struct {
	value []byte
	etag  string // "" if there is no object
}

// fetch reads an object, or of a longer one the first limit bytes and one more. With a range ("bytes=0-1023") the server sends no more than that.
func (s *Store) fetch(ctx context.Context, name, byteRange string, limit int64) (got fetched, err error) {
	in := &awss3.GetObjectInput{Bucket: &s.bucket, Key: &name}
	if byteRange != "" {
		in.Range = &byteRange
	}
	err = s.request(ctx, func(ctx context.Context) error {
		out, err := s.client.GetObject(ctx, in, s.configure)
		if err != nil {
			return err
		}
		defer out.Body.Close()
		if aws.ToString(out.ETag) == "" {
			return errors.New("the server sends no ETag: use another server")
		}
		value, err := readUpTo(out.Body, limit, aws.ToInt64(out.ContentLength))
		if err != nil {
			return err
		}
		got = fetched{value: value, etag: *out.ETag}
		return nil
	})
	if code(err) == "NoSuchKey" {
		return fetched{}, nil
	}
	return got, err
}

// readUpTo reads limit bytes and one more, so that it shows that there are more. announced is what the server says, which is used to read in one piece.
func readUpTo(r io.Reader, limit, announced int64) ([]byte, error) {
	var b bytes.Buffer
	if announced > 0 {
		b.Grow(int(min(announced, limit+1)) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// write puts an object in the place of the one with this ETag, or, if that is "", of none. Otherwise it returns errPrecondition.
func (s *Store) write(ctx context.Context, name string, value []byte, etag string) error {
	in := &awss3.PutObjectInput{Bucket: &s.bucket, Key: &name, ContentType: aws.String("application/octet-stream")}
	if etag == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &etag
	}
	if s.opt.KMSKey != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &s.opt.KMSKey
	}
	err := s.conditional(ctx, func(ctx context.Context) error {
		in.Body = bytes.NewReader(value)
		_, err := s.client.PutObject(ctx, in, s.configure)
		return err
	})
	if etag != "" && code(err) == "NoSuchKey" {
		return errPrecondition
	}
	return err
}

// remove deletes an object, or, with an ETag, that one only. That there is none is no error.
func (s *Store) remove(ctx context.Context, name, etag string) error {
	in := &awss3.DeleteObjectInput{Bucket: &s.bucket, Key: &name}
	if etag != "" {
		in.IfMatch = &etag
	}
	err := s.conditional(ctx, func(ctx context.Context) error {
		_, err := s.client.DeleteObject(ctx, in, s.configure)
		return err
	})
	switch {
	case code(err) != "NoSuchKey":
		return err
	case etag != "":
		return errPrecondition
	}
	return nil
}

const tries = 3 // of a conditional request that meets another one

// conditional makes a request with a condition. That another one for the same object is under way (409) says nothing about the condition,
// so it is made again, soon.
func (s *Store) conditional(ctx context.Context, f func(ctx context.Context) error) error {
	for try := 1; ; try++ {
		err := s.request(ctx, f)
		switch {
		case err == nil:
			return nil
		case statusOf(err) == http.StatusPreconditionFailed:
			return errPrecondition
		case statusOf(err) != http.StatusConflict:
			return err
		case try == tries:
			return store.ErrConflict
		}
		select {
		case <-time.After(time.Duration(try)*5*time.Millisecond + rand.N(5*time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A refusal is what the server answered. It has the server's code, which says all that is needed, and none of its text: that may repeat what was sent.
type refusal struct {
	status int
	code   string
}

var codes = regexp.MustCompile(`^[A-Za-z0-9.]{1,64}$`)

// hints say what to do about some codes.
var hints = map[string]string{
	"AccessDenied":          "the credentials need s3:GetObject, s3:PutObject and s3:DeleteObject for the objects, and s3:ListBucket for the bucket, without which what is absent looks like this as well",
	"InvalidAccessKeyId":    "check the access key",
	"SignatureDoesNotMatch": "check the secret key",
	"ExpiredToken":          "renew the session token",
	"NoSuchBucket":          "create the bucket",
	"PermanentRedirect":     "the bucket is in another region or at another endpoint",
	"SlowDown":              "the server wants fewer requests",
	"NotImplemented":        "the server lacks conditional writes: use another server",
	"MovedPermanently":      "the bucket is in another region or at another endpoint",
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("the server answers %d %s", r.status, r.code)
	if hint := hints[r.code]; hint != "" {
		text += ": " + hint
	}
	return strings.TrimSpace(text)
}

// Unwrap returns the code as the SDK has it, for errors.As.
func (r *refusal) Unwrap() error {
	return &smithy.GenericAPIError{Code: r.code, Message: hints[r.code]}
}

// clean returns what an error of the SDK says without what a server or a proxy has sent beside its code.
func clean(err error) error {
	if e := new(smithy.OperationError); errors.As(err, &e) && strings.HasPrefix(e.Unwrap().Error(), "get identity: ") {
		return errors.New("there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or Options.Credentials")
	}
	if e := new(awshttp.ResponseError); errors.As(err, &e) && e.HTTPStatusCode() >= 300 {
		r := &refusal{status: e.HTTPStatusCode()}
		if api := smithy.APIError(nil); errors.As(err, &api) && codes.MatchString(api.ErrorCode()) {
			r.code = api.ErrorCode()
		}
		return r
	}
	if e := new(url.Error); errors.As(err, &e) {
		return e.Err
	}
	if e := new(smithy.OperationError); errors.As(err, &e) {
		return errors.New("the answer of the server cannot be read")
	}
	return err
}

func statusOf(err error) int {
	if r := new(refusal); errors.As(err, &r) {
		return r.status
	}
	return 0
}

func code(err error) string {
	if r := new(refusal); errors.As(err, &r) {
		return r.code
	}
	return ""
}

// fail names the call that failed.
func fail(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errPrecondition):
		err = store.ErrConflict
	}
	return fmt.Errorf("s3: %s: %w", op, err)
}
