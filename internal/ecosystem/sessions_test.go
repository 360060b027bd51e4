package ecosystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-github/v89/github"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest/tape"
)

// The secrets of the sessions. No tape may have them.
const (
	awsSecret    = "c4n4ry-of-the-secret-key"
	awsToken     = "c4n4ry-of-the-session-token"
	githubToken  = "c4n4ry-of-the-token"
	githubCookie = "c4n4ry-of-the-cookie"
)

func awsCredentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", awsSecret, awsToken)
}

// A log collects what the consumer of an SDK gets: results, bytes and errors, in their order.
type sessionLog struct{ strings.Builder }

func (l *sessionLog) add(what string, values ...any) {
	fmt.Fprintf(l, "%s:", what)
	for _, v := range values {
		if err, is := v.(error); is {
			fmt.Fprintf(l, " error %v", err)
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			b = []byte(err.Error())
		}
		fmt.Fprintf(l, " %s", b)
	}
	l.WriteByte('\n')
}

// s3Session puts objects into a bucket, reads them in several ways, and meets errors.
func s3Session(ctx context.Context, hc *http.Client, origin string) string {
	var log sessionLog
	store := s3.New(s3.Options{BaseEndpoint: aws.String(origin), Region: "eu-central-1", UsePathStyle: true, HTTPClient: hc, Credentials: awsCredentials(), RetryMaxAttempts: 1})
	bucket := aws.String("books")
	_, err := store.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket})
	log.add("create", err)
	for key, content := range map[string]string{"ada": "notes\x00\xff on the engine"} {
		put, err := store.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String(key), Body: strings.NewReader(content), Metadata: map[string]string{"author": key}})
		log.add("put", put, err)
	}
	for _, in := range []*s3.GetObjectInput{{Key: aws.String("ada")}, {Key: aws.String("ada"), Range: aws.String("bytes=1-3")}, {Key: aws.String("none")}} {
		in.Bucket = bucket
		out, err := store.GetObject(ctx, in)
		if err != nil {
			var missing *s3types.NoSuchKey
			log.add("get", errors.As(err, &missing), err)
			continue
		}
		body, err := io.ReadAll(out.Body)
		out.Body.Close()
		log.add("get", body, err, out.ETag, out.LastModified, out.ContentLength, out.ContentRange, out.Metadata)
	}
	list, err := store.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
	log.add("list", list, err)
	head, err := store.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("ada")})
	log.add("head", head, err)
	gone, err := store.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("ada")})
	log.add("delete", gone, err)
	_, err = store.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("ada")})
	log.add("head of what is gone", err)
	return log.String()
}

// dynamoDB answers as DynamoDB does: each operation is a POST to the same URL, named by a field, told apart by its content, and sealed by a checksum.
func dynamoDB() http.HandlerFunc {
	items := map[string]json.RawMessage{}
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Key  json.RawMessage
			Item map[string]json.RawMessage

			ConditionExpression string
		}
		body, _ := io.ReadAll(r.Body)
		json.Unmarshal(body, &in)
		status, out := 200, []byte("{}")
		switch _, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); {
		case operation == "PutItem" && in.ConditionExpression != "":
			status, out = 400, []byte(`{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed"}`)
		case operation == "PutItem":
			item, _ := json.Marshal(in.Item)
			items[fmt.Sprintf(`{"id":%s}`, in.Item["id"])] = item
		case operation == "GetItem" && items[string(in.Key)] != nil:
			out = fmt.Appendf(nil, `{"Item":%s}`, items[string(in.Key)])
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE(out)))
		w.WriteHeader(status)
		w.Write(out)
	}
}

func dynamoDBSession(ctx context.Context, hc *http.Client, origin string) string {
	var log sessionLog
	db := dynamodb.New(dynamodb.Options{BaseEndpoint: aws.String(origin), Region: "eu-central-1", HTTPClient: hc, Credentials: awsCredentials(), RetryMaxAttempts: 1})
	table := aws.String("books")
	id := func(id string) dynamodbtypes.AttributeValue { return &dynamodbtypes.AttributeValueMemberS{Value: id} }
	for _, name := range []string{"ada", "charles"} {
		out, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: map[string]dynamodbtypes.AttributeValue{"id": id(name), "bytes": &dynamodbtypes.AttributeValueMemberB{Value: []byte(name + "\x00")}}})
		log.add("put "+name, out, err)
	}
	for _, name := range []string{"charles", "ada", "none"} {
		out, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: map[string]dynamodbtypes.AttributeValue{"id": id(name)}})
		log.add("get "+name, out, err)
	}
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: map[string]dynamodbtypes.AttributeValue{"id": id("ada")}, ConditionExpression: aws.String("attribute_not_exists(id)")})
	var failed *dynamodbtypes.ConditionalCheckFailedException
	log.add("put on a condition", errors.As(err, &failed), failed)
	return log.String()
}

// gitHub answers as GitHub's API does: pages with links, states of the rate limit, errors in JSON, and a cookie that it would rather keep.
func gitHub(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Ratelimit-Limit", "5000")
	h.Set("X-Ratelimit-Remaining", "4999")
	h.Set("X-Ratelimit-Reset", "4102444800")
	h.Set("Set-Cookie", "_octo="+githubCookie+"; Path=/; Secure")
	switch path := strings.TrimPrefix(r.URL.Path, "/api/v3"); {
	case path == "/users/ada/repos" && r.FormValue("page") != "2":
		h.Set("Link", fmt.Sprintf(`<http://%s%s?page=2>; rel="next"`, r.Host, r.URL.Path))
		io.WriteString(w, `[{"id": 1, "name": "engine"}]`)
	case path == "/users/ada/repos":
		io.WriteString(w, `[{"id": 2, "name": "notes – über"}]`)
	case path == "/repos/ada/engine/issues" && r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"number": %d, "title": "made", "body": %q}`, len(body), "of "+fmt.Sprint(len(body))+" bytes")
	case path == "/repos/ada/engine/contents/card":
		io.WriteString(w, `{"type": "file", "encoding": "base64", "name": "card", "content": "AAH+/w=="}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"message": "Not Found", "documentation_url": "https://docs.example/"}`)
	}
}

func gitHubSession(ctx context.Context, hc *http.Client, origin string) string {
	var log sessionLog
	gh, err := github.NewClient(github.WithHTTPClient(hc), github.WithAuthToken(githubToken), github.WithEnterpriseURLs(origin, origin))
	if err != nil {
		return err.Error()
	}
	for page := 1; page != 0; {
		repos, resp, err := gh.Repositories.ListByUser(ctx, "ada", &github.RepositoryListByUserOptions{ListOptions: github.ListOptions{Page: page}})
		if err != nil {
			return err.Error()
		}
		log.add("page", repos, resp.Rate, resp.NextPage, resp.Header.Get("Date"))
		page = resp.NextPage
	}
	for _, title := range []string{"it whistles", "it jams"} {
		issue, _, err := gh.Issues.Create(ctx, "ada", "engine", &github.IssueRequest{Title: github.Ptr(title)})
		log.add("issue", issue, err)
	}
	file, _, _, err := gh.Repositories.GetContents(ctx, "ada", "engine", "card", nil)
	content := ""
	if err == nil {
		content, err = file.GetContent()
	}
	log.add("file", []byte(content), err)
	_, _, err = gh.Users.Get(ctx, "none")
	var failed *github.ErrorResponse
	log.add("user", errors.As(err, &failed), err)
	return log.String()
}

// s3Fake is S3 in memory.
func s3Fake() http.HandlerFunc { return gofakes3.New(s3mem.New()).Server().ServeHTTP }

// What the consumer of an SDK gets from a recorded session is, byte for byte, what it got from the server, though the server is gone and each request is signed anew.
// The tape has no secret: no key, no token, no cookie, and no signature.
func TestSessionsOfSDKsReplayByteForByte(t *testing.T) {
	for name, c := range map[string]struct {
		server  http.HandlerFunc
		session func(context.Context, *http.Client, string) string
	}{
		"S3": {s3Fake(), s3Session}, "DynamoDB": {dynamoDB(), dynamoDBSession}, "GitHub": {gitHub, gitHubSession},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CI", "") // what is recorded here is gone after the test
			t.Setenv(tape.Environment, "")
			path := filepath.Join(t.TempDir(), "session.tape")
			var mu sync.Mutex
			var signatures []string
			origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if _, signature, signed := strings.Cut(r.Header.Get("Authorization"), "Signature="); signed {
					mu.Lock()
					signatures = append(signatures, signature)
					mu.Unlock()
				}
				c.server(w, r)
			})
			var seen [2]string
			for i, mode := range []tape.Mode{tape.ModeRecord, tape.ModeReplay} {
				t.Run([]string{"record", "replay"}[i], func(t *testing.T) {
					client := newClient(t, ply.Options{Use: []ply.Middleware{tape.Open(t, path, tape.Options{Mode: mode}).Middleware}})
					seen[i] = c.session(t.Context(), client.HTTPClient(), origin.URL)
				})
				origin.Close()
			}
			if seen[0] != seen[1] || strings.Count(seen[0], "\n") < 5 {
				t.Errorf("recorded:\n%s\nreplayed:\n%s", seen[0], seen[1])
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range append(signatures, "c4n4ry", "AKIDEXAMPLE") {
				if strings.Contains(string(text), secret) {
					t.Errorf("the tape has %s", secret)
				}
			}
			same(t, "signed requests", len(signatures) > 0, name != "GitHub")
		})
	}
}
