package cache_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms says what each package of the cache may import of the others. Imports go down this list only.
var rooms = map[string][]string{
	"invalidation": {},
	"stored":       {"invalidation"},
	"rfc9111":      {"invalidation", "stored"},
	"memory":       {"invalidation", "stored"},
	"stream":       {"rfc9111", "stored"},
	"storeclient":  {},
	"durable":      {"invalidation", "memory", "storeclient", "stored", "stream"},
	"lease":        {"durable", "invalidation", "storeclient", "stored", "stream"},
	"transfer":     {"durable", "stored"},
}

// effects are the packages by which the rules could do something, or depend on when they are asked.
var effects = []string{"io", "sync", "sync/atomic", "context", "net", "os", "math/rand", "math/rand/v2", "crypto/rand"}

// The packages of the cache import each other in one direction, and the rules of RFC 9111 have no effects.
func TestImportsGoDown(t *testing.T) {
	const prefix = "github.com/plyhttp/ply/middleware/cache/internal/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./internal/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		name := strings.TrimPrefix(path, prefix)
		allowed, known := rooms[name]
		if !known {
			t.Errorf("%s has no place in the table: say what it may import", name)
		}
		seen[name] = true
		for _, imported := range strings.Fields(imports) {
			room, internal := strings.CutPrefix(imported, prefix)
			switch {
			case internal && !slices.Contains(allowed, room):
				t.Errorf("%s imports %s", name, room)
			case strings.HasSuffix(imported, "/middleware/cache"), imported == "github.com/plyhttp/ply":
				t.Errorf("%s imports %s", name, imported)
			case name == "rfc9111" && slices.Contains(effects, imported):
				t.Errorf("the rules import %s", imported)
			}
		}
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("%s is in the table, and no package", name)
		}
	}
}
