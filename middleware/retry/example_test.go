package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func ExampleNew() {
	origin := plytest.NewOrigin(plytest.Status(503), plytest.Text("hello"))
	client := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(0)})(origin)}

	resp, err := client.Get("https://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	info, _ := retry.InfoFrom(resp)
	fmt.Printf("%s after %d attempts\n", body, len(info.Attempts))
	// Output: hello after 2 attempts
}

func ExampleError() {
	origin := plytest.NewOrigin(plytest.Refuse())
	client := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(0)})(origin)}

	_, err := client.Post("https://example.com/", "text/plain", strings.NewReader("hi"))
	var failed *retry.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Stop, len(failed.Attempts), failed.Attempts[0].Unsent)
	}
	// Output: attempts 3 true
}

func ExampleWithIdempotent() {
	origin := plytest.NewOrigin(plytest.ResetConnection(), plytest.Text("done"))
	client := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(0)})(origin)}

	// This server knows the order by its number and takes it once, however often it comes.
	ctx := retry.WithIdempotent(context.Background())
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://example.com/orders/42", strings.NewReader("tea"))
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(origin.Count())
	// Output: 2
}

func ExampleOptions_rules() {
	// This API says that it is busy with 409 and a header of its own.
	busy := func(a *retry.Attempt) retry.Verdict {
		if a.Response != nil && a.Response.Header.Get("X-Busy") != "" {
			return retry.Retry
		}
		return retry.Undecided
	}
	origin := plytest.NewOrigin(plytest.Status(409, "X-Busy", "1"), plytest.Text("done"))
	layer := retry.New(retry.Options{Rules: []retry.Rule{busy}, Backoff: retry.Constant(0)})

	resp, err := (&http.Client{Transport: layer(origin)}).Post("https://example.com/", "text/plain", strings.NewReader("hi"))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode, origin.Count())
	// Output: 200 2
}

func ExampleTokenBucket() {
	// One budget for two clients that share a server.
	budget := &retry.TokenBucket{Capacity: 500, Floor: -1}
	layer := retry.New(retry.Options{Budget: budget, MaxAttempts: 2, Backoff: retry.Constant(0)})
	for range 2 {
		client := &http.Client{Transport: layer(plytest.NewOrigin(plytest.Status(503)))}
		if resp, err := client.Get("https://example.com/"); err == nil {
			resp.Body.Close()
		}
	}
	fmt.Println(budget.Tokens("example.com"))
	// Output: 490
}

func ExampleWithOptions() {
	origin := plytest.NewOrigin(plytest.Status(503))
	client := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(0)})(origin)}

	ctx := retry.WithOptions(context.Background(), retry.Options{MaxAttempts: 5, MaxElapsed: time.Minute})
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://example.com/", nil)
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
	}
	fmt.Println(origin.Count())
	// Output: 5
}

// A call that must not be sent twice, whatever happens.
func ExampleDisable() {
	origin := plytest.NewOrigin(plytest.Status(503))
	client := &http.Client{Transport: retry.New(retry.Options{})(origin)}

	req, _ := http.NewRequestWithContext(retry.Disable(context.Background()), http.MethodGet, "https://example.com/", nil)
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
	}
	fmt.Println(origin.Count())
	// Output: 1
}

// A server that knows Idempotency-Key does the work once, so that a POST can be sent again.
func ExampleRandomKey() {
	origin := plytest.NewOrigin(plytest.ResetConnection(), plytest.Text("done"))
	layer := retry.New(retry.Options{IdempotencyKey: retry.RandomKey, Backoff: retry.Constant(0)})

	resp, err := (&http.Client{Transport: layer(origin)}).Post("https://example.com/orders", "text/plain", strings.NewReader("tea"))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	sent := origin.Exchanges()
	fmt.Println(len(sent), sent[0].Header.Get("Idempotency-Key") == sent[1].Header.Get("Idempotency-Key"))
	// Output: 2 true
}

// A signature that is good for one attempt is made anew for each retry. The first attempt goes out as the caller made it.
func ExampleOptions_prepare() {
	origin := plytest.NewOrigin(plytest.Status(503), plytest.Text("done"))
	signed := 0
	layer := retry.New(retry.Options{
		Backoff: retry.Constant(0),
		Prepare: func(req *http.Request) error {
			signed++
			req.Header.Set("X-Signature", fmt.Sprint("signature ", signed))
			return nil
		},
	})
	resp, err := (&http.Client{Transport: layer(origin)}).Get("https://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(origin.Exchanges()[1].Header.Get("X-Signature"))
	// Output: signature 1
}

// A download that breaks off goes on where it broke. Its reader notices nothing.
func ExampleOptions_resume() {
	origin := plytest.NewOrigin(
		plytest.Reply{
			Header: http.Header{"Etag": {`"v1"`}, "Accept-Ranges": {"bytes"}, "Content-Length": {"10"}},
			Body:   "0123456789", Fault: plytest.ResetAfter(4),
		},
		plytest.Reply{
			Status: 206, Header: http.Header{"Etag": {`"v1"`}, "Content-Range": {"bytes 4-9/10"}}, Body: "456789",
		},
	)
	layer := retry.New(retry.Options{Resume: 3, Backoff: retry.Constant(0)})
	resp, err := (&http.Client{Transport: layer(origin)}).Get("https://example.com/image.iso")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(string(body), err, origin.Exchanges()[1].Header.Get("Range"))
	// Output: 0123456789 <nil> bytes=4-
}

// This server means its 500: another attempt would meet it again.
func ExampleStatusRule() {
	origin := plytest.NewOrigin(plytest.Status(500))
	layer := retry.New(retry.Options{Rules: []retry.Rule{retry.StatusRule(retry.Final, 500)}})
	resp, err := (&http.Client{Transport: layer(origin)}).Get("https://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode, origin.Count())
	// Output: 500 1
}

// A hook sees each retry before its wait.
func ExampleOptions_onRetry() {
	origin := plytest.NewOrigin(plytest.Refuse(), plytest.Status(503), plytest.Text("hello"))
	layer := retry.New(retry.Options{
		Backoff: retry.Constant(0),
		OnRetry: func(_ context.Context, e retry.Event) {
			fmt.Println("attempt", e.Attempt.Number, "failed, sent:", e.Attempt.Wrote)
		},
	})
	resp, err := (&http.Client{Transport: layer(origin)}).Get("https://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output:
	// attempt 1 failed, sent: false
	// attempt 2 failed, sent: true
	// 200
}
