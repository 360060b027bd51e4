package mdcode

import (
	"context"
	"slices"
	"strings"
)

// Undefined returns those of the names, written pkg.Name or pkg.Type.Member, that no package that blocks know by name exports.
func (c *Checker) Undefined(ctx context.Context, names ...string) (undefined []string) {
	blocks := make([]Block, len(names))
	for i, name := range names {
		parts := strings.SplitN(name, ".", 3)
		code := "_ = " + name + "\n"
		if len(parts) == 3 {
			code = "var value " + parts[0] + "." + parts[1] + "\n_ = value." + parts[2] + "\n"
		}
		if path, known := c.packages.byName[parts[0]]; known { // and not a variable that blocks have, such as req
			code = "import " + parts[0] + " \"" + path + "\"\n\n" + code
		}
		blocks[i] = Block{Page: name, Line: 1, Code: code}
	}
	problems := c.Check(ctx, blocks, func(Block) bool { return true })
	for _, name := range names {
		// A type is no expression, and a generic function is none without its types; both are defined.
		if slices.ContainsFunc(problems, func(err error) bool {
			text, here := strings.CutPrefix(err.Error(), name+":")
			return here && !strings.Contains(text, "is not an expression") && !strings.Contains(text, "without instantiation")
		}) {
			undefined = append(undefined, name)
		}
	}
	return undefined
}
