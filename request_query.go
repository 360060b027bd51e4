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

// Query adds a parameter to the URL, behind those that it has. Values are escaped; a name given twice stands twice.
// As a default it is added where the URL does not have the name, and goes where credentials would: see [BasicAuth]. Options.CrossOrigin can let it go further.
func Query(name string, values ...string) RequestOption {
	return RequestOption{func(d *draft) error {
		for _, v := range values {
			d.query = append(d.query, url.QueryEscape(name)+"="+url.QueryEscape(v))
		}
		return nil
	}}
}

// QueryValues adds parameters to the URL, behind those that it has, sorted by name.
func QueryValues(values url.Values) RequestOption {
	return RequestOption{func(d *draft) error {
		if len(values) > 0 {
			d.query = append(d.query, values.Encode())
		}
		return nil
	}}
}

// RawQuery adds a query to that of the URL, as it stands: already escaped, in its order.
func RawQuery(query string) RequestOption {
	return RequestOption{func(d *draft) error {
		if query != "" {
			d.query = append(d.query, query)
		}
		return nil
	}}
}
