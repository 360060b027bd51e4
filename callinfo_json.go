package ply

import (
	"encoding/json"

	"github.com/plyhttp/ply/redact"
)

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
