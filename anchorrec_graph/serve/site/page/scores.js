/**
 * Scores of all items for somebody, exactly as the server computes them: the sum over views m of
 * ½<u^m, F_i> + ½<F_u, i^m>, each times its weight, with F the sum of the views' rows.
 */

import { arrays, known, modelOf } from "./store.js";

const made = new Map(); // model -> its space

/** Of a model: {model, dim, count, views: [{name, start, item, user}], final}, with the items' final rows. */
export async function space(key) {
  const model = modelOf(key);
  const rows = await arrays(model.space);
  if (!made.has(model)) made.set(model, build(model, rows));
  return made.get(model);
}

function build(model, rows) {
  const { dim, starts } = model;
  const { cards } = known();
  const views = Object.entries(starts).map(([name, start]) => ({
    name,
    start,
    item: rows[`item/${name}`],
    user: rows[`user/${name}`] ?? null,
  }));
  const final = { values: new Float32Array(cards.length * dim), rows: cards.length, width: dim };
  for (const { start, item } of views) {
    for (let row = 0; row < item.rows; row++) addRow(final.values, row * dim + start, item, row, 1);
  }
  return { model, dim, count: cards.length, views, final, rows };
}

/** Adds `factor` times a row to the numbers from `at` on. */
export function addRow(target, at, { values, width }, row, factor) {
  const from = row * width;
  for (let n = 0; n < width; n++) target[at + n] += factor * values[from + n];
}

/** The product of a row with the numbers of `vector` from `start` on. */
export function dot({ values, width }, row, vector, start = 0) {
  const from = row * width;
  let sum = 0;
  for (let n = 0; n < width; n++) sum += values[from + n] * vector[start + n];
  return sum;
}

/** Scores of all items for a query {user, views}. */
export function scores({ count, dim, views, final }, query, weights = {}) {
  const found = new Float64Array(count);
  if (Object.keys(weights).length === 0) {
    for (let row = 0; row < count; row++) found[row] = dot(final, row, query.user);
    return found;
  }
  const mixed = new Float64Array(dim);
  for (const [name, part] of Object.entries(query.views)) {
    for (let n = 0; n < dim; n++) mixed[n] += (weights[name] ?? 1) * part[n];
  }
  for (let row = 0; row < count; row++) {
    let sum = dot(final, row, mixed);
    for (const { name, start, item } of views)
      sum += (weights[name] ?? 1) * dot(item, row, query.user, start);
    found[row] = sum / 2;
  }
  return found;
}

/** What each view brings to the score of an item. */
export function parts({ views, final }, query, row, weights = {}) {
  const found = {};
  for (const { name, start, item } of views) {
    const own = query.views[name];
    const sum = dot(item, row, query.user, start) + (own ? dot(final, row, own) : 0);
    found[name] = ((weights[name] ?? 1) * sum) / 2;
  }
  return found;
}

/** The rows of the k largest values, largest first and of equal ones the lower row; none of -Infinity. */
export function best(values, k) {
  const rows = [...values.keys()].filter((row) => values[row] > Number.NEGATIVE_INFINITY);
  return rows.sort((a, b) => values[b] - values[a] || a - b).slice(0, k);
}

/** 1 + the number of candidates before the item; of equal values the lower row comes first. */
export function rank(values, item, candidate) {
  let before = 0;
  for (let row = 0; row < values.length; row++) {
    const first = values[row] > values[item] || (values[row] === values[item] && row < item);
    if (first && candidate(row)) before += 1;
  }
  return 1 + before;
}
