package processtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
)

// What a process says, each as a line of its standard output. Between ready and asking it waits for a line of its standard input.
const (
	ready  = "processtest: ready"
	asking = "processtest: asking"
	done   = "processtest: done"
)

// partVariable holds the part of a process, as JSON.
const partVariable = "PLY_PROCESSTEST_PART"

// part is what a process is to do: ask for all URLs with several callers at once, through a cache over a store.
type part struct {
	Store string // its URL
	Lease time.Duration
	URLs  []string
}

// Child reports whether this process is one of those that RunLeases has started. A TestMain that prepares something for the tests leaves that out then:
//
//	func TestMain(m *testing.M) {
//		if !processtest.Child() {
//			buildServer()
//		}
//		os.Exit(m.Run())
//	}
func Child() bool { return os.Getenv(partVariable) != "" }

func thePart() (p part, ok bool) {
	text := os.Getenv(partVariable)
	if text == "" {
		return p, false
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		panic(err) // the parent has written it
	}
	return p, true
}

func (p part) play(t *testing.T) {
	s, err := store.OpenURL(t.Context(), p.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := cache.New(cache.Options{Store: s, Lease: p.Lease, StoreTimeout: slack, Trace: &cache.Trace{
		Fault: func(operation string, err error) { t.Errorf("%s: %v", operation, err) },
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(nil), Timeout: patience}

	say(ready)
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		t.Fatalf("the tests have ended: %v", err)
	}
	var all sync.WaitGroup
	for _, address := range p.URLs {
		for range callers {
			all.Go(func() {
				if err := fetch(t.Context(), client, address); err != nil {
					t.Error(err)
				}
			})
		}
	}
	say(asking)
	all.Wait()
	if !t.Failed() {
		say(done)
	}
}

func say(line string) { fmt.Println(line) }

// fetch asks for an address and checks what it gets.
func fetch(ctx context.Context, client *http.Client, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if !bytes.Equal(body, proof(pathOf(address))) {
		return fmt.Errorf("GET %s: a wrong body of %d bytes", address, len(body))
	}
	return nil
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}
