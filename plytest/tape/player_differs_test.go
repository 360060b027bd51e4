package tape_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

// The secrets of a request that has no answer stand in no error, whatever else differs, nor does their difference count.
func TestErrorOfAnUnmatchedRequestHasNoSecret(t *testing.T) {
	for name, tt := range map[string]struct {
		recorded, sent asked
		want           string
	}{
		"in the URL":     {asked{url: "http://u:" + canary + "1@h.example/?token=" + canary + "1&page=1"}, asked{url: "http://u:" + canary + "2@h.example/?token=" + canary + "2&page=2"}, `All that differs is ["page"] of the URL. `},
		"in JSON":        {asked{url: "http://h.example/", json: `{"page":1,"auth":{"password":"` + canary + `1"},"h":[["Cookie","` + canary + `1"]]}`}, asked{url: "http://h.example/", json: `{"page":2,"auth":{"password":"` + canary + `2"},"h":[["Cookie","` + canary + `2"]]}`}, `All that differs is ["page"] of the content. `},
		"in a form":      {asked{url: "http://h.example/", form: "page=1&password=" + canary + "1"}, asked{url: "http://h.example/", form: "page=2&password=" + canary + "2"}, `All that differs is ["page"] of the content. `},
		"in a signature": {asked{url: "http://h.example/?Expires=1&page=1&Signature=" + canary + "1"}, asked{url: "http://h.example/?Expires=2&page=2&Signature=" + canary + "2"}, `All that differs is ["Expires" "page"] of the URL. `},
	} {
		_, err := tt.sent.ask(t, playerOf(t, tape.PlayerOptions{}, tt.recorded))
		require.ErrorContains(t, err, tt.want, name)
		require.NotContains(t, err.Error(), canary, name)
	}
}

func TestErrorNamesNoMoreThanSomeParameters(t *testing.T) {
	_, err := asked{url: "http://h.example/?a=2&b=2&c=2&d=2&e=2&f=2&g=2&h=2&i=2"}.ask(t, playerOf(t, tape.PlayerOptions{}, asked{url: "http://h.example/?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1"}))
	require.ErrorContains(t, err, "+   i=2")
	require.NotContains(t, err.Error(), "All that differs", "it is another request")
}
