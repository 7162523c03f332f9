// The page of a step: shows the numbers of DATA, writes out what each is made of, and makes steps.

const program = new Program(DATA.form, OPERATIONS);
const { row } = program;
const rates = { rate: DATA.rate };
const overrides = {};
const losses = [];
let made = 0;
let chosen = null;

const MINUS = "\u2212";
const blocks = Object.fromEntries(DATA.blocks.map(block => [block.name, block]));
const nodeOf = name => program.named[name];
const short = v => {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? "not a number" : v > 0 ? "∞" : MINUS + "∞";
  const size = Math.abs(v);
  const text = v !== 0 && (size >= 1e5 || size < 5e-5) ? v.toExponential(2) : String(+v.toFixed(4));
  return text.replace("-", MINUS);
};
const fixed = v => {
  if (!Number.isFinite(v)) return short(v);
  if (Number.isInteger(v) && Math.abs(v) < 1e5) return short(v);
  return v !== 0 && (Math.abs(v) >= 1e5 || Math.abs(v) < 5e-5) ? short(v) : v.toFixed(4).replace("-", MINUS);
};
const element = (tag, attributes = {}, text = "") => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== "") made.textContent = text;
  return made;
};
const byId = id => document.getElementById(id);

// ------------------------------------------------------------------------------------------------------------ numbers
function coefficients() {
  for (const [name, values] of Object.entries(DATA.coefficients)) {
    const value = values[Math.min(made, values.length - 1)];
    const scaled = DATA.scaled.includes(name) ? value * (rates.rate / DATA.rate) : value;
    if (nodeOf(name)) row[nodeOf(name).start] = name in overrides ? overrides[name] : scaled;
  }
}
function begin() {
  for (const [name, numbers] of Object.entries(DATA.given)) if (nodeOf(name)) program.set(name, numbers);
  made = 0;
  losses.length = 0;
  rates.rate = DATA.rate;
  for (const name of Object.keys(overrides)) delete overrides[name];
  coefficients();
  program.compute();
}
const loss = () => row[DATA.result];

function makeSteps(count) {
  const most = Math.max(1, ...Object.values(DATA.coefficients).map(values => values.length));
  for (let k = 0; k < count; k++) {
    if (most > 1 && made + 1 >= most) { byId("done").textContent = `${made} steps are as far as this page goes`; break; }
    losses.push(loss());
    program.advance();
    made++;
    coefficients();
    program.compute();
  }
  paint();
}

// A number typed, or set from outside; false where there is none.
function setNumber(name, place, value) {
  const number = typeof value === "number" ? value : Number(String(value).trim().replace(",", ".").replace(MINUS, "-"));
  if (!Number.isFinite(number) || (typeof value !== "number" && String(value).trim() === "")) return false;
  if (name === "learning_rate") rates.rate = number;
  else if (DATA.scaled.includes(name)) {
    const values = DATA.coefficients[name];
    rates.rate = DATA.rate * number / values[Math.min(made, values.length - 1)];
  } else if (name in DATA.coefficients) overrides[name] = number;
  else if (nodeOf(name) && !nodeOf(name).function && place >= 0 && place < nodeOf(name).size) {
    row[nodeOf(name).start + place] = number;
  } else return false;
  coefficients();
  program.compute();
  return true;
}

// ----------------------------------------------------------------------------------------------------- what it is made of
const starts = program.nodes.map(node => node.start);
function owner(place) {
  let low = 0, high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= place) low = middle; else high = middle - 1;
  }
  return program.nodes[low];
}
const SIGNS = { add: [" + ", 1], subtract: [` ${MINUS} `, 1], multiply: [" · ", 2], divide: [" / ", 2] };
const COMPARED = { greater: ">", less: "<", greater_equal: "≥", less_equal: "≤", equal: "=", not_equal: "≠" };
const WORDS = { minimum: "min", maximum: "max", sqrt: "√", log1p: "log1p", arctan: "arctan" };
const TERMS = 12;

function number(v) { return short(v).startsWith(MINUS) ? `(${short(v)})` : short(v); }

// [text, how firmly it binds] of term `at` of operand `read`; the numbers it is made of are put into `touched`.
function operand(read, at, touched, alone) {
  if (typeof read === "number") return [short(read), read < 0 ? 2 : 9];
  const place = read[at], node = owner(place), k = place - node.start;
  if (node.constant) return [short(row[place]), 9];
  if (!node.function || blocks[node.name]) {
    touched.push([node.name, k]);
    return [alone ? short(row[place]) : number(row[place]), 9];
  }
  return sentence(node, k, touched);
}
function sentence(node, k, touched) {
  const reads = program.reads(node), f = node.function;
  if (node.fold) {
    const from = k * node.terms, all = [...Array(node.terms).keys()].map(j => from + j);
    const value = at => Math.abs(reads.reduce((v, read) => v * (typeof read === "number" ? read : row[read[at]]), 1));
    let some = all;
    if (all.length > TERMS) some = all.filter(at => value(at) > 0).sort((a, b) => value(b) - value(a)).slice(0, TERMS);
    const left = all.filter(at => value(at) > 0 || all.length <= TERMS).length - some.length;
    const terms = some.map(at => reads.map(read => operand(read, at, touched, reads.length === 1 && node.fold !== "add"))
      .map(([text, binds]) => (binds < 2 || (reads.length > 1 && binds < 3) ? `(${text})` : text)).join("·"));
    if (left > 0) terms.push(`… (${left} smaller ones)`);
    if (node.fold === "add") return [terms.length ? terms.join(" + ") : "0", terms.length > 1 ? 1 : 2];
    if (node.fold === "multiply") return [terms.join(" · "), 2];
    return [`${node.fold === "maximum" ? "max" : "min"}(${terms.join(", ")})`, 9];
  }
  const part = (i, least, alone) => {
    const [text, binds] = operand(reads[i], k, touched, alone);
    return binds < least ? `(${text})` : text;
  };
  if (f === "minimum" && typeof reads[1] === "number" && reads[1] > 700) return operand(reads[0], k, touched);
  if (f in SIGNS) {
    const [sign, binds] = SIGNS[f];
    return [part(0, binds) + sign + part(1, binds + (f === "subtract" || f === "divide" ? 1 : 0)), binds];
  }
  if (f === "negative") return [MINUS + part(0, 3), 2];
  if (f === "square") return [part(0, 9) + "²", 8];
  if (f in COMPARED) return [`[${part(0, 0, true)} ${COMPARED[f]} ${part(1, 0, true)}]`, 9];
  if (f === "absolute") return [`|${part(0, 0, true)}|`, 9];
  if (f === "invert") return [`1 ${MINUS} ${part(0, 2)}`, 1];
  if (f === "reciprocal") return [`1 / ${part(0, 3)}`, 2];
  return [`${WORDS[f] || f}(${reads.map((_, i) => part(i, 0, true)).join(", ")})`, 9];
}
const where = (block, k) => {
  const [rows, columns] = block.size, i = Math.floor(k / columns), j = k % columns;
  if (rows * columns === 1) return "";
  return rows === 1 ? `[${j + 1}]` : `[${i + 1}, ${j + 1}]`;
};

function explain() {
  document.querySelectorAll("td.me, td.part").forEach(td => td.classList.remove("me", "part"));
  if (!chosen) return;
  const [name, k] = chosen, block = blocks[name], node = nodeOf(name), say = byId("say");
  (cellOf(name, k) || { classList: { add() {} } }).classList.add("me");
  say.textContent = "";
  const label = element("b", {}, block.label + where(block, k));
  if (!node.function) {
    say.append(label, ` = ${short(row[node.start + k])} is given: type another number, and everything follows.`);
    return;
  }
  if (block.equation) say.append(element("p", { class: "equation" }, block.equation));
  const touched = [], [text] = sentence(node, k, touched);
  touched.forEach(([other, at]) => { const td = cellOf(other, at); if (td) td.classList.add("part"); });
  say.append(label, ` = ${text} = `, element("b", {}, short(row[node.start + k])));
}

// The difference quotient beside the gradient of the weight that is chosen.
function nudge() {
  const say = byId("say");
  const name = chosen && DATA.parameters.find(p => [p, `d${p}`, `${p}_new`].includes(chosen[0]));
  if (!name || !nodeOf(`d${name}`)) {
    say.textContent = "Choose a weight first, or its gradient: nudge moves it a little to both sides and computes the loss anew.";
    return;
  }
  const k = chosen[1], place = nodeOf(name).start + k, kept = row[place], e = 1e-5 * Math.max(1, Math.abs(kept));
  const at = value => { row[place] = value; program.compute(); return loss(); };
  const above = at(kept + e), below = at(kept - e);
  at(kept);
  const quotient = (above - below) / (2 * e), gradient = row[nodeOf(`d${name}`).start + k];
  const label = blocks[name].label + where(blocks[name], k), digits = v => v.toPrecision(9).replace("-", MINUS);
  say.textContent = "";
  say.append(element("b", {}, `${label} nudged by ±${e}`), ": the loss is ", digits(above), " and ", digits(below),
    ". Their difference / 2ε = ", element("b", {}, digits(quotient)), "; backward says ",
    element("b", {}, digits(gradient)), ` (${Math.abs(quotient - gradient).toExponential(0)} apart).`);
}

// -------------------------------------------------------------------------------------------------------------- the page
const cells = {};
const cellOf = (name, k) => cells[`${name} ${k}`];

function build() {
  for (const holder of document.querySelectorAll("[data-block]")) {
    const block = blocks[holder.dataset.block], [rows, columns] = block.size, into = holder.lastElementChild;
    if (block.picture) {
      const pictures = element("div", { class: "pictures", "aria-hidden": "true" });
      const count = Math.min(block.picture[0] === "rows" ? rows : columns, 25);
      for (let k = 0; k < count; k++) pictures.append(element("canvas", { width: block.picture[1], height: block.picture[1] }));
      into.append(pictures);
    }
    const table = element("table", { role: "grid", "aria-label": block.label + (block.equation ? ", " + block.equation : "") });
    if (block.heads) {
      const head = element("tr");
      if (block.rows.length < rows || rows > 1) head.append(element("th"));
      block.columns.forEach(j => head.append(element("th", { scope: "col", title: block.heads[j] }, block.heads[j])));
      table.append(head);
    }
    let first = true;
    for (const i of block.rows) {
      const line = element("tr");
      if (rows > block.rows.length || (block.heads && rows > 1)) line.append(element("th", { scope: "row" }, String(i + 1)));
      for (const j of block.columns) {
        const k = i * columns + j;
        const td = element("td", { role: "gridcell", "data-name": block.name, "data-row": i, "data-column": j });
        const label = block.label + where(block, k);
        let inside;
        if (block.given) {
          inside = element("input", { "aria-label": label, inputmode: "decimal", autocomplete: "off" });
          td.classList.add("yours");
        } else inside = element("span", { tabindex: "-1" });
        inside.tabIndex = first ? 0 : -1;
        first = false;
        td.append(inside);
        line.append(td);
        cells[`${block.name} ${k}`] = td;
      }
      table.append(line);
    }
    into.append(table);
    if (block.rows.length < rows || block.columns.length < columns) {
      const some = [];
      if (block.rows.length < rows) some.push(`${block.rows.length} of ${rows} rows`);
      if (block.columns.length < columns) some.push(`${block.columns.length} of ${columns} columns`);
      const which = block.columns.length < columns ? `: columns ${block.columns.map(j => j + 1).join(", ")}` : "";
      into.append(element("p", { class: "more" }, some.join(", ") + which));
    }
  }
}
function paint() {
  for (const block of DATA.blocks) {
    const node = nodeOf(block.name), numbers = row.subarray(node.start, node.start + node.size), [, columns] = block.size;
    let most = 1e-12;
    for (const v of numbers) if (Number.isFinite(v)) most = Math.max(most, Math.abs(v));
    for (const i of block.rows) for (const j of block.columns) {
      const k = i * columns + j, v = numbers[k], td = cellOf(block.name, k), inside = td.firstElementChild;
      td.dataset.value = v;
      const share = Math.round(58 * Math.min(1, Math.abs(v) / most));
      const base = block.given && block.band === 1 ? "var(--yours)" : "transparent";
      if (block.band === 1 && block.given) td.classList.add("plain");
      else td.style.backgroundColor = v ? `color-mix(in srgb, var(${v > 0 ? "--above" : "--below"}) ${share}%, ${base})` : base;
      if (block.given) {
        if (document.activeElement !== inside || !inside.dirty) inside.value = fixed(v);
        inside.title = String(v);
      } else {
        inside.textContent = fixed(v);
        inside.setAttribute("aria-label", `${block.label}${where(block, k)} ${fixed(v)}`);
      }
    }
    if (block.picture) draw(block, numbers);
  }
  if (document.activeElement !== byId("rate")) byId("rate").value = +rates.rate.toPrecision(12);
  curve();
  explain();
}
function draw(block, numbers) {
  const [way, side] = block.picture, [rows, columns] = block.size;
  let most = 1e-12;
  for (const v of numbers) most = Math.max(most, Math.abs(v));
  document.querySelectorAll(`[data-block="${block.name}"] canvas`).forEach((canvas, which) => {
    const context = canvas.getContext("2d"), image = context.createImageData(side, side);
    for (let p = 0; p < side * side; p++) {
      const v = (way === "rows" ? numbers[which * columns + p] : numbers[p * columns + which]) / most, s = Math.min(1, Math.abs(v));
      const to = way === "rows" ? [20, 24, 32] : v > 0 ? [217, 96, 76] : [74, 126, 187];
      for (let c = 0; c < 3; c++) image.data[4 * p + c] = 255 + (to[c] - 255) * s;
      image.data[4 * p + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  });
}
function curve() {
  const all = [...losses, loss()], most = Math.max(...all.filter(Number.isFinite), 1e-12), svg = byId("curve");
  const points = all.map((v, i) => `${(i * 200 / Math.max(1, all.length - 1)).toFixed(1)},${(42 - 40 * Math.min(v, most) / most).toFixed(1)}`);
  svg.innerHTML = all.length < 2 ? "" : `<polyline fill="none" stroke="var(--b2)" stroke-width="2.5" points="${points.join(" ")}"/>`;
  byId("done").textContent = `${made} ${made === 1 ? "step" : "steps"} made, loss ${short(loss())}` +
    (made ? ` (at first ${short(losses[0])})` : "");
}

// ------------------------------------------------------------------------------------------------------ hands and keys
const chosenFrom = target => {
  const td = target.closest && target.closest("td[data-name]");
  return td ? [td.dataset.name, +td.dataset.row * blocks[td.dataset.name].size[1] + +td.dataset.column] : null;
};
function choose(target) {
  const found = chosenFrom(target);
  if (found) { chosen = found; explain(); }
}
document.addEventListener("pointerover", event => {
  if (event.pointerType === "mouse" && !(document.activeElement || {}).dirty) choose(event.target);
});
document.addEventListener("click", event => {
  const td = event.target.closest && event.target.closest("td[data-name]");
  if (td) { choose(td); td.firstElementChild.focus(); }
});
document.addEventListener("focusin", event => {
  choose(event.target);
  const grid = event.target.closest && event.target.closest("table[role=grid]");
  if (!grid || !event.target.closest("td")) return;
  grid.querySelectorAll("td > *").forEach(other => { other.tabIndex = -1; });
  event.target.tabIndex = 0;
  if (event.target.tagName === "INPUT") event.target.select();
});
document.addEventListener("input", event => {
  const input = event.target;
  if (input.id === "rate") { setNumber("learning_rate", 0, input.value); paint(); return; }
  const found = chosenFrom(input);
  if (!found) return;
  input.dirty = true;
  input.setAttribute("aria-invalid", String(!setNumber(found[0], found[1], input.value)));
  paint();
});
document.addEventListener("focusout", event => {
  if (event.target.dirty) { event.target.dirty = false; event.target.removeAttribute("aria-invalid"); paint(); }
});
document.addEventListener("keydown", event => {
  const td = event.target.closest && event.target.closest("td[data-name]");
  if (!td) return;
  const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [1, 0] }[event.key];
  if (!move) return;
  const input = event.target;
  if (input.tagName === "INPUT" && move[1] && input.dirty) return;
  const lines = [...td.closest("table").querySelectorAll("tr")].map(tr => [...tr.querySelectorAll("td")]).filter(l => l.length);
  const i = lines.findIndex(line => line.includes(td)), next = (lines[i + move[0]] || [])[lines[i].indexOf(td) + move[1]];
  event.preventDefault();
  if (next) next.firstElementChild.focus();
});
document.querySelectorAll("[data-steps]").forEach(button => {
  button.addEventListener("click", () => makeSteps(+button.dataset.steps));
});
byId("again").addEventListener("click", () => { begin(); paint(); });
byId("nudge").addEventListener("click", nudge);

window.minigrad = {
  step(n = 1) { makeSteps(n); return loss(); },
  set(name, i, j, value) {
    const block = blocks[name], done = setNumber(name, block ? i * block.size[1] + j : 0, Number(value));
    if (!done) throw new Error(`${name} can't be set to ${value} at ${i}, ${j}`);
    paint();
    return loss();
  },
  numbers: name => program.numbers(name),
  explain(name, i, j) { chosen = [name, i * blocks[name].size[1] + j]; explain(); return byId("say").textContent; },
  nudge() { nudge(); return byId("say").textContent; },
  get loss() { return loss(); },
};
build();
begin();
paint();
