#!/usr/bin/env bash
# Validates archives that package har writes with the JSON Schema of others (har-schema, by ajv), which npm has. Started by hand.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --silent --no-fund --no-audit --prefix "$dir" har-schema@2 ajv@6 >/dev/null
HAR_ARCHIVES="$dir" go test -count=1 -run 'TestArchiveHasWhatHAR12Requires|TestArchiveOfACacheIsOneOfHAR12' ./har ./middleware/cache
NODE_PATH="$dir/node_modules" node -e '
const fs = require("fs"), Ajv = require("ajv"), schemas = require("har-schema");
const ajv = new Ajv({ allErrors: true, schemaId: "auto" });
ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-06.json"));
ajv.addSchema(Object.values(schemas));
let failed = 0, n = 0;
for (const name of fs.readdirSync(process.argv[1]).filter(f => f.endsWith(".har"))) {
  n++;
  if (!ajv.validate("har.json#", JSON.parse(fs.readFileSync(process.argv[1] + "/" + name)))) { failed = 1; console.log(name, ajv.errors); }
}
console.log(n + " archives, " + (failed ? "not all valid" : "all valid"));
process.exit(failed || n == 0 ? 1 : 0);
' "$dir"
