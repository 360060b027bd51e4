package expiry_test

import (
	"net/http"
	"strings"
	"time"

	"github.com/plyhttp/ply/expiry"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// exchange makes an exchange with a response that has these fields.
func exchange(url string, status int, fields ...string) expiry.Exchange {
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		panic(err)
	}
	resp := &http.Response{StatusCode: status, Header: make(http.Header)}
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		resp.Header.Add(name, value)
	}
	return expiry.Exchange{Request: r, Response: resp, Now: now}
}

func date(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }

// verdict is a verdict in words.
func verdict(v expiry.Verdict) string {
	switch {
	case v.Silent():
		return "silent"
	case v.Refused():
		return "refuse"
	case v.Overrules():
		return "overrule " + v.For(0).String()
	}
	return v.For(0).String()
}
