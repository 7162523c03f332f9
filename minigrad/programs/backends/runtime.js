// Computes what a program does: every number has its place in one long row, and each operation fills the next ones.
"use strict";

const copysign = (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a));
const product = lengths => lengths.reduce((a, b) => a * b, 1);

class Program {
  constructor(form, operations) {
    this.nodes = form.nodes;
    this.left = form.left || {};
    this.row = new Float64Array(form.size);
    this.named = {};
    for (const node of this.nodes) {
      node.size = product(node.shape);
      node.terms = product(node.over || []);
      if (node.name) this.named[node.name] = node;
      if (node.constant) node.constant.forEach((number, k) => { this.row[node.start + k] = Number(number); });
    }
    const made = this.nodes.filter(node => node.function);
    const listed = operand => (Array.isArray(operand[0]) ? Int32Array.from(operand[0]) : null);
    this.operations = operations.map((run, k) => [run, made[k].inputs.map(listed)]);
    this.updates = form.updates.map(([start, places]) => [start, Int32Array.from(places), new Float64Array(places.length)]);
  }

  // For each operand of a node the places that its terms are read from: they are many, and only a reader asks for them.
  reads(node) {
    const lengths = [...node.shape, ...(node.over || [])];
    node.read ??= (node.inputs || []).map(operand => Program.places(operand, lengths));
    return node.read;
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
    for (const [run, listed] of this.operations) run(this.row, listed);
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
    for (const [, places, next] of this.updates) {
      for (let k = 0; k < next.length; k++) next[k] = this.row[places[k]];
    }
    for (const [start, , next] of this.updates) this.row.set(next, start);
    return this;
  }
}
