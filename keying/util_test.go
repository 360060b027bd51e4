package keying_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
)

// request makes a request from a line "METHOD URL", fields "Name: value", and after an empty string its content.
func request(t testing.TB, line string, fields ...string) *http.Request {
	t.Helper()
	method, rawURL, _ := strings.Cut(line, " ")
	var content *bytes.Reader
	for i, field := range fields {
		if field == "" {
			content = bytes.NewReader([]byte(fields[i+1]))
			fields = fields[:i]
			break
		}
	}
	var r *http.Request
	var err error
	if content != nil {
		r, err = http.NewRequest(method, rawURL, content)
	} else {
		r, err = http.NewRequest(method, rawURL, nil)
	}
	require.NoError(t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

func key(t testing.TB, s keying.Strategy, r *http.Request) string {
	t.Helper()
	k, err := s.AppendKey(nil, r)
	require.NoError(t, err)
	return string(k)
}

// same compares the keys of two requests.
type same struct {
	name string
	a, b *http.Request
	want bool
}

func check(t *testing.T, s keying.Strategy, tests []same) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := key(t, s, test.a) == key(t, s, test.b); got != test.want {
				t.Errorf("same key = %v, want %v", got, test.want)
			}
		})
	}
}
