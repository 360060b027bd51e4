package users

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/plytest/tape"
)

// api stands in for the API when the tape is recorded.
func api(w http.ResponseWriter, r *http.Request) {
	pages := map[string]string{"1": `[{"id": 1, "name": "Ada"}, {"id": 2, "name": "Charles"}]`, "2": `[{"id": 3, "name": "Mary"}]`}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Set-Cookie", "session="+r.Header.Get("Authorization"))
	page, ok := pages[r.FormValue("page")]
	if !ok {
		page = "[]"
	}
	fmt.Fprintln(w, page)
}

func TestTeam(t *testing.T) {
	team := tape.Open(t, "testdata/team.tape", tape.Options{NoWait: true})
	client, err := ply.New(ply.Options{
		BaseURL: "https://api.example", Use: []ply.Middleware{team.Middleware},
		Header: http.Header{"Authorization": {"Bearer s3cret-of-the-test"}}, Transport: plytest.NewHandlerOrigin(http.HandlerFunc(api)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	users, err := Team(t.Context(), client, "engine")
	if want := []User{{1, "Ada"}, {2, "Charles"}, {3, "Mary"}}; err != nil || !reflect.DeepEqual(users, want) {
		t.Errorf("%v, %v, want %v", users, err, want)
	}
}

func TestTapeHasNoSecret(t *testing.T) {
	text, err := os.ReadFile("testdata/team.tape")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "s3cret") || strings.Count(string(text), "REDACTED") < 3 {
		t.Errorf("%s", text)
	}
}
