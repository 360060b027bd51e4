package retry

import (
	"crypto/rand"
	"fmt"
	"net/http"
)

// RandomKey returns a new key for POST, and "" for other methods. It is meant for [Options.IdempotencyKey].
// The key is a random UUID in double quotes, the form that draft-ietf-httpapi-idempotency-key-header asks for;
// for a server that wants another form any func(*http.Request) string will do.
func RandomKey(req *http.Request) string {
	if req.Method != http.MethodPost {
		return ""
	}
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf(`"%x-%x-%x-%x-%x"`, b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// chooseKey gives the call an idempotency key, if it needs one: that of the hop before, or a new one.
func (c *call) chooseKey(prior *call) {
	if hasKey(c.req.Header) {
		return
	}
	c.idemKey = c.opts.IdempotencyKey(c.req)
	if c.idemKey == "" {
		return
	}
	if prior != nil && prior.idemKey != "" {
		c.idemKey = prior.idemKey
	}
	c.idempotent = true
}
