// node har.js validate FILE...                  fails unless each is an HTTP Archive by the JSON Schema of HAR 1.2
// node har.js record CHROMIUM FILE URL          opens a page in Chromium, and records an archive
// node har.js show CHROMIUM FILE URL            opens a page in Chromium, with the answers of an archive alone
//
// record and show print what the page has put into window.seen, as JSON.
const fs = require("fs");

function validate(files) {
  const Ajv = require("ajv");
  const ajv = new Ajv({ allErrors: true, schemaId: "auto" });
  ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-06.json"));
  ajv.addSchema(Object.values(require("har-schema")));
  for (const file of files) {
    if (!ajv.validate("har.json#", JSON.parse(fs.readFileSync(file)))) {
      console.log(file, ajv.errors);
      process.exitCode = 1;
    }
  }
}

async function browse(command, executablePath, archive, url) {
  const { chromium } = require("playwright-core");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const context = await browser.newContext(command == "record" ? { recordHar: { path: archive, content: "embed" } } : {});
    if (command == "show") await context.routeFromHAR(archive, { notFound: "abort" });
    const page = await context.newPage();
    await page.goto(url);
    console.log(JSON.stringify(await page.evaluate("window.seen")));
    await context.close(); // writes the archive
  } finally {
    await browser.close();
  }
}

const [command, ...args] = process.argv.slice(2);
if (command == "validate") validate(args);
else browse(command, ...args);
