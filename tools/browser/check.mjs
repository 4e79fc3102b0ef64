// Opens a report in headless Chromium and uses it as a reader would. Prints what is wrong, a line each; exit code 1 if anything is.
//
//   node check.mjs CHROMIUM REPORT.html [--colours COLOURS.json] [--pictures FOLDER]
//
// COLOURS.json: for slices of the gallery, by id, the colours that the first method's attention must have at pixels of the slice:
// {"size": 64, "slices": {ID: [[row, column, [r, g, b]], ...]}}. FOLDER: where pictures of the page go, to look at.

import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve, join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { looks } from "./looks.mjs";
import { uses } from "./uses.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const [executablePath, report, ...rest] = process.argv.slice(2);
const option = (name) => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : null);
const address = pathToFileURL(resolve(report)).href;
const pictures = option("--pictures");
if (pictures) mkdirSync(pictures, { recursive: true });

const faults = [];
const expect = (fine, what) => { if (!fine) faults.push(what); };

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

// A page of its own with the report; whatever it asks for or complains of is a fault.
async function open(name, options = {}, prepare = async () => {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("request", (request) => {
    const url = request.url();
    expect(url.split("#")[0] === address || url.startsWith("data:"), `${name}: asked for ${url.slice(0, 100)}`);
  });
  page.on("console", (message) => expect(!["error", "warning"].includes(message.type()), `${name}: console: ${message.text()}`));
  page.on("pageerror", (error) => expect(false, `${name}: script: ${error.message}`));
  await prepare(page);
  await page.goto(address);
  return page;
}

// Rules of axe-core whose violations keep people out.
async function accessible(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document));
  for (const { id, impact, help, nodes } of found.violations) {
    const where = nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ");
    expect(!["serious", "critical"].includes(impact), `${name}: axe ${id} (${impact}): ${help}: ${where}`);
  }
}

const picture = async (page, name, options = {}) => {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), ...options });
};

const tools = { open, expect, accessible, picture, colours: option("--colours") && JSON.parse(readFileSync(option("--colours"))) };
const started = Date.now();
let checks = 0;
for (const [name, check] of Object.entries({ ...looks, ...uses })) {
  try {
    await check(tools);
  } catch (error) {
    expect(false, `${name}: ${error.message}`);
  }
  checks += 1;
  if (process.env.CHUMOKU_TIMES) console.log(`${name}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
await browser.close();
faults.forEach((fault) => console.log(fault));
console.log(`${checks} checks of ${report}: ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
