package tape_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest/tape"
)

// A test records once, and replays from then on.
func ExampleOpen() {
	TestUsers := func(t *testing.T) {
		users := tape.Open(t, "testdata/users.tape", tape.Options{})
		client, err := ply.New(ply.Options{BaseURL: "https://api.example", Use: []ply.Middleware{users.Middleware}})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		type user struct{ Name string }
		ada, err := ply.JSON[user](client.Get(t.Context(), "/users/7"))
		if err != nil || ada.Name != "Ada" {
			t.Errorf("%+v, %v", ada, err)
		}
	}
	_ = TestUsers
}

// A program that is no test replays a tape by a player.
func ExampleTape_Player() {
	users, err := tape.Load("testdata/users.tape")
	if err != nil {
		log.Fatal(err)
	}
	player, err := users.Player(tape.PlayerOptions{NoWait: true})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: player}
	for _, path := range []string{"/users/7", "/users/8"} {
		resp, err := client.Get("https://api.example" + path)
		if err != nil {
			fmt.Println(err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.Status, string(body))
	}
	// Output:
	// 200 OK {"name": "Ada"}
	// Get "https://api.example/users/8": tape: no answer to GET https://api.example/users/8; record again, or see how it differs from the nearest request of the tape (-):
	// - GET https://api.example/users/7
	// + GET https://api.example/users/8
}

// TestGuideShowsTapesAsTheyAre looks for each Go block of docs/tape.md about tape.Open in this file.
func TestGuideShowsTapesAsTheyAre(t *testing.T) {
	guide, err := os.ReadFile("../../docs/tape.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("open_example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, block := range strings.Split(string(guide), "```go\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(block, "tape.Open(") {
			continue
		}
		n++
		if !strings.Contains(strings.ReplaceAll(string(code), "\n\t", "\n"), "\t"+strings.TrimSpace(block)) && !strings.Contains(strings.ReplaceAll(string(code), "\n\t\t", "\n"), strings.TrimSpace(block)) {
			t.Errorf("not in open_example_test.go:\n%s", block)
		}
	}
	if n == 0 {
		t.Error("the guide shows no tape")
	}
}
