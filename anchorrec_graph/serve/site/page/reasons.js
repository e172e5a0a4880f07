/** Why somebody is shown an item: the answer of /api/explain. */

import { mostAlike } from "./alike.js";
import { addRow, dot, parts, rank, scores } from "./scores.js";
import { cardOf, known } from "./store.js";

export async function explain(space, whom, item, k) {
  const { query, bought, has } = whom;
  const score = dot(space.final, item, query.user);
  const candidate = (row) => row === item || !has.has(row);
  const share = (value) => (score > 0 ? value / score : null);
  const similar = {};
  for (const modality of space.model.modalities) {
    const found = await mostAlike(space.model, modality, item, bought, k);
    similar[modality] = found.map(({ row, cosine }) => ({ ...named(row), cosine }));
  }
  return {
    ...named(item),
    score,
    rank: rank(scores(space, query), item, candidate),
    candidates: known().cards.filter(({ row }) => candidate(row)).length,
    known: has.has(item),
    views: views(space, query, item, candidate, share),
    ...purchases(space, whom, item, k, candidate, share),
    similar,
  };
}

function named(row) {
  const { item_id, title } = cardOf(row);
  return { item_id, title };
}

function views(space, query, item, candidate, share) {
  const found = Object.entries(parts(space, query, item)).map(([view, value]) => ({
    view,
    value,
    share: share(value),
    rank_without: rankWithout(space, query, view, item, candidate),
  }));
  return found.sort((a, b) => b.value - a.value);
}

/** The rank if the rows of a view are taken out on both sides; null if nothing is left to rank by. */
function rankWithout(space, query, view, item, candidate) {
  const user = new Float64Array(space.dim);
  for (const [name, row] of Object.entries(query.views)) {
    if (name !== view) for (let n = 0; n < space.dim; n++) user[n] += row[n];
  }
  const values = new Float64Array(space.count);
  for (const { name, start, item: rows } of space.views) {
    if (name !== view) for (let row = 0; row < space.count; row++) values[row] += dot(rows, row, user, start);
  }
  return values.some((value) => value !== values[0]) ? rank(values, item, candidate) : null;
}

/** What each purchase brought: the product of what it sent with the item. Only the first k are named. */
function purchases(space, { query, bought, pieces }, item, k, candidate, share) {
  if (pieces === null) {
    return { own: null, purchases: null, other_purchases: null, no_purchases: space.model.fold_in };
  }
  const values = pieces.map((piece) => dot(space.final, item, piece));
  const order = [...values.keys()].sort((a, b) => values[b] - values[a]);
  const found = order.slice(0, k).map((place) => ({
    ...named(bought[place]),
    value: values[place],
    share: share(values[place]),
    rank_without: rank(without(space, query, pieces[place]), item, candidate),
  }));
  const rest = order.slice(k).reduce((sum, place) => sum + values[place], 0);
  const own = dot(space.final, item, query.user) - values.reduce((sum, value) => sum + value, 0);
  return {
    own: { value: own, share: share(own) },
    purchases: found,
    other_purchases: order.length > k ? { count: order.length - k, value: rest } : null,
    no_purchases: null,
  };
}

function without(space, { user }, piece) {
  const left = Float64Array.from(user);
  addRow(left, 0, { values: piece, width: space.dim }, 0, -1);
  return scores(space, { user: left, views: {} });
}
