#!/usr/bin/env bash
# Everything that must hold, in one run: format, vet, staticcheck, tests with the race detector, short fuzzing.
#
#   ./test.sh              all of it, a few minutes
#   ./test.sh quick        format, words, vet and tests of the packages that changed since the last commit, or with it, without -race and fuzzing
#   ./test.sh quick ./middleware/retry    the same of some packages
#   FUZZTIME=1m ./test.sh  all of it, with longer fuzzing
#
# It needs Go and, for the first run, the network for modules. The race detector needs a C compiler: where there is none,
# it is installed if that is possible; otherwise the tests run without -race, or, with CI set, not at all.
# The tests of store/redis start a redis-server, those of store/memcached a memcached, and those of store/postgres a PostgreSQL: where there is none, it is installed if that is possible;
# otherwise they are skipped, or, with CI set, fail. Those of store/mongodb, store/nats and store/s3 build their servers from modules outside the workspace.
# Those of store/dynamodb install dynalite with npm, in the user's cache directory, those of internal/ecosystem what reads HTTP Archives, which opens them in Chromium, those of site what builds the documentation, and those of site and inspect/browsertest axe, beside Chromium for the pages: node, npm and chromium are treated like those servers.
set -euo pipefail
cd "$(dirname "$0")"
# Numbers of inputs: on a busy machine go test may report a time that ran out as a failure. An input of the second kind has several callers use one cache for a while.
FUZZTIME_LONG=${FUZZTIME:-2000x}
FUZZTIME=${FUZZTIME:-10000x}
# The compiler, linker and linters take a third less time if they collect their garbage less often; what the tests run collects as ever.
rarely="GOGC=300"
step() { printf '\n== %s, after %d s\n' "$*" "$SECONDS"; }

check_format() {
  step gofmt
  unformatted=$(gofmt -l .)
  if [ -n "$unformatted" ]; then
    printf 'not formatted:\n%s\n' "$unformatted" >&2
    exit 1
  fi
}

# changed_packages are those with Go files that differ from the last commit, or, if none does, that the last commit changed.
changed_packages() {
  changed=$(git diff --name-only HEAD -- '*.go'; git ls-files --others --exclude-standard -- '*.go')
  [ -n "$changed" ] || changed=$(git diff --name-only HEAD~1 -- '*.go' 2>/dev/null || true)
  for file in $changed; do
    [ ! -f "$file" ] || dirname "./$file"
  done | grep -v '^\./internal/ecosystem\|^\./store/\(mongodb\|nats\|s3\)/internal/server' | sort -u || true
}

if [ "${1:-}" = quick ]; then
  shift
  [ $# -gt 0 ] || set -- $(changed_packages)
  [ $# -gt 0 ] || set -- ./...
  check_format
  step words
  tools/words.sh
  step vet
  go vet "$@"
  step test
  go test "$@"
  exit
fi

race=-race
if ! command -v "$(go env CC)" >/dev/null; then
  step "install a C compiler"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq gcc libc6-dev; then
    :
  elif [ -n "${CI:-}" ]; then
    echo 'no C compiler: the race detector cannot run' >&2
    exit 1
  else
    echo 'no C compiler: the tests run without the race detector'
    race=
  fi
fi

if ! command -v redis-server >/dev/null && ! command -v valkey-server >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  step "install redis-server"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server || true # the tests say so if there is none
fi

if ! command -v valkey-server >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-cache >/dev/null && apt-cache show valkey-server >/dev/null 2>&1; then
  step "install valkey-server" # its tests are skipped where there is no package, as in Debian 12
  apt-get install -y -qq --no-install-recommends valkey-server || true
fi

if ! command -v memcached >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  step "install memcached"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends memcached || true # the tests say so if there is none
fi

if ! command -v curl >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  step "install curl" # for the tests of cmd/ply
  apt-get update -qq && apt-get install -y -qq --no-install-recommends curl || true # the tests say so if there is none
fi

if { ! command -v node || ! command -v npm; } >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  step "install node and npm"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs npm || true # the tests say so if there is none
fi

if ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  step "install chromium"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium || true # the tests say so if there is none
fi

if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  step "install postgresql"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql || true # the tests say so if there is none
fi

export GOFLAGS="${GOFLAGS:-} '-toolexec=env $rarely'"

check_format

step words
tools/words.sh

# The linter is pinned in a module of its own, so that users of ply never download it.
step "build staticcheck"
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
(cd tools && GOWORK=off go build -o "$bin/" honnef.co/go/tools/cmd/staticcheck ./vet)

step "vet what depends on the system, for others"
for os in windows darwin; do
  env GOOS=$os "$rarely" "$bin/vet" ./...
done

# Each module stands alone, as it does for those who require it: what it imports is in its own go.mod and go.sum, and nothing else is.
# internal/ecosystem, with the libraries that people use beside ply, is not in the workspace: its many requirements would change the versions of all modules.
step "vet each module by itself"
# What is vetted is compiled in the same way as for its tests, so that it is compiled once: with -race, but for the servers that tests build, and for tools.
vet_module() {
  echo "  $1"
  cd "$(dirname "$1")"
  export GOWORK=off
  go mod tidy -diff
  case $1 in */internal/server/* | tools/go.mod) race= ;; esac
  go vet $race ./...
}
export -f vet_module
export race
git ls-files '*go.mod' | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" bash -euo pipefail -c 'vet_module "$1"' vet
(cd internal/ecosystem && env GOFLAGS="$GOFLAGS $race" GOWORK=off "$rarely" "$bin/staticcheck" ./...)

# All modules of the workspace at once: one waits while another computes.
modules=$(go list -m -f '{{.Dir}}/...')

step vet
go vet $race $modules
step staticcheck
env GOFLAGS="$GOFLAGS $race" "$rarely" "$bin/staticcheck" $modules

# A program with the race detector sleeps for a second before it exits, unless it is told not to: each package has one,
# and the tests of several processes have many. go test runs a part of go vet, which has run.
# Of each allocation of more than 64 KiB, the race detector maps its own memory anew, and half of the time goes on page faults: up to 16 MiB it clears it instead.
export GORACE="atexit_sleep_ms=0 clear_shadow_mmap_threshold=16777216 ${GORACE:-}"
step "test $race"
go test $race -vet=off -timeout 15m $modules
step "test $race, with the libraries that people use beside ply"
(cd internal/ecosystem && GOWORK=off go test $race -vet=off -timeout 15m ./...)

# fuzz builds one binary for a package and runs its targets one after the other. By default, go test spends up to a minute
# on making an input smaller that reaches new code, which finds nothing: here it tries ten times.
fuzz() {
  cd "$1"
  mkdir -p "$bin/fuzz/$1"
  go test -c -fuzz=. -o "$bin/fuzz/$1/test" .
  for target in $(cat ./*_test.go | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do
    echo "  $1 $target"
    case $target in
      FuzzCollapseSchedule | FuzzIsolation) most=$FUZZTIME_LONG ;;
      *) most=$FUZZTIME ;;
    esac
    "$bin/fuzz/$1/test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$most" -test.fuzzminimizetime 10x -test.parallel 1 -test.fuzzcachedir "$bin/fuzz/$1/$target"
  done
}
export -f fuzz
export bin FUZZTIME FUZZTIME_LONG

# As many packages at once as there are cores: one builds while another runs.
step "fuzz, $FUZZTIME each"
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' $modules); do
  if grep -qs '^func Fuzz' "$package"/*_test.go; then
    echo "$package"
  fi
done | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" bash -euo pipefail -c 'fuzz "$1"' fuzz

step "everything holds"
