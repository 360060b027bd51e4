package mdcode

import (
	"slices"
	"testing"
)

func TestUndefinedNames(t *testing.T) {
	c, err := New(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	got := c.Undefined(t.Context(),
		"http.Get", "http.StatusOK", "http.Client", "http.Client.Timeout", "http.Client.Do", "slices.Sort", "iter.Seq",
		"url.Parse", "url.URL.Host", "http.Fetch", "url.URL.Jug", "http.get", "http.Client.Jug", "http.Socket.Close", "nowhere.New")
	if want := []string{"http.Fetch", "url.URL.Jug", "http.get", "http.Client.Jug", "http.Socket.Close", "nowhere.New"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
