package ply

import (
	"net/url"
	"strings"
)

func addQuery(u *url.URL, query ...string) {
	if u.RawQuery != "" {
		query = append([]string{u.RawQuery}, query...)
	}
	u.RawQuery = strings.Join(query, "&")
}

// Query appends a parameter to the query of the URL, once for each value. Values are escaped.
// As a default it is added if the URL does not have the name, and goes where credentials would: see [BasicAuth]. Options.CrossOrigin can let it go further.
func Query(name string, values ...string) RequestOption {
	return RequestOption{func(d *draft) error {
		for _, v := range values {
			d.query = append(d.query, url.QueryEscape(name)+"="+url.QueryEscape(v))
		}
		return nil
	}}
}

// QueryValues appends parameters to the query of the URL, sorted by name.
func QueryValues(values url.Values) RequestOption {
	return RequestOption{func(d *draft) error {
		if len(values) > 0 {
			d.query = append(d.query, values.Encode())
		}
		return nil
	}}
}

// RawQuery appends a query, already escaped, to that of the URL. Its order is kept.
func RawQuery(query string) RequestOption {
	return RequestOption{func(d *draft) error {
		if query != "" {
			d.query = append(d.query, query)
		}
		return nil
	}}
}
