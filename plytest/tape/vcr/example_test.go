package vcr_test

import (
	"fmt"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/plyhttp/ply/plytest/tape/vcr"
)

func ExampleLoad() {
	t, err := vcr.Load("testdata/shop") // shop.yaml, recorded by go-vcr
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range t.Exchanges {
		fmt.Println(e.Request.Method, e.Request.URL, e.Response.Status, e.Response.Wait)
	}
	// Output:
	// POST https://shop.example/cart?a=1 201 20.5ms
	// GET https://shop.example/ 200 1s
	// HEAD http://server.example/film 200 0s
}

// TestGuideShowsCassettesAsTheyAre looks for each Go block of docs/tape.md about cassettes in this file.
func TestGuideShowsCassettesAsTheyAre(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/tape.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, block := range strings.Split(string(guide), "```go\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(block, "vcr.Load(") {
			continue
		}
		n++
		if !strings.Contains(string(code), "\t"+strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n\t")) {
			t.Errorf("not in example_test.go:\n%s", block)
		}
	}
	if n == 0 {
		t.Error("the guide shows no cassette")
	}
}
