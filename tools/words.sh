#!/usr/bin/env bash
# Words at which a reader stops, in code and documents. Lines that quote such a word on purpose stand in tools/words.allow, as "path:text of the line".
set -euo pipefail
cd "$(dirname "$0")/.."
words='([Nn]o|[Ss]ome|[Ee]very|[Aa]ny)body|[Ww]ho(m|so)?ever|[Tt]ells? whether|told whether|by and by|for want of another|as long good as'
found=$({ git grep -nIwE "$words" -- '*.go' '*.md' '*.sh' '*.yml' ':!CHANGELOG.md' ':!tools/words.sh' || [ $? = 1 ]; } | # 1 says that there is none
  sed -E 's/^([^:]*):([0-9]+):[[:space:]]*/\1:\2: /' |
  while IFS= read -r line; do
    path=${line%%:*} text=${line#*: }
    grep -qxF "$path:$text" tools/words.allow || printf '%s\n' "$line"
  done)
if [ -n "$found" ]; then
  printf '%s\n\nSay it in words that a reader takes in at the first pass: "reports whether", "no caller", "another process".\n' "$found" >&2
  exit 1
fi
