// How the page looks: light, dark, on a phone, on paper, without its script; the colours of attention.

// Relative luminance of a CSS colour, WCAG 2.2.
const luminance = (css) => {
  const [r, g, b] = css.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

const colours = (page) => page.evaluate(() => {
  const style = getComputedStyle(document.body);
  return { ink: style.color, ground: style.backgroundColor };
});

// Elements that take up room, by selector.
const visible = (page, selector) => page.$$eval(selector, (found) => found.filter((element) => element.checkVisibility()).length);

async function light({ open, expect, accessible, picture }) {
  const page = await open("light", { colorScheme: "light" });
  const { ink, ground } = await colours(page);
  expect(luminance(ink) < 0.1 && luminance(ground) > 0.9, `light: expected dark on light, got ${ink} on ${ground}`);
  for (const id of ["main", "tables", "gallery", "browser", "data", "limits"]) {
    expect(await page.$(`#${id}`), `light: no #${id}`);
  }
  const broken = await page.$$eval("img", (found) => found.filter((image) => image.naturalWidth === 0).length);
  expect(broken === 0, `light: ${broken} pictures do not load`);
  const levels = await page.$$eval("h1, h2, h3, h4, h5, h6", (found) => found.map((head) => Number(head.tagName[1])));
  expect(levels[0] === 1, "light: the first heading is not h1");
  expect(levels.every((level, place) => place === 0 || level <= levels[place - 1] + 1), `light: a heading leaves out a level: ${levels}`);
  await accessible(page, "light");
  await picture(page, "light", { fullPage: true });
}

async function dark({ open, expect, accessible, picture }) {
  const page = await open("dark", { colorScheme: "dark" });
  const { ink, ground } = await colours(page);
  expect(luminance(ink) > 0.6 && luminance(ground) < 0.05, `dark: expected light on dark, got ${ink} on ${ground}`);
  await accessible(page, "dark");
  await picture(page, "dark", { fullPage: true });
}

async function phone({ open, expect, accessible, picture }) {
  const page = await open("phone", { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
  const width = await page.evaluate(() => document.scrollingElement.scrollWidth);
  expect(width <= 360, `phone: the page is ${width} pixels wide on a screen of 360`);
  await accessible(page, "phone");
  await picture(page, "phone", { fullPage: true });
}

async function paper({ open, expect, picture }) {
  const page = await open("paper", { colorScheme: "dark" });
  const all = { outcomes: await visible(page, "[data-outcome]"), patients: (await page.$$(".patient")).length };
  await page.selectOption("[data-filter]", { index: 1 });
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const controls = await visible(page, "input, select, nav, .skip, .tools, #theme");
  expect(controls === 0, `paper: ${controls} controls are printed`);
  const shown = { outcomes: await visible(page, "[data-outcome]"), patients: await visible(page, ".patient") };
  expect(JSON.stringify(shown) === JSON.stringify(all), `paper: expected ${JSON.stringify(all)}, got ${JSON.stringify(shown)}`);
  const { ink, ground } = await colours(page);
  expect(luminance(ink) < 0.1 && luminance(ground) > 0.9, `paper: expected dark on light, got ${ink} on ${ground}`);
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  expect((await page.$$("details:not([open])")).length === 0, "paper: something is folded away");
  await picture(page, "paper", { fullPage: true });
}

async function withoutScript({ open, expect, picture }) {
  const page = await open("without script", { javaScriptEnabled: false });
  const controls = await page.locator("input, select, button").filter({ visible: true }).count();
  expect(controls === 0, `without script: ${controls} controls that do nothing`);
  const patients = page.locator(".patient");
  expect(await patients.filter({ visible: true }).count() === await patients.count(), "without script: not every patient is shown");
  expect(await page.locator(".noscript").isVisible(), "without script: no note");
  expect(await page.locator("table.sortable").first().isVisible(), "without script: no table");
  await picture(page, "without-script", { fullPage: true });
}

// The browser interpolates and colours attention as contract::attention does: five screen pixels for one of the slice, so that the
// middle one stands at its centre.
async function attention({ open, expect, colours }) {
  if (!colours) return;
  const scale = 5;
  const page = await open("attention", { viewport: { width: 900, height: 900 } });
  await page.locator('[data-view="lung"]').first().uncheck();
  if (await page.locator('[data-view="lesion"]').count()) await page.locator('[data-view="lesion"]').first().uncheck();
  let [count, worst, where] = [0, 0, ""];
  for (const exhibit of await page.locator(".exhibit").all()) {
    const id = (await exhibit.locator(".id").textContent()).trim();
    const stack = exhibit.locator(".stack").nth(1);
    await stack.evaluate((svg, side) => svg.setAttribute("style", `position:fixed;left:0;top:0;z-index:9;width:${side}px;border-radius:0`), colours.size * scale);
    const shot = (await stack.screenshot()).toString("base64");
    const found = await page.evaluate(pixels, { shot, scale, points: colours.slices[id] });
    await stack.evaluate((svg) => svg.removeAttribute("style"));
    found.forEach((got, place) => {
      const [row, column, expected] = colours.slices[id][place];
      const error = Math.max(...got.map((part, channel) => Math.abs(part - expected[channel])));
      count += 1;
      if (error > worst) [worst, where] = [error, `${id} at ${row}, ${column}: expected ${expected}, got ${got}`];
    });
  }
  expect(count > 50, `attention: only ${count} colours compared`);
  // Rounding to 8 bits: of the map, of the picture scaled, of colour and share.
  expect(worst <= 5, `attention: off by ${worst} of 255: ${where}`);
}

async function pixels({ shot, scale, points }) {
  const image = new Image();
  image.src = `data:image/png;base64,${shot}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const middle = (place) => place * scale + Math.floor(scale / 2);
  return points.map(([row, column]) => [...context.getImageData(middle(column), middle(row), 1, 1).data].slice(0, 3));
}

export const looks = { light, dark, phone, paper, withoutScript, attention };
