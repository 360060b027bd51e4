package inspect_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/plytest"
)

// Close comes while calls wait for their answers, while bodies are read, and while pages follow. Callers get all that they would have got without an inspector,
// and of what goes on nothing is kept.
func TestCloseDuringCallsHarmsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		body := strings.Repeat("x", 100_000)
		client := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Reply{Body: body, Wait: time.Second}), Use: []ply.Middleware{in.Middleware}})
		var callers sync.WaitGroup
		for i := range 40 {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond) // some begin after Close
				resp, err := client.Post(t.Context(), "http://a.test/", ply.BodyString("name=x"))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				got := 0
				for piece := make([]byte, 10_000); err == nil; {
					var n int
					n, err = io.ReadFull(resp.Body, piece)
					got += n
					time.Sleep(20 * time.Millisecond)
				}
				if err != io.EOF || got != len(body) {
					t.Errorf("%d bytes, %v", got, err)
				}
			})
		}
		page := newEventReader(in)
		time.Sleep(1100 * time.Millisecond)
		require.NotEmpty(t, calls(t, in))
		for range 3 { // at the same time, and again
			callers.Go(func() { in.Close() })
		}
		<-page.ended
		callers.Wait()
		require.Empty(t, calls(t, in))
		require.Zero(t, get[stats](t, in, "stats").Kept["bytes"])
		require.Equal(t, http.StatusServiceUnavailable, ask(in, "GET", "events", "").Code)
	})
}

// The same in real time, for the race detector.
func TestCloseRacesWithCallsAndPages(t *testing.T) {
	for range 20 {
		in := newInspector(t, inspect.Options{Keep: 5, MaxBytes: 10_000})
		client := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Text(strings.Repeat("x", 3000))), Use: []ply.Middleware{in.Middleware}})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 20 {
					fetch(t, client, "http://a.test/")
				}
			})
			all.Go(func() {
				for range 10 {
					ask(in, "GET", "calls", "")
					ask(in, "POST", "har", `{}`)
					ask(in, "GET", "calls/3", "")
				}
			})
		}
		page := newEventReader(in)
		all.Go(func() { in.Close() })
		all.Wait()
		<-page.ended
		require.Zero(t, get[stats](t, in, "stats").Kept["bytes"])
	}
}
