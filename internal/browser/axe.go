package browser

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/plyhttp/ply/internal/testserver"
)

//go:embed axe
var axe embed.FS // what npm installs

// violation is what axe says of an element that a person could not use.
type violation struct {
	Impact, Rule, Help, Target, Message string
}

// LoadAxe loads axe into the page that is open.
func (p *Tab) LoadAxe() {
	p.T.Helper()
	packages, err := fs.Sub(axe, "axe")
	if err != nil {
		p.T.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(testserver.NPM(p.T, "axe", packages), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		p.T.Fatal(err)
	}
	Evaluate(p, string(script)+"; null")
}

// Axe runs all of axe's rules on what is on the page, and each violation is an error of the test, or, if impacts are named, each of these. LoadAxe comes first.
func (p *Tab) Axe(what string, impacts ...string) {
	p.T.Helper()
	found := Eval[[]violation](p, `axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.flatMap((each) =>
		each.nodes.slice(0, 3).map((node) => ({ impact: each.impact, rule: each.id, help: each.help, target: node.target.join(' '), message: node.failureSummary }))))`)
	for _, v := range found {
		if len(impacts) > 0 && !slices.Contains(impacts, v.Impact) {
			continue
		}
		p.T.Errorf("%s: %s (%s): %s: %s", what, v.Help, v.Rule, v.Target, v.Message)
	}
}
