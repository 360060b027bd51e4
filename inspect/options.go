package inspect

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/redact"
)

// Options are those of an [Inspector]. The zero Options keep 500 calls in at most 32 MiB and let only this machine look at them.
type Options struct {
	// Keep is how many calls are kept; the oldest go first. Zero means 500, and 100000 is the most.
	Keep int

	// MaxBytes bounds the memory that headers and copies of bodies take, in bytes; the oldest calls go first. Zero means 32 MiB.
	MaxBytes int64

	// MaxBodyBytes is how much of each body is kept, in bytes. Zero means 64 KiB; a negative number keeps no bodies.
	MaxBodyBytes int

	// Cache is shown with its entries, which can be deleted on the page. Nil shows none.
	Cache *cache.Cache

	// Redactor decides what is shown of URLs, header fields and errors. Nil stands for the redactor of each call's context, which hides all that may be secret unless the program
	// says otherwise.
	Redactor *redact.Redactor

	// Mask hides secrets in the beginning of a body, which can end anywhere. It may change body in place. Nil means [logging.MaskSecrets].
	Mask func(mediaType string, body []byte) []byte

	// AllowRemote lets other machines in. Calls say much about a program, even without its secrets: put authentication in front of it.
	// Zero answers only requests from a loopback address that did not come through a proxy.
	AllowRemote bool

	// Hosts are names by which the page may be asked for, beside localhost and IP addresses: "dev.example", without a port.
	// Others are refused, because a hostile page could make its own name lead here (DNS rebinding). Nil means none.
	Hosts []string
}

// OptionError is the error of [New] for an option that cannot be carried out.
type OptionError = optionerror.Error

const (
	defaultKeep     = 500
	maxKeep         = 100_000
	defaultMaxBytes = 32 << 20
	defaultMaxBody  = 64 << 10
)

// New returns an inspector. The error is an [*OptionError].
func New(o Options) (*Inspector, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Keep == 0 {
		o.Keep = defaultKeep
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = defaultMaxBody
	}
	if o.Mask == nil {
		o.Mask = logging.MaskSecrets
	}
	id := make([]byte, 4)
	rand.Read(id) //nolint:errcheck // never fails
	in := &Inspector{o: o, instance: hex.EncodeToString(id), crossOrigin: http.NewCrossOriginProtection()}
	in.seconds, in.minutes = newSeries(1, secondsKept), newSeries(60, minutesKept)
	in.readers = make(map[*reader]struct{})
	in.server = sync.OnceValue(in.routes)
	return in, nil
}

func (o *Options) check() error {
	switch {
	case o.Keep < 0:
		return refused("Keep", fmt.Sprintf("is negative (%d): give the number of calls, or zero for %d", o.Keep, defaultKeep))
	case o.Keep > maxKeep:
		return refused("Keep", fmt.Sprintf("is %d, and %d is the most: export calls as HAR to keep more", o.Keep, maxKeep))
	case o.MaxBytes < 0:
		return refused("MaxBytes", fmt.Sprintf("is negative (%d): give a number of bytes, or zero for %d", o.MaxBytes, defaultMaxBytes))
	}
	for _, host := range o.Hosts {
		if _, _, err := net.SplitHostPort(host); err == nil || host == "" || strings.ContainsAny(host, "/*@ ") {
			return refused("Hosts", fmt.Sprintf("has %q, which is no host: give a name such as dev.example, without scheme, port and wildcard", redact.Text(host)))
		}
	}
	return nil
}

func refused(option, reason string) error {
	return &OptionError{Package: "inspect", Option: option, Reason: reason}
}
