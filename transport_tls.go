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

// TLSConfig sends the request only over connections that are made with config.
// A redirect to another origin is followed with it, too: a server there that asks for a client certificate sees that. [NoRedirects] follows none.
// Requests with the same *tls.Config share connections; config must not change any more.
// Caches keep responses apart by the certificates, roots and names of the configuration. What a callback decides cannot be named across processes,
// so a store that outlives the process is bypassed for a configuration with callbacks.
func TLSConfig(config *tls.Config) RequestOption {
	return RequestOption{func(d *draft) error {
		if config == nil {
			return &OptionError{Option: "TLSConfig", Reason: "the configuration is nil"}
		}
		d.settings.variant.tls = config
		return d.settings.variant.setTLSOption("TLSConfig")
	}}
}

// InsecureSkipVerify sends the request without verifying the server's certificate, so that anyone on the way can read and change it.
// A cache never serves its response to a request that verifies.
func InsecureSkipVerify() RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.variant.insecure = true
		return d.settings.variant.setTLSOption("InsecureSkipVerify")
	}}
}

// PinCertificate sends the request only to a server whose certificate has one of the SHA-256 sums; any other certificate is a [*CertificatePinError].
// The pin replaces the verification of the certificate's chain and name, so that a self-signed certificate will do.
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

// CertificatePinError says that a server's certificate is not one that [PinCertificate] allows. Got is its SHA-256 sum.
type CertificatePinError struct {
	Host string
	Got  [sha256.Size]byte
}

func (e *CertificatePinError) Error() string {
	return fmt.Sprintf("ply: certificate of %s has SHA-256 sum %x, which PinCertificate does not list", e.Host, e.Got)
}

// applyTLS gives t the TLS setting of v.
func (v variant) applyTLS(t *http.Transport) {
	// A TLS dialer of the base transport would ignore the configuration.
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
		// A resumed session would not be verified again, so it must not come from another configuration.
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

// namedHost completes a CertificatePinError with the host: TLS has no server name for a host that is an address.
func namedHost(err error, req *http.Request) error {
	var mismatch *CertificatePinError
	if errors.As(err, &mismatch) && mismatch.Host == "" {
		return &CertificatePinError{Host: req.URL.Hostname(), Got: mismatch.Got}
	}
	return err
}
