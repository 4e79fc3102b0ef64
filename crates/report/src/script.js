// The page's controls. Everything is in the page without this script; it sorts, copies, filters, fades and turns slices.
"use strict";

const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// A page opened from disk may have no storage, or one that refuses.
const memory = {
  key: "chumoku-theme",
  read() { try { return localStorage.getItem(this.key); } catch { return null; } },
  write(value) { try { localStorage.setItem(this.key, value); } catch { /* then it is not remembered */ } },
};

// --- theme: the system's, unless the reader chose one. Set before anything is drawn.

const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => root.dataset.theme || (dark.matches ? "dark" : "light");

root.classList.add("js");
if (["light", "dark"].includes(memory.read())) root.dataset.theme = memory.read();

function themeButton() {
  const button = document.getElementById("theme");
  const show = () => {
    const other = theme() === "dark" ? "light" : "dark";
    button.textContent = `${other} colours`;
  };
  button.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    memory.write(root.dataset.theme);
    show();
  });
  dark.addEventListener("change", show);
  show();
}

// --- tables: sorting within blocks, copying

const text = (cell) => cell.textContent.trim();
const isMissing = (words) => ["", "-", "n/a"].includes(words);

// "66.4 (59.9 to 72.4)" is 66.4, "55/72 (...)" its fraction, "< 0.001" a little less than that; null: no number.
function number(words) {
  const found = /^(<\s*)?([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:\/(\d+))?(?![\w-])/.exec(words);
  if (!found) return null;
  const value = Number(found[2]) / (found[3] ? Number(found[3]) : 1);
  return found[1] ? value * 0.999 : value;
}

const words = new Intl.Collator("en", { numeric: true });

// Rows in the order of a column; missing values last whichever way, ties as they stood.
function sorted(rows, column, sign) {
  const keys = new Map(rows.map((row) => [row, text(row.cells[column])]));
  const there = rows.filter((row) => !isMissing(keys.get(row)));
  const numeric = there.every((row) => number(keys.get(row)) !== null);
  const compare = numeric
    ? (a, b) => number(keys.get(a)) - number(keys.get(b))
    : (a, b) => words.compare(keys.get(a), keys.get(b));
  there.sort((a, b) => sign * compare(a, b));
  return there.concat(rows.filter((row) => isMissing(keys.get(row))));
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const blocks = [...table.tBodies].map((body) => {
    const rows = [...body.rows];
    return { body, title: rows.filter((row) => row.matches(".block")), rows: rows.filter((row) => !row.matches(".block")) };
  });
  if (!blocks.some((block) => block.rows.length > 1)) return;
  const order = ["ascending", "descending", "none"];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = order[(order.indexOf(head.getAttribute("aria-sort")) + 1) % order.length];
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      const sign = next === "descending" ? -1 : 1;
      for (const { body, title, rows } of blocks) {
        body.append(...title, ...(next === "none" ? rows : sorted(rows, column, sign)));
      }
    });
  });
}

// The table as it stands, as lists of cells; rows of one cell are titles of blocks.
const lines = (table) => [...table.rows].map((row) => [...row.cells].map(text));

function csv(table) {
  const cell = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  let block = "";
  const rows = [];
  const titled = lines(table).some((line) => line.length === 1);
  lines(table).forEach((line, place) => {
    if (line.length === 1 && titled) block = line[0];
    else rows.push((titled ? [place ? block : "block"] : []).concat(line).map(cell).join(","));
  });
  return `${rows.join("\n")}\n`;
}

function markdown(table) {
  const columns = table.tHead.rows[0].cells.length;
  const cell = (value) => value.replaceAll("|", "\\|");
  const line = (cells) => `| ${cells.map(cell).join(" | ")} |`;
  const rows = lines(table).map((cells) => (cells.length < columns ? [`*${cells[0]}*`, ...Array(columns - 1).fill("")] : cells));
  rows.splice(1, 0, Array(columns).fill("---"));
  return `${rows.map(line).join("\n")}\n`;
}

async function copy(content) {
  try {
    await navigator.clipboard.writeText(content);
    return true;
  } catch {
    // No clipboard for this page: the old way, through a field.
    const field = document.createElement("textarea");
    field.value = content;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function copyable(table) {
  const tools = document.createElement("p");
  tools.className = "tools script";
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  for (const [name, write] of [["CSV", csv], ["Markdown", markdown]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `copy as ${name}`;
    button.setAttribute("aria-label", `copy ${text(table.caption)} as ${name}`);
    button.addEventListener("click", async () => {
      said.textContent = (await copy(write(table))) ? `${name} copied` : "this browser does not let the page copy";
    });
    tools.append(button);
  }
  tools.append(said);
  table.closest(".scroll").after(tools);
}

// What scrolls sideways must be reachable by keyboard, and have a name.
function reachable(box) {
  if (box.hasAttribute("tabindex")) return;
  const heading = all("h2, summary", box.closest("details, section") || document)[0];
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", `table: ${heading ? text(heading) : "values"}`);
}

// --- pictures: outlines, attention, outcomes. Controls of the same name move together.

function layers() {
  const show = (name, control) => {
    if (name === "attention") root.style.setProperty("--attention", control.value / 100);
    else root.classList.toggle(`no-${name}`, !control.checked);
  };
  all("[data-view]").forEach((control) => control.addEventListener("input", () => {
    all(`[data-view="${control.dataset.view}"]`).forEach((other) => {
      other.value = control.value;
      other.checked = control.checked;
    });
    show(control.dataset.view, control);
  }));
}

function outcomes(select) {
  select.addEventListener("input", () => all("[data-outcome]").forEach((group) => {
    group.classList.toggle("away", select.value !== "" && group.dataset.outcome !== select.value);
  }));
}

// --- the slice browser

function patients(select) {
  const show = () => all(".patient").forEach((patient) => patient.classList.toggle("away", patient.id !== select.value));
  select.addEventListener("input", show);
  show();
}

function slices(patient) {
  const slides = JSON.parse(patient.querySelector("script").textContent);
  const slider = patient.querySelector("[data-slice]");
  const [picture, ...stacks] = all(".stack", patient);
  const maps = stacks.map((stack) => stack.querySelector(".map"));
  const cursor = patient.querySelector(".cursor");
  const verdicts = all(".verdict", patient);
  const show = () => {
    const slide = slides[slider.value - 1];
    picture.querySelector("image").setAttribute("href", slide.picture);
    all(".lung", patient).forEach((path) => path.setAttribute("d", slide.lung));
    all(".lesion", patient).forEach((path) => path.setAttribute("d", slide.lesion));
    slide.maps.filter((map) => map !== null).forEach((map, place) => maps[place].setAttribute("href", map));
    slide.words.forEach((said, place) => { verdicts[place].textContent = said; });
    all(".stack", patient).forEach((stack) => {
      stack.setAttribute("aria-label", stack.getAttribute("aria-label").replace(patient.querySelector(".id").textContent, slide.id));
    });
    patient.querySelector(".id").textContent = slide.id;
    patient.querySelector(".place").textContent = slide.place;
    slider.setAttribute("aria-valuetext", slide.place);
    cursor.setAttribute("x", (slider.value - 1) * cursor.getAttribute("width"));
  };
  slider.addEventListener("input", show);
  patient.querySelector("[data-line]").addEventListener("click", (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * slides.length);
    slider.value = Math.min(Math.max(place, 0), slides.length - 1) + 1;
    show();
  });
}

// --- paper shows what is folded away

function paper() {
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    closed.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((details) => { details.open = false; }));
}

document.addEventListener("DOMContentLoaded", () => {
  themeButton();
  all("table.sortable").forEach((table) => { sortable(table); copyable(table); });
  all(".scroll").forEach(reachable);
  layers();
  all("[data-filter]").forEach(outcomes);
  all("[data-patients]").forEach(patients);
  all("[data-slice]").forEach((slider) => slices(slider.closest(".patient")));
  paper();
});
