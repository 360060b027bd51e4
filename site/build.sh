#!/usr/bin/env bash
# Builds the documentation site from docs/ as static files.
#
#   site/build.sh           into site/dist
#   site/build.sh DIR       into another directory
#   site/build.sh dev       serves the pages, and shows what is edited at once
#
# What it needs of npm is installed once, in the user's cache directory. PLY_SITE_BASE is the path that the site is served below, "/ply/" for example; "/" by default.
# A warning of the build is an error, as is a link to a page that does not exist.
set -euo pipefail
cd "$(dirname "$0")"
PLY_ROOT=$(cd .. && pwd)
export PLY_ROOT
out=${1:-dist}
[ "$out" = dev ] || { mkdir -p "$out" && out=$(cd "$out" && pwd); }

# The packages, for this very lock file; PLY_SITE_PACKAGES is a directory that has them already.
packages=${PLY_SITE_PACKAGES:-}
if [ -z "$packages" ]; then
  packages=${XDG_CACHE_HOME:-$HOME/.cache}/ply-site/$(cat package.json package-lock.json | cksum | cut -d' ' -f1)
  if [ ! -d "$packages/node_modules" ]; then
    mkdir -p "$packages"
    made=$(mktemp -d "$packages/install-XXXXXX") # node_modules gets its name when it is whole
    trap 'rm -rf "$made"' EXIT
    cp package.json package-lock.json "$made"
    (cd "$made" && npm ci --no-audit --no-fund --ignore-scripts)
    mv "$made/node_modules" "$packages" || [ -d "$packages/node_modules" ] # another build was faster
    rm -rf "$made"
  fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R .vitepress package.json "$work"
ln -s "$packages/node_modules" "$PLY_ROOT/docs" "$work"
cd "$work"
vitepress() { node node_modules/vitepress/bin/vitepress.js "$@"; }
if [ "$out" = dev ]; then
  vitepress dev .
  exit
fi
said=$(vitepress build . --outDir "$out" 2>&1) || { printf '%s\n' "$said" >&2; exit 1; }
if printf '%s\n' "$said" | grep -iE 'warn|\(!\)' >&2; then
  exit 1
fi
printf '%s\n' "$said"
