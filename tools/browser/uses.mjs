// What the page's controls do, by mouse and by keyboard.

// Clicks every head of every sortable table three times; the cells of its column, block by block, before and after each click.
const clicked = (page) => page.$$eval("table.sortable", (tables) => tables.flatMap((table) => {
  const cells = (column) => [...table.tBodies].map((body) =>
    [...body.rows].filter((row) => !row.matches(".block")).map((row) => row.cells[column].textContent.trim()));
  return [...table.tHead.rows[0].cells].filter((head) => head.querySelector("button")).map((head) => {
    const click = () => {
      head.querySelector("button").click();
      return { way: head.getAttribute("aria-sort"), cells: cells(head.cellIndex) };
    };
    const name = `${head.textContent} of ${table.caption.textContent}`;
    return { name, before: cells(head.cellIndex), after: [click(), click(), click()] };
  });
}));

// The number that a cell begins with, a fraction as such; NaN for none.
const value = (cell) => {
  const [first, second] = cell.split(" ")[0].split("/").map(parseFloat);
  return second === undefined ? first : first / second;
};

const isMissing = (cell) => ["", "-", "n/a"].includes(cell);
const isNumeric = (block) => block.every((cell) => isMissing(cell) || !Number.isNaN(value(cell)));

// Whether numbers rise (or fall), what is missing after them.
function ordered(block, way) {
  const numbers = block.filter((cell) => !isMissing(cell)).map(value);
  if (way === "descending") numbers.reverse();
  return numbers.every((number, place) => place === 0 || number >= numbers[place - 1]) && block.slice(numbers.length).every(isMissing);
}

// Every column of numbers, up and down, block by block; the third time as before.
async function sorting({ open, expect }) {
  const page = await open("sorting");
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  let [sorted, changed] = [0, 0];
  for (const { name, before, after } of await clicked(page)) {
    expect(same(after.map((click) => click.way), ["ascending", "descending", "none"]), `sorting: ${name}: aria-sort ${after.map((click) => click.way)}`);
    expect(same(after[2].cells, before), `sorting: ${name}: the third click does not restore the order`);
    for (const { way, cells } of after.slice(0, 2)) {
      expect(same(cells.map((block) => [...block].sort()), before.map((block) => [...block].sort())), `sorting: ${name}: rows changed their block`);
      if (!isNumeric(before.flat())) continue;
      expect(cells.every((block) => ordered(block, way)), `sorting: ${name}: not ${way}: ${JSON.stringify(cells)}`);
      sorted += 1;
      changed += !same(cells, before);
    }
  }
  expect(sorted > 10 && changed > 5, `sorting: ${sorted} columns of numbers sorted, ${changed} changed`);
}

async function sortingByKeyboard({ open, expect }) {
  const page = await open("sorting by keyboard");
  const head = page.locator("table.sortable thead th").nth(1);
  await head.locator("button").focus();
  await page.keyboard.press("Enter");
  expect(await head.getAttribute("aria-sort") === "ascending", "sorting: Enter does nothing");
  await page.keyboard.press("Space");
  expect(await head.getAttribute("aria-sort") === "descending", "sorting: Space does nothing");
}

async function copying({ open, expect }) {
  const page = await open("copying");
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const tools = page.locator(".tools").first();
  const head = await page.locator("table.sortable").first().locator("thead th").allTextContents();
  const copied = async (name) => {
    await tools.getByRole("button", { name: new RegExp(`as ${name}$`) }).click();
    await tools.getByRole("status").filter({ hasText: `${name} copied` }).waitFor({ timeout: 3000 });
    return (await page.evaluate(() => navigator.clipboard.readText())).trim().split("\n");
  };
  const csv = await copied("CSV");
  const quoted = head.map((cell) => (cell.includes(",") ? `"${cell}"` : cell)).join(",");
  expect(csv[0] === `block,${quoted}`, `copying: the head of the CSV is ${csv[0]}`);
  expect(csv.slice(1).every((line) => line.split(",").length >= head.length + 1), `copying: a line is short: ${csv[1]}`);
  const markdown = await copied("Markdown");
  expect(markdown[1] === `|${" --- |".repeat(head.length)}`, `copying: the second line of the Markdown is ${markdown[1]}`);
}

// What stands in the browser for one patient.
const shown = (patient) => patient.evaluate((element) => ({
  picture: element.querySelector(".stack image").getAttribute("href"),
  lung: element.querySelector(".lung").getAttribute("d"),
  map: element.querySelector(".map").getAttribute("href"),
  id: element.querySelector(".id").textContent,
  place: element.querySelector(".place").textContent,
  said: element.querySelector("[data-slice]").getAttribute("aria-valuetext"),
  label: element.querySelector(".stack").getAttribute("aria-label"),
  cursor: Number(element.querySelector(".cursor").getAttribute("x")),
}));

async function slices({ open, expect, picture }) {
  const page = await open("slices");
  const patient = page.locator(".patient:not(.away)");
  expect(await patient.count() === 1, `slices: ${await patient.count()} patients at once`);
  const slider = patient.locator("[data-slice]");
  await slider.focus();
  await page.keyboard.press("Home");
  const first = await shown(patient);
  await page.keyboard.press("ArrowRight");
  const second = await shown(patient);
  for (const key of ["picture", "id", "place", "said", "cursor", "label"]) {
    expect(first[key] !== second[key], `slices: the slider does not change ${key}: ${String(first[key]).slice(0, 60)}`);
  }
  expect(first.place.startsWith("slice 1 of ") && second.place.startsWith("slice 2 of "), `slices: ${first.place}, then ${second.place}`);
  expect(second.said === second.place && second.label.includes(second.id), `slices: ${JSON.stringify(second).slice(-200)}`);
  await slider.hover();
  await page.mouse.wheel(0, 200);
  expect((await shown(patient)).id === second.id, "slices: the wheel turns slices");
  await page.keyboard.press("Home");
  expect(JSON.stringify(await shown(patient)) === JSON.stringify(first), "slices: the first slice is not what it was");
  const box = await patient.locator("[data-line]").boundingBox();
  await patient.locator("[data-line]").click({ position: { x: box.width - 3, y: box.height / 2 } });
  const [, last, all] = (await shown(patient)).place.match(/slice (\d+) of (\d+)/);
  expect(last === all, `slices: a click at the end of the line shows slice ${last} of ${all}`);
  await picture(page, "browser");
}

async function choosing({ open, expect }) {
  const page = await open("choosing");
  const choice = page.locator("[data-patients]");
  const options = await choice.locator("option").evaluateAll((found) => found.map((option) => option.value));
  expect(options.length > 1, "choosing: one patient alone");
  for (const id of options) {
    await choice.selectOption(id);
    const ids = await page.locator(".patient:not(.away)").evaluateAll((found) => found.map((patient) => patient.id));
    expect(ids.join() === id, `choosing: asked for ${id}, got ${ids}`);
  }
}

async function layers({ open, expect }) {
  const page = await open("layers");
  const displays = () => page.locator(".lung").evaluateAll((found) => [...new Set(found.map((path) => getComputedStyle(path).display))].join());
  const opacities = () => page.locator(".map").evaluateAll((found) => [...new Set(found.map((map) => getComputedStyle(map).opacity))].join());
  expect(await displays() === "inline" && await opacities() === "1", `layers: ${await displays()}, ${await opacities()} at first`);
  await page.locator('#gallery [data-view="lung"]').focus();
  await page.keyboard.press("Space");
  expect(await displays() === "none", "layers: the lung outline does not go");
  expect(!(await page.locator('#browser [data-view="lung"]').isChecked()), "layers: the controls of two sections differ");
  await page.locator('#browser [data-view="attention"]').fill("40");
  expect(await opacities() === "0.4", `layers: expected opacity 0.4, got ${await opacities()}`);
  expect(await page.locator('#gallery [data-view="attention"]').inputValue() === "40", "layers: the sliders of two sections differ");
  await page.selectOption("[data-filter]", { index: 2 });
  const groups = await page.$$eval("[data-outcome]", (found) => found.filter((group) => group.checkVisibility()).map((group) => group.dataset.outcome));
  expect(groups.length === 1 && groups[0] === await page.locator("[data-filter]").inputValue(), `layers: the filter shows ${groups}`);
}

const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

async function theme({ open, expect }) {
  const page = await open("theme", { colorScheme: "light" });
  const before = await ground(page);
  await page.locator("#theme").focus();
  await page.keyboard.press("Enter");
  const after = await ground(page);
  expect(before !== after, "theme: the button does nothing");
  await page.reload();
  expect(await ground(page) === after, "theme: the choice is not remembered");
  await page.locator("#theme").click();
  expect(await ground(page) === before, "theme: the button does not go back");
}

async function withoutStorage({ open, expect }) {
  const refuse = () => Object.defineProperty(globalThis, "localStorage", { get() { throw new DOMException("refused", "SecurityError"); } });
  const page = await open("without storage", { colorScheme: "light" }, (page) => page.addInitScript(refuse));
  const before = await ground(page);
  await page.locator("#theme").click();
  expect(await ground(page) !== before, "without storage: the theme does not change");
  expect(await page.locator(".patient:not(.away)").count() === 1, "without storage: the rest of the script did not run");
}

// Tab goes through every control, and the focus can be seen.
async function keyboard({ open, expect }) {
  const page = await open("keyboard");
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement.matches(".skip") && document.activeElement.getBoundingClientRect().left >= 0), "keyboard: the skip link is not first, or not seen");
  const wanted = await page.$$eval("button, select, input, a[href], summary", (found) => found.filter((control) => control.checkVisibility()).length);
  const reached = new Set();
  for (let step = 0; step < wanted * 3 && reached.size < wanted; step += 1) {
    const now = await page.evaluate(() => {
      const control = document.activeElement;
      if (!control.matches("button, select, input, a[href], summary")) return null;
      const style = getComputedStyle(control);
      const all = [...document.querySelectorAll("button, select, input, a[href], summary")];
      return { place: all.indexOf(control), ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1, name: control.outerHTML.slice(0, 60) };
    });
    if (now) {
      reached.add(now.place);
      expect(now.ring, `keyboard: the focus is not seen on ${now.name}`);
    }
    await page.keyboard.press("Tab");
  }
  expect(reached.size === wanted, `keyboard: ${reached.size} of ${wanted} controls reached`);
}

// Whatever got into the page could not call home.
async function policy({ open, expect }) {
  const page = await open("policy");
  // What is blocked is reported as a request and as an error all the same.
  page.removeAllListeners("console");
  page.removeAllListeners("request");
  const blocked = await page.evaluate(() => new Promise((done) => {
    addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective), { once: true });
    setTimeout(() => done("nothing"), 3000);
    new Image().src = "https://example.invalid/x.png";
  }));
  expect(blocked === "img-src", `policy: expected img-src to be blocked, got ${blocked}`);
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "globalThis.intruder = true";
    document.head.append(script);
    return globalThis.intruder === true;
  });
  expect(!ran, "policy: a script that is not the page's own ran");
}

export const uses = { sorting, sortingByKeyboard, copying, slices, choosing, layers, theme, withoutStorage, keyboard, policy };
