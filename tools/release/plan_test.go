package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const changes = "# Changelog\n\n## Unreleased\n\n### Added\n\n- a client\n"

// uncached is a file that the tests read and that is touched after them: the go command would take an earlier result, for it does not see that a go.mod or a page changed, which is outside of this module.
const uncached = "testdata/uncached"

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.Chtimes(uncached, time.Now(), time.Now())
	os.Exit(code)
}

// checkout returns the root of this repository.
func checkout(t *testing.T) string {
	t.Helper()
	if _, err := os.ReadFile(uncached); err != nil {
		t.Fatal(err)
	}
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// repo makes a repository of a root module, a store that requires it, and a command that requires both.
func repo(t *testing.T, change map[string]string) *repository {
	t.Helper()
	files := map[string]string{
		"CHANGELOG.md":                   changes,
		"LICENSE":                        "MIT",
		"docs/release-notes-v0.1.0.md":   "# v0.1.0",
		"go.mod":                         "module example.com/ply\n\ngo 1.25.0\n",
		"ply.go":                         "package ply\n\nconst Name = \"ply\"\n",
		"internal/tool/go.mod":           "module example.com/ply/internal/tool\n\ngo 1.26.0\n",
		"internal/tool/main.go":          "package main\n\nfunc main() {}\n",
		"store/redis/go.mod":             "module example.com/ply/store/redis\n\ngo 1.25.0\n\nrequire example.com/ply v0.0.0\n\nreplace example.com/ply => ../..\n",
		"store/redis/redis.go":           "package redis\n\nimport \"example.com/ply\"\n\nconst Name = ply.Name + \" on Redis\"\n",
		"cmd/ply/go.mod":                 "module example.com/ply/cmd/ply\n\ngo 1.26.0\n\nrequire (\n\texample.com/ply v0.0.0\n\texample.com/ply/store/redis v0.0.0\n)\n\nreplace (\n\texample.com/ply => ../..\n\texample.com/ply/store/redis => ../../store/redis\n)\n",
		"cmd/ply/main.go":                "package main\n\nimport \"fmt\"\nimport \"runtime/debug\"\nimport \"example.com/ply/store/redis\"\n\nfunc main() {\n\tinfo, _ := debug.ReadBuildInfo()\n\tfmt.Println(redis.Name, info.Main.Version)\n}\n",
		"cmd/ply/main_test.go":           "package main\n\nimport _ \"example.com/ply\"\n",
		"cmd/ply/testdata/nested/go.mod": "module example.com/nested\n",
	}
	for name, text := range change {
		files[name] = text
	}
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{{"git", "init", "-q"}, {"git", "add", "-A"}} {
		if out, err := execIn(root, command...); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	r, err := open(root)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func execIn(dir string, command ...string) ([]byte, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

func TestPlanTagsEachReleasedModuleAfterThoseThatItRequires(t *testing.T) {
	p := repo(t, nil).plan("v0.1.0")
	if len(p.problems) > 0 {
		t.Errorf("problems: %q", p.problems)
	}
	var tags []string
	for _, m := range p.order {
		tags = append(tags, m.tag(p.version))
	}
	if want := []string{"v0.1.0", "store/redis/v0.1.0", "cmd/ply/v0.1.0"}; !slices.Equal(tags, want) {
		t.Errorf("tags %v, want %v", tags, want)
	}
	want := []string{
		"store/redis/go.mod: require example.com/ply v0.1.0",
		"store/redis/go.mod: no replace of example.com/ply",
		"cmd/ply/go.mod: require example.com/ply v0.1.0",
		"cmd/ply/go.mod: require example.com/ply/store/redis v0.1.0",
		"cmd/ply/go.mod: no replace of example.com/ply",
		"cmd/ply/go.mod: no replace of example.com/ply/store/redis",
		`CHANGELOG.md: the section Unreleased becomes "v0.1.0" with the date; a new, empty Unreleased stands above it`,
	}
	if !slices.Equal(p.edits, want) {
		t.Errorf("changes\n%s\nwant\n%s", strings.Join(p.edits, "\n"), strings.Join(want, "\n"))
	}
}

func TestPlanNamesWhatDoesNotFit(t *testing.T) {
	const redis = "module example.com/ply/store/redis\n\ngo 1.25.0\n\n"
	for name, test := range map[string]struct {
		version, file, text string
		want                string
	}{
		"a version of another major":       {version: "v2.0.0", want: "v2.0.0 is not a version such as v0.1.0: from v2 on, module paths would end in the major version"},
		"no version":                       {version: "0.1", want: "0.1 is not a version such as v0.1.0: from v2 on, module paths would end in the major version"},
		"no notes":                         {version: "v0.2.0", want: "there is no docs/release-notes-v0.2.0.md"},
		"an old sibling":                   {file: "store/redis/go.mod", text: redis + "require example.com/ply v0.0.9\n\nreplace example.com/ply => ../..\n", want: "store/redis/go.mod requires example.com/ply v0.0.9, want v0.0.0 until the release"},
		"no replace of a sibling":          {file: "store/redis/go.mod", text: redis + "require example.com/ply v0.0.0\n", want: "store/redis/go.mod requires example.com/ply and does not replace it by its directory"},
		"a replace by another directory":   {file: "store/redis/go.mod", text: redis + "require example.com/ply v0.0.0\n\nreplace example.com/ply => ../../../ply\n", want: "store/redis/go.mod replaces example.com/ply by ../../../ply, want its directory ."},
		"a replace of another's module":    {file: "store/redis/go.mod", text: redis + "replace example.com/fork => ../fork\n", want: "store/redis/go.mod replaces example.com/fork, and a release may replace nothing"},
		"a sibling that is not released":   {file: "store/redis/go.mod", text: redis + "require example.com/ply/internal/tool v0.0.0\n", want: "store/redis/go.mod requires example.com/ply/internal/tool, which is not released"},
		"a Go older than that of a module": {file: "go.mod", text: "module example.com/ply\n\ngo 1.26.0\n", want: "store/redis/go.mod says go 1.25.0, and requires example.com/ply, which says go 1.26.0"},
		"no changes":                       {file: "CHANGELOG.md", text: "# Changelog\n\n## Unreleased\n", want: "CHANGELOG.md has no changes for v0.1.0"},
		"changes after those of a version": {file: "CHANGELOG.md", text: changes + "\n## v0.1.0, 2030-01-01\n\n- a cache\n", want: "CHANGELOG.md has a section v0.1.0, and changes in Unreleased"},
	} {
		t.Run(name, func(t *testing.T) {
			change := map[string]string{}
			if test.file != "" {
				change[test.file] = test.text
			}
			v := test.version
			if v == "" {
				v = "v0.1.0"
			}
			p := repo(t, change).plan(v)
			if !slices.Equal(p.problems, []string{test.want}) {
				t.Errorf("problems %q, want %q", p.problems, test.want)
			}
			var said bytes.Buffer
			if p.write(&said); !strings.Contains(said.String(), test.want) {
				t.Errorf("the plan does not say it:\n%s", &said)
			}
		})
	}
}

func TestPlanAcceptsTheSectionOfTheVersion(t *testing.T) {
	for _, heading := range []string{"## v0.1.0", "## [v0.1.0] - 2030-01-01", "## v0.1.0, 2030-01-01"} {
		p := repo(t, map[string]string{"CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n" + heading + "\n\n- a client\n"}).plan("v0.1.0")
		if len(p.problems) > 0 {
			t.Errorf("%s: %q", heading, p.problems)
		}
	}
}

func TestPlanRefusesATagThatExists(t *testing.T) {
	r := repo(t, nil)
	for _, command := range [][]string{{"git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "all"}, {"git", "tag", "store/redis/v0.1.0"}} {
		if out, err := execIn(r.root, command...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	r, err := open(r.root)
	if err != nil {
		t.Fatal(err)
	}
	if p := r.plan("v0.1.0"); !slices.Equal(p.problems, []string{"the tag store/redis/v0.1.0 exists, and tags never move"}) {
		t.Errorf("problems %q", p.problems)
	}
}

// A release of the small repository, from a proxy of files: no module of it has to come from anywhere else.
func TestTryInstallsTheCommandFromTheReleasedModules(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	r := repo(t, nil)
	p := r.plan("v0.1.0")
	var said bytes.Buffer
	if err := r.try(p, &said); err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	if want := "go install example.com/ply/cmd/ply@v0.1.0: ply on Redis v0.1.0\n"; !strings.HasSuffix(said.String(), want) {
		t.Errorf("it says\n%s\nwant %s at the end", &said, want)
	}
	if status, err := execIn(r.root, "git", "status", "--porcelain", "-uall"); err != nil || strings.Contains("\n"+string(status), "\nAM") || strings.Contains("\n"+string(status), "\n??") {
		t.Errorf("the repository has changed: %v\n%s", err, status)
	}
}

// The modules of this repository fit, except that CHANGELOG.md and the notes are those of the next version only.
func TestModulesOfThisRepositoryFit(t *testing.T) {
	r, err := open(checkout(t))
	if err != nil {
		t.Fatal(err)
	}
	r.notes, r.changelog, r.tags = func(string) bool { return true }, changes, nil
	p := r.plan("v0.1.0")
	for _, problem := range p.problems {
		t.Error(problem)
	}
	if len(p.order) < 17 {
		t.Errorf("only %d modules are released", len(p.order))
	}
}

// From a checkout, go install makes the command as docs/releasing.md says.
func TestGoInstallFromACheckoutMakesTheCommand(t *testing.T) {
	root := checkout(t)
	bin := t.TempDir()
	install := exec.Command("go", "install", "./cmd/ply")
	install.Dir, install.Env = root, append(os.Environ(), "GOBIN="+bin)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := execIn(t.TempDir(), filepath.Join(bin, "ply"), "--version"); err != nil || !strings.HasPrefix(string(out), "ply version ") {
		t.Errorf("%v: it says %q", err, out)
	}
}
