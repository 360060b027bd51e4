package ply

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/plyhttp/ply/redact"
)

// Errors and records are printed by people who look for a fault, with whatever verb, and encoded by loggers. None of that may show what their text hides.

// Format prints the text of the error, whatever the verb: header and body may hold secrets.
func (e StatusError) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), e.text())
}

// MarshalJSON encodes the request and the status, and of the header what may be shown.
func (e StatusError) MarshalJSON() ([]byte, error) {
	var r *redact.Redactor
	return json.Marshal(struct {
		Method, URL string
		StatusCode  int
		Header      http.Header
	}{e.Method, e.URL, e.StatusCode, r.Header(e.Header)})
}

// LogValue lets log/slog write the error as its text.
func (e StatusError) LogValue() slog.Value { return slog.StringValue(e.text()) }

// MarshalJSON encodes the record with the texts of its errors, without their secrets.
func (i CallInfo) MarshalJSON() ([]byte, error) {
	type plain CallInfo
	return json.Marshal(struct {
		plain
		Err      string    `json:",omitempty"`
		Redactor *struct{} `json:",omitempty"`
	}{plain: plain(i), Err: i.Redactor.ErrorText(i.Err)})
}

// MarshalJSON encodes the hop with the text of its error.
func (h CallHop) MarshalJSON() ([]byte, error) {
	type plain CallHop
	return json.Marshal(struct {
		plain
		Err string `json:",omitempty"`
	}{plain(h), redact.ErrorText(h.Err)})
}

// MarshalJSON encodes the exchange with the text of its error.
func (x CallExchange) MarshalJSON() ([]byte, error) {
	type plain CallExchange
	return json.Marshal(struct {
		plain
		Err string `json:",omitempty"`
	}{plain(x), redact.ErrorText(x.Err)})
}
