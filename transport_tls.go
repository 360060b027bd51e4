package ply

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

func (v *variant) setTLSOption(option string) error {
	if v.tlsFrom != "" {
		return &OptionError{Option: option, Reason: "combined with " + v.tlsFrom + ": a request has one TLS setting"}
	}
	v.tlsFrom = option
	return nil
}

// TLSConfig sends a request over connections that are made with config, and over no others.
// Requests with the same *tls.Config share their connections; it must not change any more.
// Answers are cached apart from those of configurations with other certificates, roots or names. What a callback of a configuration decides
// has no name that other processes could know: a store that outlives the process is passed by.
func TLSConfig(config *tls.Config) RequestOption {
	return RequestOption{func(d *draft) error {
		if config == nil {
			return &OptionError{Option: "TLSConfig", Reason: "the configuration is nil"}
		}
		d.settings.variant.tls = config
		return d.settings.variant.setTLSOption("TLSConfig")
	}}
}

// InsecureSkipVerify sends a request without looking at the server's certificate. Anyone on the way can then read and change it.
// Its answers never serve, from a cache, a request that verifies.
func InsecureSkipVerify() RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.variant.insecure = true
		return d.settings.variant.setTLSOption("InsecureSkipVerify")
	}}
}

// PinCertificate sends a request only to a server whose certificate has one of the SHA-256 sums.
// That replaces the verification of its chain and name, so that a self-signed certificate will do; another one is a [*CertificatePinError].
func PinCertificate(sums ...[sha256.Size]byte) RequestOption {
	return RequestOption{func(d *draft) error {
		if len(sums) == 0 {
			return &OptionError{Option: "PinCertificate", Reason: "no sum given"}
		}
		var all strings.Builder
		for _, sum := range sums {
			all.Write(sum[:])
		}
		d.settings.variant.pins = all.String()
		return d.settings.variant.setTLSOption("PinCertificate")
	}}
}

// CertificatePinError says that a server's certificate is none of those that [PinCertificate] expects.
type CertificatePinError struct {
	Host string
	Got  [sha256.Size]byte
}

func (e *CertificatePinError) Error() string {
	return fmt.Sprintf("ply: certificate of %s has SHA-256 sum %x, which PinCertificate does not list", e.Host, e.Got)
}

// secure gives t the TLS setting of v.
func (v variant) applyTLS(t *http.Transport) {
	// A dialer of its own for TLS would make connections without looking at the configuration.
	t.DialTLSContext = nil
	//lint:ignore SA1019 a base transport may have the deprecated one
	t.DialTLS = nil
	if v.tls != nil {
		t.TLSClientConfig = v.tls.Clone()
		return
	}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	t.TLSClientConfig.InsecureSkipVerify = true
	t.TLSClientConfig.VerifyPeerCertificate, t.TLSClientConfig.VerifyConnection = nil, nil
	if t.TLSClientConfig.ClientSessionCache != nil {
		// A session that was resumed is not verified again.
		t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if v.pins != "" {
		t.TLSClientConfig.VerifyConnection = v.checkPin
	}
}

func (v variant) checkPin(state tls.ConnectionState) error {
	got := sha256.Sum256(state.PeerCertificates[0].Raw)
	for pins := v.pins; pins != ""; pins = pins[sha256.Size:] {
		if pins[:sha256.Size] == string(got[:]) {
			return nil
		}
	}
	return &CertificatePinError{Host: state.ServerName, Got: got}
}

// namedHost completes a CertificatePinError: TLS doesn't know the names of hosts that go by their address.
func namedHost(err error, req *http.Request) error {
	var mismatch *CertificatePinError
	if errors.As(err, &mismatch) && mismatch.Host == "" {
		return &CertificatePinError{Host: req.URL.Hostname(), Got: mismatch.Got}
	}
	return err
}
