package docs

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/plyhttp/ply/internal/mdcode"
)

var newChecker = sync.OnceValues(func() (*mdcode.Checker, error) { return mdcode.New(context.Background(), ".", libraries...) })

// libraries are what blocks know by name beside the standard library and ply. Others they import themselves.
var libraries = []string{
	"github.com/aws/aws-sdk-go-v2/config",
	"github.com/jackc/pgx/v5/pgxpool",
	"golang.org/x/oauth2",
	"golang.org/x/oauth2/clientcredentials",
}

func checker(t *testing.T) *mdcode.Checker {
	t.Helper()
	c, err := newChecker()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func problemsOfBlocks(t *testing.T, page document) []error {
	t.Helper()
	ours := func(b mdcode.Block) bool { return !b.Ecosystem }
	return checker(t).Check(t.Context(), mdcode.Blocks(page.path, page.text), ours)
}

// TestBlocks type-checks each block of Go, runs the programs whose output a page shows and the tests, and compares.
func TestBlocks(t *testing.T) {
	programs := make(chan struct{}, 2) // as many are built at once
	for _, page := range pages(t) {
		if !asked(page) {
			continue
		}
		problems := problemsOfBlocks(t, page)
		t.Run(page.name, func(t *testing.T) {
			for _, err := range problems {
				t.Error(err)
			}
			for _, b := range mdcode.Blocks(page.path, page.text) {
				if b.Ecosystem || !mdcode.Runs(b) {
					continue
				}
				t.Run(fmt.Sprint("line ", b.Line), func(t *testing.T) {
					t.Parallel()
					programs <- struct{}{}
					defer func() { <-programs }()
					if err := checker(t).Run(t.Context(), b); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
