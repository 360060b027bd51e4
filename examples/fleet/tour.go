package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply"
)

// tag names the prices. A tag is about the whole store, which may be one of yours.
const tag = "prices-of-the-fleet-example"

// An origin answers with prices of a version, which takes it a moment.
type origin struct{ requests, version atomic.Int64 }

func (o *origin) serve(w http.ResponseWriter, _ *http.Request) {
	o.requests.Add(1)
	time.Sleep(50 * time.Millisecond)
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Surrogate-Key", tag)
	fmt.Fprintf(w, "prices, version %d", o.version.Load())
}

// tour runs a fleet over a store. stop ends the store, and is nil if that is not ours to end.
func tour(ctx context.Context, out io.Writer, storeURL string, stop func() error) (err error) {
	prices, server := newOrigin()
	defer server.Close()
	var fleet []*member
	defer func() {
		for _, m := range fleet {
			err = errors.Join(err, m.Close())
		}
	}()
	grow := func() error {
		m, err := join(ctx, storeURL, server.URL)
		if err == nil {
			fleet = append(fleet, m)
		}
		return err
	}
	for range 5 {
		if err := grow(); err != nil {
			return err
		}
	}
	say := func(what string, answers int) {
		fmt.Fprintf(out, "  %-43s answers: %2d, requests to the origin: %d\n", what, answers, prices.requests.Swap(0))
	}

	answers, err := ask(ctx, fleet, "/tea", 10)
	if err != nil {
		return err
	}
	say("five members ask, ten times each at once:", len(answers))

	if err := grow(); err != nil {
		return err
	}
	if answers, err = ask(ctx, fleet[5:], "/tea", 1); err != nil {
		return err
	}
	say("a sixth one joins:", len(answers))

	// The prices change. One member is told, and removes all that is made of them. The store tells the others that their copies are old.
	prices.version.Add(1)
	if err := fleet[0].cache.DeleteTag(ctx, tag); err != nil {
		return err
	}
	if answers, err = untilAllSay(ctx, fleet, "/tea", "prices, version 1"); err != nil {
		return err
	}
	say("new prices, and all have them:", len(answers))

	if stop == nil {
		return nil
	}
	if err := stop(); err != nil {
		return err
	}
	if answers, err = ask(ctx, fleet, "/milk", 1); err != nil {
		return err
	}
	say("the store is gone, each asks for itself:", len(answers))
	return nil
}

// ask has each member ask n times at once.
func ask(ctx context.Context, fleet []*member, path string, n int) ([]string, error) {
	answers, failures := make([]string, len(fleet)*n), make([]error, len(fleet)*n)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i], failures[i] = ply.Text(fleet[i/n].client.Get(ctx, path)) })
	}
	all.Wait()
	return answers, errors.Join(failures...)
}

// untilAllSay asks until each member has an answer: word of a change takes a moment to reach all.
func untilAllSay(ctx context.Context, fleet []*member, path, want string) (answers []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		answers, err = ask(ctx, fleet, path, 1)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(answers, func(a string) bool { return a != want }) {
			return answers, nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
