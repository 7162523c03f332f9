// Computes what a program does: every number has its place in one long row, and each node fills the next ones.
"use strict";

const FUNCTIONS = {
  same: a => a, positive: a => a, where: (c, a, b) => (c ? a : b), invert: a => 1 - a,
  add: (a, b) => a + b, subtract: (a, b) => a - b, multiply: (a, b) => a * b, divide: (a, b) => a / b,
  negative: a => -a, reciprocal: a => 1 / a, square: a => a * a, power: Math.pow, absolute: Math.abs, sign: Math.sign,
  minimum: Math.min, maximum: Math.max, floor: Math.floor, ceil: Math.ceil, sqrt: Math.sqrt,
  copysign: (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)),
  exp: Math.exp, expm1: Math.expm1, log: Math.log, log1p: Math.log1p, log2: Math.log2, log10: Math.log10,
  tanh: Math.tanh, sinh: Math.sinh, cosh: Math.cosh, sin: Math.sin, cos: Math.cos, arctan: Math.atan,
  greater: (a, b) => +(a > b), less: (a, b) => +(a < b), greater_equal: (a, b) => +(a >= b),
  less_equal: (a, b) => +(a <= b), equal: (a, b) => +(a === b), not_equal: (a, b) => +(a !== b),
  logical_and: (a, b) => +(a && b ? 1 : 0), logical_or: (a, b) => +(a || b ? 1 : 0),
  bitwise_and: (a, b) => +(a && b ? 1 : 0), bitwise_or: (a, b) => +(a || b ? 1 : 0),
};
const FOLDS = {
  add: [0, (a, b) => a + b], multiply: [1, (a, b) => a * b],
  maximum: [-Infinity, Math.max], minimum: [Infinity, Math.min],
};
const product = lengths => lengths.reduce((a, b) => a * b, 1);

class Program {
  constructor(form) {
    this.nodes = form.nodes;
    this.updates = form.updates;
    this.left = form.left || {};
    this.row = new Float64Array(form.size);
    this.named = {};
    for (const node of this.nodes) {
      node.size = product(node.shape);
      node.terms = product(node.over || []);
      if (node.name) this.named[node.name] = node;
      if (node.constant) node.constant.forEach((number, k) => { this.row[node.start + k] = Number(number); });
      const lengths = [...node.shape, ...(node.over || [])];
      node.reads = (node.inputs || []).map(operand => Program.places(operand, lengths));
    }
  }

  // The place that each term of an operand is read from; a plain number stays one.
  static places(operand, lengths) {
    if (!Array.isArray(operand)) return Number(operand);
    const [first, strides] = operand, listed = Array.isArray(first);
    const places = new Int32Array(product(lengths)), index = lengths.map(() => 0);
    let at = 0;
    for (let k = 0; k < places.length; k++) {
      places[k] = listed ? first[at] : first + at;
      for (let axis = lengths.length - 1; axis >= 0; axis--) {
        at += strides[axis];
        if (++index[axis] < lengths[axis]) break;
        at -= strides[axis] * lengths[axis];
        index[axis] = 0;
      }
    }
    return places;
  }

  compute() {
    const row = this.row;
    for (const node of this.nodes) {
      if (!node.function) continue;
      const f = FUNCTIONS[node.function], [a, b, c] = node.reads;
      const of = (operand, k) => (typeof operand === "number" ? operand : row[operand[k]]);
      const term = node.reads.length === 1 ? k => f(of(a, k))
        : node.reads.length === 2 ? k => f(of(a, k), of(b, k)) : k => f(of(a, k), of(b, k), of(c, k));
      if (!node.fold) {
        for (let k = 0; k < node.size; k++) row[node.start + k] = term(k);
        continue;
      }
      const [begin, fold] = FOLDS[node.fold];
      for (let k = 0, at = 0; k < node.size; k++) {
        let sum = begin;
        for (let j = 0; j < node.terms; j++, at++) sum = fold(sum, term(at));
        row[node.start + k] = sum;
      }
    }
    return this;
  }

  set(name, numbers) {
    this.row.set(numbers, this.named[name].start);
    return this;
  }

  numbers(name) {
    if (this.left[name]) return Array.from(this.left[name], place => this.row[place]);
    const node = this.named[name];
    return Array.from(this.row.subarray(node.start, node.start + node.size));
  }

  // Let what the program has made of parameters, memory and state take their places.
  advance() {
    const made = this.updates.map(([start, places]) => [start, Float64Array.from(places, place => this.row[place])]);
    for (const [start, numbers] of made) this.row.set(numbers, start);
    return this;
  }
}
