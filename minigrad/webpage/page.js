// The page of a trained network: reads the form, computes the answer, and shows how it moves.

const program = new Program(DATA.form, OPERATIONS);
for (const [name, numbers] of Object.entries(DATA.given)) if (program.named[name]) program.set(name, numbers);

const MINUS = "\u2212";
const short = v => (Number.isFinite(v) ? String(+v.toPrecision(5)).replace("-", MINUS) : "?");
const byId = id => document.getElementById(id);
const element = (tag, attributes = {}, text = "") => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== "") made.textContent = text;
  return made;
};

// ----------------------------------------------------------------------------------------------------------- the answer
// The number that a text is in the column's way of writing numbers, as `minigrad predict` reads it; NaN for none.
function numberOf(text, { bodies, units, decimal }) {
  const quoted = mark => mark.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  const t = text.replace(/[\u00a0\u202f\u2009\u2007]/g, " ").replace(/[\u2212\u2010\u2011\u2013\u2014]/g, "-").replace(/[\u2019\u00b4]/g, "'").trim();
  for (const [body, thousands] of bodies) for (const [before, after] of units) {
    const found = new RegExp(`^(\\()?\\s*([+-])?\\s*${quoted(before)}\\s*([+-])?\\s*(${body})([eE][+-]?\\d+)?(-)?\\s*${quoted(after)}\\s*(\\))?$`).exec(t);
    if (!found) continue;
    const [, open, sign, inner, digits, power = "", behind, close] = found, signs = [open && "-", sign, inner, behind].filter(Boolean);
    if (signs.length > 1 || !open !== !close || (behind && !/\d$/.test(digits + power))) return NaN;
    const plain = (thousands ? digits.split(thousands).join("") : digits).replace(decimal, ".");
    return Number((signs[0] === "-" ? "-" : "") + plain + power);
  }
  return NaN;
}
const shortOf = (v, column) => short(v).replace(".", column.decimal || ".");
const inItsWay = (v, column) => (typeof v === "number" ? String(v).replace(".", column.decimal || ".") : v ?? "");
const isMissing = v => v === null || v === undefined || (typeof v === "number" && Number.isNaN(v)) ||
  (typeof v === "string" && (v.trim() === "" || DATA.missing.includes(v.trim())));

// What is the same of spellings that differ in capitals and spaces.
const folded = text => text.trim().split(/\s+/).join(" ").toLowerCase();
const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?$/;
// The numbers that the parts of a date become; all 0 without one.
function partsOfDate(column, text) {
  const found = text === null ? [0, 1970, 1, 1] : DATE.exec(text);
  const [, year, month, day, hour = 0, minute = 0, second = 0, fraction = ""] = found || [];
  const moment = found ? new Date(Date.UTC(year, month - 1, day, hour, minute, second)) : null;
  if (!found || moment.getUTCMonth() !== month - 1 || hour > 23) throw new Error(`${column.name}: “${text}” is not a date such as 2024-12-31`);
  const days = (moment.getTime() * 1000 + +fraction.padEnd(6, "0")) / 86400e6, whole = Math.floor(days);
  const parts = {
    month: month - 1, "day of the month": day - 1, "day of the week": (((whole + 3) % 7) + 7) % 7, "time of the day": days - whole,
  };
  const numbers = column.parts.flatMap(part => {
    if (part === "days") return [(days - column.mean) / column.scale];
    if (part === "year") return [(year - column.year_mean) / column.year_scale];
    const angle = 2 * Math.PI * parts[part] / column.cycles[part];
    return [Math.sin(angle), Math.cos(angle)];
  });
  return text === null ? numbers.map(() => 0) : numbers;
}
// The numbers that a column becomes. Throws the reason where it can't be one of its values.
function encoded(column, value) {
  const marked = column.kind !== "text" && typeof value === "string" && DATA.markers.includes(value.trim().toLowerCase());
  const missing = marked || isMissing(value);
  if (column.kind === "text") {
    const text = missing ? null : String(value).trim(), own = missing ? -1 : column.values.indexOf(text);
    const at = missing || own >= 0 ? own : column.values.findIndex(known => folded(known) === folded(text));
    const numbers = column.values.map((_, k) => +(k === at));
    if (column.other) numbers.push(+(at < 0 && !(missing && column.missing)));
    if (column.missing) numbers.push(+missing);
    return numbers;
  }
  if (column.kind === "date") return [...partsOfDate(column, missing ? null : String(value).trim()), ...(column.flagged ? [+missing] : [])];
  let v = column.fill;
  if (!missing) {
    if (column.kind === "flag") {
      const text = String(value).trim().toLowerCase();
      if (!["true", "false"].includes(text)) throw new Error(`${column.name}: “${value}” is neither TRUE nor FALSE`);
      v = +(text === "true");
    } else {
      v = typeof value === "number" ? value : typeof value === "boolean" ? NaN : numberOf(value, column);
      if (Number.isNaN(v) || Math.abs(v) > 3.4e38) throw new Error(`${column.name}: “${value}” is not a number`);
    }
  }
  const z = (v - column.mean) / column.scale;
  return column.flagged ? [z, +missing] : [z];
}
function inputs(row) {
  if (DATA.columns) return DATA.columns.flatMap(column => encoded(column, row[column.name]));
  return DATA.names.map(name => {
    const v = Number(row[name]);
    if (isMissing(row[name]) || Number.isNaN(v)) throw new Error(`${name}: “${row[name] ?? ""}” is not a number`);
    return v;
  });
}
function outputs(numbers) {
  program.set("x", numbers).compute();
  return DATA.result.map(place => program.row[place]);
}
// What `minigrad predict` writes for such a row.
function answer(y) {
  const found = {};
  if (DATA.units) {
    found.prediction = y[0] * DATA.units[0] + DATA.units[1];
    if (DATA.interval !== null) [-1, 1].forEach((side, k) => { found[DATA.answer[k + 1]] = found.prediction + side * DATA.interval[0]; });
    return found;
  }
  if (DATA.answer.length === 1) return { prediction: y[0] };
  const code = DATA.threshold ? (y[DATA.threshold[0]] >= DATA.threshold[1] ? DATA.threshold[0] : 1 - DATA.threshold[0]) : y.length === 1 ? +(y[0] >= DATA.boundary) : y.indexOf(Math.max(...y));
  found.prediction = DATA.classes ? DATA.classes[code] : code;
  y.forEach((p, k) => { found[DATA.answer[k + 1]] = p; });
  return found;
}
function predict(row) {
  try { return answer(outputs(inputs(row))); } catch (error) { return { prediction: "?", note: error.message }; }
}

// ---------------------------------------------------------------------------------------------------------------- proof
function prove() {
  let worst = 0;
  for (const [cells, expected] of DATA.proofs) {
    const row = Object.fromEntries(DATA.names.map((name, k) => [name, cells[k]]));
    outputs(inputs(row)).forEach((y, k) => { worst = Math.max(worst, Math.abs(y - expected[k]) / Math.max(1, Math.abs(expected[k]))); });
  }
  if (worst <= 1e-9) return worst;
  const fault = byId("fault");
  fault.hidden = false;
  fault.textContent = `This browser computes otherwise than the network did (by ${worst}): do not trust its answers.`;
  return worst;
}

// ------------------------------------------------------------------------------------------------------------- the form
const state = Object.fromEntries(DATA.names.map((name, k) => [name, DATA.begin[k]]));
const range = column => column.ends || [column.mean - 3 * column.scale, column.mean + 3 * column.scale].map(v => +v.toPrecision(3));

function fields() {
  const form = byId("form");
  (DATA.columns || DATA.names.map(name => ({ name, kind: "number", mean: 0, scale: 1, free: true, bodies: [] }))).forEach((column, k) => {
    const id = `field${k}`, field = element("div", { class: "field" }), entry = element("div", { class: "entry" });
    field.append(element("label", { for: id }, column.name));
    const value = state[column.name];
    if (column.kind === "number") {
      const [low, high] = range(column);
      const input = element("input", { id, inputmode: "decimal", autocomplete: "off" });
      const slider = element("input", { type: "range", min: low, max: high, step: (high - low) / 200, "aria-label": `${column.name}, slider` });
      input.value = inItsWay(value, column);
      slider.value = value ?? column.mean;
      input.addEventListener("input", () => {
        state[column.name] = input.value;
        const number = column.free ? Number(input.value) : numberOf(input.value, column);
        if (!Number.isNaN(number)) slider.value = number;
        show();
      });
      slider.addEventListener("input", () => {
        state[column.name] = +(+slider.value).toPrecision(4);
        input.value = inItsWay(state[column.name], column);
        show();
      });
      entry.append(slider, input);
      field.append(entry);
      if (!column.free) field.append(element("small", {}, `${shortOf(low, column)} to ${shortOf(high, column)} ${column.ends ? "in training" : "is usual"}; empty where it is not known`));
    } else if (column.kind === "date") {
      const timed = column.parts.includes("time of the day");
      const input = element("input", { id, type: timed ? "datetime-local" : "date" });
      input.value = (value ?? "").slice(0, timed ? 16 : 10);
      input.addEventListener("input", () => { state[column.name] = input.value; show(); });
      entry.append(input);
      field.append(entry, element("small", {}, `${column.ends.join(" to ")} in training; empty where it is not known`));
    } else {
      const select = element("select", { id });
      const options = column.kind === "flag" ? ["true", "false"] : column.values;
      options.forEach(option => select.append(element("option", { value: "v" + option }, column.kind === "flag" ? option.toUpperCase() : option)));
      if (column.other) select.append(element("option", { value: "other" }, "(another)"));
      select.append(element("option", { value: "missing" }, "(not known)"));
      select.value = isMissing(value) ? "missing" : "v" + value;
      if (select.selectedIndex < 0) select.value = column.other ? "other" : "missing";
      select.addEventListener("change", () => {
        state[column.name] = select.value === "missing" ? null : select.value === "other" ? "\u0000another" : select.value.slice(1);
        show();
      });
      entry.append(select);
      field.append(entry);
    }
    form.append(field);
  });
}
function show() {
  const into = byId("answer"), found = predict(state);
  into.textContent = "";
  const first = found.prediction;
  into.append(element("p", { class: "big" }, typeof first === "number" && !DATA.classes ? short(first) : String(first)));
  if (found.note) { into.append(element("p", { class: "reason" }, found.note)); return; }
  const names = DATA.answer.slice(1);
  if (DATA.interval) {
    const [low, high] = names.map(name => short(found[name])), share = short(100 * DATA.interval[1]);
    into.append(element("p", {}, `${low} to ${high} holds the truth for ${share} % of new rows like those of the training`));
  } else if (names.length) {
    const bars = element("dl", { class: "bars" });
    names.forEach(name => {
      const p = found[name], track = element("dd", { class: "track" }), fill = element("i");
      fill.style.width = `${100 * Math.max(0, Math.min(1, p))}%`;
      track.append(fill);
      bars.append(element("dt", {}, name.replace(/^(probability of|output for) /, "")), track,
        element("dd", {}, name.startsWith("probability") ? `${(100 * p).toFixed(1)} %` : short(p)));
    });
    into.append(bars);
  }
  if (DATA.side) units(); else curves(found);
}

// ------------------------------------------------------------------------------------------------------------ what if …
function curves(found) {
  const more = byId("more"), columns = (DATA.columns || []).filter(column => column.kind === "number");
  more.textContent = "";
  if (!columns.length) return;
  const name = DATA.answer.length > 1 && !DATA.units ? DATA.answer.slice(1).find(n => n.endsWith(` ${found.prediction}`)) || DATA.answer[1] : "prediction";
  more.append(element("h2", {}, `What if one of them were different? ${name === "prediction" ? "The prediction" : name}, the others as they are`));
  const grid = element("div", { class: "curves" }), all = [];
  for (const column of columns) {
    const [low, high] = range(column), points = [];
    for (let k = 0; k <= 60; k++) {
      const v = low + (high - low) * k / 60;
      points.push([v, predict({ ...state, [column.name]: v })[name]]);
    }
    all.push([column, low, high, points]);
  }
  const values = all.flatMap(([, , , points]) => points.map(([, y]) => y)).filter(Number.isFinite);
  const shares = name.startsWith("probability"), least = shares ? 0 : Math.min(...values), most = shares ? 1 : Math.max(...values);
  const height = y => 78 - 76 * (y - least) / Math.max(most - least, 1e-9);
  for (const [column, low, high, points] of all) {
    const figure = element("figure"), line = points.map(([v, y]) => `${(200 * (v - low) / (high - low)).toFixed(1)},${height(y).toFixed(1)}`).join(" ");
    const typed = state[column.name], here = typeof typed === "number" ? typed : numberOf(typed ?? "", column);
    const at = Math.max(0, Math.min(200, 200 * (here - low) / (high - low)));
    const dot = Number.isNaN(here) ? "" : `<circle cx="${at}" cy="${height(found[name])}" r="5" fill="var(--blue)"/>`;
    figure.innerHTML = `<svg viewBox="0 0 200 80" preserveAspectRatio="none" role="img"><polyline points="${line}" fill="none" stroke="var(--blue)" stroke-width="2.5" vector-effect="non-scaling-stroke"/>${dot}</svg>`;
    figure.firstElementChild.setAttribute("aria-label", `${name} for ${column.name} from ${short(low)} (${short(points[0][1])}) to ${short(high)} (${short(points[60][1])})`);
    const ends = element("div", { class: "ends" });
    ends.append(element("span", {}, shortOf(low, column)), element("span", {}, shortOf(high, column)));
    figure.append(ends, element("figcaption", {}, column.name));
    grid.append(figure);
  }
  more.append(grid, element("p", { class: "soft" }, shares ? "From 0 at the bottom to 1 at the top." : `From ${short(least)} at the bottom to ${short(most)} at the top.`));
}

// ------------------------------------------------------------------------------------------------------------- drawing
let ink = null;
function field() {
  const { side } = DATA, form = byId("form"), canvas = element("canvas", { id: "draw", width: side, height: side, tabindex: "0", role: "application",
    "aria-label": `a field to draw in, ${side} by ${side}: arrow keys move, space draws` });
  ink = new Float64Array(side * side);
  form.append(canvas);
  const clear = element("button", { type: "button" }, "clear"), sample = element("button", { type: "button" }, "an example");
  form.append(clear);
  if (DATA.examples) form.append(sample);
  const context = canvas.getContext("2d");
  let last = null, cursor = [side >> 1, side >> 1], which = 0;
  const paint = () => {
    const image = context.createImageData(side, side);
    ink.forEach((v, p) => { const g = 255 - 235 * Math.max(0, Math.min(1, v)); image.data.set([g, g, g, 255], 4 * p); });
    if (document.activeElement === canvas && canvas.keys) image.data.set([216, 27, 96, 255], 4 * (cursor[1] * side + cursor[0]));
    context.putImageData(image, 0, 0);
    DATA.names.forEach((name, p) => { state[name] = ink[p]; });
    show();
  };
  const dab = (x, y) => {
    for (let i = Math.floor(y) - 2; i <= y + 2; i++) for (let j = Math.floor(x) - 2; j <= x + 2; j++) {
      if (i < 0 || j < 0 || i >= side || j >= side) continue;
      const far = Math.hypot(j + 0.5 - x, i + 0.5 - y);
      ink[i * side + j] = Math.max(ink[i * side + j], Math.min(1, Math.max(0, 1.75 - far)));
    }
  };
  const at = event => { const box = canvas.getBoundingClientRect(); return [(event.clientX - box.left) / box.width * side, (event.clientY - box.top) / box.height * side]; };
  canvas.addEventListener("pointerdown", event => { canvas.setPointerCapture(event.pointerId); last = at(event); dab(...last); paint(); });
  canvas.addEventListener("pointermove", event => {
    if (!last) return;
    const next = at(event), count = Math.ceil(2 * Math.hypot(next[0] - last[0], next[1] - last[1])) || 1;
    for (let k = 1; k <= count; k++) dab(last[0] + (next[0] - last[0]) * k / count, last[1] + (next[1] - last[1]) * k / count);
    last = next;
    paint();
  });
  ["pointerup", "pointercancel"].forEach(name => canvas.addEventListener(name, () => { last = null; }));
  canvas.addEventListener("keydown", event => {
    const move = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    canvas.keys = true;
    if (move) cursor = cursor.map((v, k) => Math.max(0, Math.min(side - 1, v + move[k])));
    else dab(cursor[0] + 0.5, cursor[1] + 0.5);
    paint();
  });
  canvas.addEventListener("blur", paint);
  clear.addEventListener("click", () => { ink.fill(0); paint(); });
  sample.addEventListener("click", () => { ink.set(DATA.proofs[which++ % DATA.proofs.length][0]); paint(); });
  ink.set(DATA.begin);
  paint();
}
function units() {
  if (!DATA.hidden) return;
  const more = byId("more"), [weights, made, label, count] = DATA.hidden, { side } = DATA;
  if (!more.firstElementChild) {
    more.append(element("h2", {}, `The hidden units: what each looks for, and how strongly it answers (${label})`));
    const grid = element("div", { class: "units" }), node = program.named[weights];
    for (let unit = 0; unit < Math.min(count, 100); unit++) {
      const figure = element("figure"), canvas = element("canvas", { width: side, height: side, "aria-hidden": "true" });
      const context = canvas.getContext("2d"), image = context.createImageData(side, side);
      let most = 1e-12;
      for (let p = 0; p < side * side; p++) most = Math.max(most, Math.abs(program.row[node.start + p * count + unit]));
      for (let p = 0; p < side * side; p++) {
        const v = program.row[node.start + p * count + unit] / most, to = v > 0 ? [217, 96, 76] : [74, 126, 187];
        image.data.set([...to.map(c => 255 + (c - 255) * Math.abs(v)), 255], 4 * p);
      }
      context.putImageData(image, 0, 0);
      const level = element("div", { class: "level" });
      level.append(element("i"));
      figure.append(canvas, level, element("figcaption"));
      grid.append(figure);
    }
    more.append(grid, element("p", { class: "soft" }, "Red adds to a unit's sum where there is ink, blue takes from it."));
  }
  const values = program.numbers(made), most = Math.max(1, ...values.map(Math.abs));
  more.querySelectorAll("figure").forEach((figure, unit) => {
    figure.querySelector("i").style.width = `${100 * Math.max(0, values[unit] / most)}%`;
    figure.lastElementChild.textContent = short(+values[unit].toFixed(3));
  });
}

window.minigrad = { predict, outputs: numbers => outputs(numbers), prove };
prove();
if (DATA.side) field(); else { fields(); show(); }
