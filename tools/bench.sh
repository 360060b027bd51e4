#!/usr/bin/env bash
# Allocations of hits, misses and validations beside those of benchmarks/baseline.txt.
#   tools/bench.sh           compare
#   tools/bench.sh -record   replace the baseline by what this tree needs
# The baseline has each benchmark six times: benchstat needs that many samples to tell a difference from noise.
# Times are not compared: they belong to one machine. See docs/performance.md for those.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd tools && GOWORK=off go build -o "$work/benchstat" golang.org/x/perf/cmd/benchstat)
(cd benchmarks && go test -run '^$' -bench 'Hit|Miss|Revalidation' -benchmem -benchtime 300x -count 6 .) |
  sed -E '/^Benchmark/{/\/ply/!d; s/[0-9.]+ ns\/op//}; /^cpu:/d' >"$work/new.txt"
if [ "${1:-}" = -record ]; then
  cp "$work/new.txt" benchmarks/baseline.txt
else
  "$work/benchstat" benchmarks/baseline.txt "$work/new.txt"
fi
