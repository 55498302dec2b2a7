// Sorting, filtering and download of tables, texts to copy, and the rows behind the points of the scatter. Without it
// the page says the same.
"use strict";

function sortValue(row, column) {
  const cell = row.children[column];
  const own = [...cell.childNodes].filter((node) => !["remark", "flags"].includes(node.className));
  const text = cell.dataset.sort ?? own.map((node) => node.textContent).join("");
  const number = Number(text.replaceAll(",", "").replace("−", "-"));
  return text.trim() !== "" && Number.isFinite(number) ? number : text.trim();
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a.localeCompare(b, undefined, { numeric: true });
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const body = table.tBodies[0];
      const missing = (value) => value === "" || value === "n/a" || value === "–";
      const rows = [...body.rows].map((row) => [sortValue(row, column), row]);
      rows.sort(([a], [b]) => {
        // What is missing stays at the end in both directions.
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        return descending ? compare(b, a) : compare(a, b);
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

function makeFilter(tables) {
  const controls = document.createElement("div");
  controls.className = "controls";
  controls.setAttribute("role", "search");
  const text = Object.assign(document.createElement("input"), { type: "search", id: "filter-text", autocomplete: "off" });
  const verdict = Object.assign(document.createElement("select"), { id: "filter-verdict" });
  for (const name of ["any", "FAIL", "WARN", "LOCAL", "PASS"]) verdict.add(new Option(name, name === "any" ? "" : name));
  const found = document.createElement("output");
  for (const [title, field] of [["Filter by name, task or metric", text], ["Verdict", verdict]]) {
    const label = document.createElement("label");
    label.append(title, field);
    controls.append(label);
  }
  controls.append(found);
  tables[0].closest("section").querySelector(".scroll").before(controls);

  function apply() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set();
    tables.forEach((table) => [...table.tBodies[0].rows].forEach((row) => {
      const own = row.textContent.toLowerCase();
      const hit = words.every((word) => own.includes(word)) && (!verdict.value || row.dataset.verdict === verdict.value);
      row.hidden = !hit;
      if (hit) shown.add(row.querySelector("a").textContent);
    }));
    const all = tables[0].tBodies[0].rows.length;
    found.textContent = shown.size === all ? "" : `${shown.size} of ${all} datasets shown`;
  }
  text.addEventListener("input", apply);
  verdict.addEventListener("change", apply);
}

function makeScatter(figure) {
  const plot = figure.querySelector(".plot");
  const drawing = plot.querySelector("svg");
  const tip = plot.querySelector(".tip");
  const points = [...drawing.querySelectorAll("[data-row]")];
  const rows = [...document.querySelectorAll("tr[data-row]")];
  const reach = 24;

  function centre(point) {
    const box = point.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  }
  function show(point) {
    points.forEach((other) => other.classList.toggle("here", other === point));
    rows.forEach((row) => row.classList.toggle("here", Boolean(point) && row.dataset.row === point.dataset.row));
    tip.hidden = !point;
    if (!point) return;
    tip.textContent = point.dataset.text;
    const frame = plot.getBoundingClientRect();
    const [x, y] = centre(point);
    const left = Math.min(x - frame.left + 12, frame.width - tip.offsetWidth);
    tip.style.left = `${Math.max(0, left)}px`;
    const above = y - frame.top - tip.offsetHeight - 12;
    tip.style.top = `${above < 0 ? y - frame.top + 12 : above}px`;
  }
  function nearest(event) {
    let best = null;
    let least = reach;
    for (const point of points) {
      const [x, y] = centre(point);
      const distance = Math.hypot(event.clientX - x, event.clientY - y);
      if (distance < least) [best, least] = [point, distance];
    }
    show(best);
  }
  drawing.addEventListener("pointermove", nearest);
  drawing.addEventListener("pointerdown", nearest);
  drawing.addEventListener("pointerleave", () => show(null));
  rows.forEach((row) => {
    const point = points.find((other) => other.dataset.row === row.dataset.row);
    row.addEventListener("pointerenter", () => points.forEach((other) => other.classList.toggle("here", other === point)));
    row.addEventListener("pointerleave", () => show(null));
  });
}

function makeButton(text, action) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "tool", textContent: text });
  button.addEventListener("click", () => action(button));
  return button;
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
const filtered = [...document.querySelectorAll("table.filtered")];
if (filtered.length) makeFilter(filtered);
document.querySelectorAll("#scatter").forEach(makeScatter);
document.querySelectorAll("pre.copied").forEach((text) => text.before(makeButton("Copy", (button) => {
  const done = () => { button.textContent = "Copied"; };
  const selected = () => { getSelection().selectAllChildren(text); done(); };
  const clipboard = navigator.clipboard;
  if (clipboard) clipboard.writeText(text.textContent).then(done, selected);
  else selected();
})));
document.querySelectorAll(".scroll").forEach((frame) => frame.after(makeButton("CSV", () => {
  const quoted = (cell) => `"${cell.innerText.replace(/\s+/g, " ").replaceAll('"', '""')}"`;
  const rows = [...frame.querySelector("table").rows].map((row) => [...row.cells].map(quoted).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([rows.join("\n")], { type: "text/csv" }));
  link.download = `${frame.querySelector("table").id}.csv`;
  link.click();
})));
