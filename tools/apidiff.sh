#!/usr/bin/env bash
# What changed in the exported names of each module, since a tag or commit: tools/apidiff.sh [REVISION]
# Without REVISION it is the last tag. Incompatible changes are marked; before v1 they need a minor version, after it a major one.
set -euo pipefail
cd "$(dirname "$0")/.."
since=${1:-$(git describe --tags --abbrev=0 2>/dev/null || true)}
if [ -z "$since" ]; then
  echo 'there is no tag yet: give a revision to compare with'
  exit
fi
work=$(mktemp -d)
trap 'git worktree remove --force "$work/old" 2>/dev/null || true; rm -rf "$work"' EXIT
(cd tools && GOWORK=off go build -o "$work/apidiff" golang.org/x/exp/cmd/apidiff)
git worktree add --quiet --detach "$work/old" "$since"
for gomod in $(git ls-files '*go.mod'); do
  dir=$(dirname "$gomod")
  case $dir in tools | tools/* | internal/* | examples/* | benchmarks | benchmarks/* | site | inspect/browsertest | store/sqlite/drivers | store/*/internal/*) continue ;; esac # no user imports them
  module=$(sed -n 's/^module //p' "$gomod")
  printf '\n== %s\n' "$module"
  if ! [ -f "$work/old/$gomod" ]; then
    echo 'is new'
    continue
  fi
  (cd "$work/old/$dir" && GOWORK=off "$work/apidiff" -m -w "$work/old.api" "$module")
  (cd "$dir" && GOWORK=off "$work/apidiff" -m "$work/old.api" "$module")
done
