/** How alike items are: cosines of native features, of a view's rows, of the final rows, or a mixture. */

import { sharing } from "./finds.js";
import { Problem } from "./latest.js";
import { nearest } from "./near.js";
import { best, dot, space } from "./scores.js";
import { arrays, cardOf, known, modelOf, rowOf } from "./store.js";

const NONE = Number.NEGATIVE_INFINITY;
const lengths = new Map(); // rows -> the length of each

/** The rows by name, and their lengths. */
async function rowsBy(model, name) {
  const native = model.modalities.includes(name);
  const rows = native ? (await arrays(model.features))[`features/${name}`] : await learnt(model, name);
  if (!lengths.has(rows)) {
    lengths.set(
      rows,
      Float64Array.from({ length: rows.rows }, (_, row) => Math.sqrt(square(rows, row))),
    );
  }
  return { rows, lengths: lengths.get(rows) };
}

async function learnt(model, name) {
  const { final, views } = await space(model.key);
  const found = name === "final" ? final : views.find((view) => view.name === name)?.item;
  if (!found) throw new Problem("invalid", `by: unknown similarity '${name}'`, "by");
  return found;
}

function square({ values, width }, row) {
  let sum = 0;
  for (let n = row * width; n < (row + 1) * width; n++) sum += values[n] * values[n];
  return sum;
}

/** Cosines of an item with all: 0 where either has no row. */
function cosines({ rows, lengths: sizes }, row) {
  const own = rows.values.subarray(row * rows.width, (row + 1) * rows.width);
  return Float64Array.from(sizes, (size, other) =>
    size > 0 && sizes[row] > 0 ? dot(rows, other, own) / (size * sizes[row]) : 0,
  );
}

/** The mean of an item's cosines with all others by [name, share]; -Infinity for those that have no row. */
async function mixedOfAll(model, row, shares) {
  const ways = await Promise.all(
    shares.map(async ([name, share]) => ({ share, ...(await rowsBy(model, name)) })),
  );
  const values = new Float64Array(known().cards.length);
  if (ways.every(({ lengths: sizes }) => sizes[row] === 0)) return values.fill(NONE);
  for (const way of ways) {
    for (const [other, cosine] of cosines(way, row).entries()) values[other] += way.share * cosine;
  }
  for (const other of values.keys()) {
    if (ways.every(({ lengths: sizes }) => sizes[other] === 0)) values[other] = NONE;
  }
  return values;
}

/** The same of those only that are among its nearest by one of the names. */
function mixedOf(near, shares) {
  const values = new Float64Array(known().cards.length).fill(NONE);
  for (const [other, by] of near)
    values[other] = shares.reduce((sum, [name, share]) => sum + share * by[name], 0);
  return values;
}

/** The k items most like one, as /api/similar. */
export async function similar({ model: key, item, by, k, across }) {
  const model = modelOf(key);
  const row = rowOf(item, "item");
  const given = Object.entries(typeof by === "string" ? { [by]: 1 } : by).filter(([, share]) => share > 0);
  const whole = given.reduce((sum, [, share]) => sum + share, 0);
  const shares = given.map(([name, share]) => [name, share / whole]);
  const names = given.map(([name]) => name);
  const native = names.every((name) => model.modalities.includes(name));
  const near = native ? await nearest(model, row, names) : null;
  const values = near ? mixedOf(near, shares) : await mixedOfAll(model, row, shares);
  if (values.every((value) => value === NONE)) {
    throw new Problem("invalid", `item '${item}' has nothing to compare by ${names.join(" and ")}`, "item");
  }
  values[row] = NONE;
  if (across) {
    const shared = sharing(row, across);
    for (const other of values.keys()) if (shared(other)) values[other] = NONE;
  }
  return best(values, k).map((other, n) => ({ ...cardOf(other), rank: n + 1, similarity: values[other] }));
}

/** Of some rows those most like an item by native features: {row, cosine}. */
export async function mostAlike(model, modality, item, others, k) {
  const near = await nearest(model, item, model.modalities);
  const all = near ? mixedOf(near, [[modality, 1]]) : await mixedOfAll(model, item, [[modality, 1]]);
  const found = others.filter((row) => row !== item && all[row] > NONE);
  return found
    .sort((a, b) => all[b] - all[a])
    .slice(0, k)
    .map((row) => ({ row, cosine: all[row] }));
}
