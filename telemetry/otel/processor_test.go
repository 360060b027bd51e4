package plyotel_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/plyhttp/ply/internal/testutil"
	plyotel "github.com/plyhttp/ply/telemetry/otel"
)

// processor is a span processor that does something else at the end of a span.
type processor struct{ end func() }

func (p *processor) OnStart(context.Context, trace.ReadWriteSpan) {}
func (p *processor) OnEnd(trace.ReadOnlySpan)                     { p.end() }
func (p *processor) Shutdown(context.Context) error               { return nil }
func (p *processor) ForceFlush(context.Context) error             { return nil }

func telemetryWith(t *testing.T, end func(), atHeaders bool) *plyotel.Telemetry {
	t.Helper()
	return newRecorded().telemetry(t, func(o *plyotel.Options) {
		o.TracerProvider, o.AtHeaders = trace.NewTracerProvider(trace.WithSpanProcessor(&processor{end})), atHeaders
	})
}

// There is no caller who could recover, so a panic would end the program.
func TestProcessorThatPanicsAtTheEndOfAContextEndsNoProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		telemetry := telemetryWith(t, func() { ended.Add(1); panic("processor") }, false)
		ctx, cancel := context.WithCancel(t.Context())
		body, w := io.Pipe()
		defer w.Close()
		h := telemetry.Call(testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: body, ContentLength: -1, Request: r}, nil
		}))
		resp, err := h.RoundTrip(request(t, ctx, "http://a.test/"))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		if ended.Load() != 1 {
			t.Errorf("the span has ended %d times", ended.Load())
		}
		resp.Body.Close()
	})
}

// Cleanups run one after the other on a goroutine of the runtime: one that blocks would hold up those of the whole program, and one that panics would end it.
func TestProcessorThatBlocksOrPanicsForADroppedBodyHoldsUpNoCleanup(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var ended atomic.Int32
	telemetry := telemetryWith(t, func() {
		if ended.Add(1) == 1 {
			panic("processor")
		}
		<-release
	}, false)
	url := testutil.UnfinishedServer(t)
	for range 3 {
		testutil.Abandon(t, telemetry.Call(&http.Transport{}), request(t, t.Context(), url))
	}
	for deadline := time.Now().Add(time.Minute); ended.Load() < 3; {
		runtime.GC()
		if time.Now().After(deadline) {
			t.Fatalf("%d spans have ended, want 3", ended.Load())
		}
	}
	cleaned := make(chan struct{})
	runtime.AddCleanup(&struct{ p *int }{new(int)}, func(done chan struct{}) { close(done) }, cleaned)
	for deadline := time.Now().Add(time.Minute); ; {
		runtime.GC()
		select {
		case <-cleaned:
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("another cleanup waits for the processor")
		}
	}
}

type closes struct {
	io.Reader
	closed atomic.Bool
}

func (c *closes) Close() error {
	c.closed.Store(true)
	return nil
}

func TestProcessorThatPanicsAtTheHeaderLeavesNoBodyOpen(t *testing.T) {
	for name, layer := range map[string]func(*plyotel.Telemetry) func(http.RoundTripper) http.RoundTripper{
		"call":    func(t *plyotel.Telemetry) func(http.RoundTripper) http.RoundTripper { return t.Call },
		"attempt": func(t *plyotel.Telemetry) func(http.RoundTripper) http.RoundTripper { return t.Attempt },
	} {
		body := &closes{Reader: strings.NewReader("x")}
		telemetry := telemetryWith(t, func() { panic("processor") }, true)
		h := layer(telemetry)(testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: body, Request: r}, nil
		}))
		func() {
			defer func() {
				if recover() != "processor" {
					t.Errorf("%s: the panic has not come to the caller", name)
				}
			}()
			h.RoundTrip(request(t, t.Context(), "http://a.test/"))
		}()
		if !body.closed.Load() {
			t.Errorf("%s: the body is open", name)
		}
	}
}
