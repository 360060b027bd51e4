package logging

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
)

type callIDKey struct{}

// WithCallID returns a context whose requests are logged with this call.id, for example that of the request being served.
func WithCallID(ctx context.Context, id string) context.Context {
	if ctx == nil {
		panic("logging: WithCallID of a nil context")
	}
	return &callIDContext{ctx, id}
}

// callIDContext is a context with the id of a call, which a lookup finds without an allocation.
type callIDContext struct {
	context.Context
	id string
}

func (c *callIDContext) Value(key any) any {
	if key == (callIDKey{}) {
		return &c.id
	}
	return c.Context.Value(key)
}

// String is what fmt prints for the context.
func (c *callIDContext) String() string { return "logging.callIDContext" }

// CallID returns the call.id of the requests made with ctx, or "" if there is none yet.
// Below a logging layer there always is one. It is the same for all attempts and all hops of a call.
func CallID(ctx context.Context) string {
	if id, ok := ctx.Value(callIDKey{}).(*string); ok {
		return *id
	}
	return ""
}

// callID returns the id of a call: that of the context, else of the hop before, else X-Request-Id, else a random one.
func callID(req *http.Request) string {
	if id := CallID(req.Context()); id != "" {
		return id
	}
	if r := req.Response; r != nil && r.Request != nil {
		if id := CallID(r.Request.Context()); id != "" {
			return id
		}
	}
	if id := req.Header.Get("X-Request-Id"); id != "" && len(id) <= 128 {
		return id
	}
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
