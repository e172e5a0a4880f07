/** The rows of somebody: a shopper of the data, or a stranger who is a sum over what some items send. */

import { Problem } from "./latest.js";
import { addRow } from "./scores.js";
import { rowOf } from "./store.js";

/**
 * For {user} or {history}: {query, bought, has, pieces}. `bought` are rows of the items that they are a sum
 * over, ascending; `has` those that are not recommended again; `pieces` what each of `bought` brings to the
 * final row, or null where the model cannot say.
 */
export function someone(space, { user, history }) {
  return user === undefined ? stranger(space, history) : shopper(space, user);
}

function shopper(space, user) {
  const place = /^[1-9]\d*$/.test(user) ? Number(user) - 1 : -1;
  const told = space.model.shoppers[place];
  if (told === undefined) throw new Problem("unknown_user", "unknown shopper", "user");
  const views = {};
  for (const { name, start, user: rows } of space.views) {
    if (rows === null) continue;
    views[name] = new Float64Array(space.dim);
    addRow(views[name], start, rows, place, 1);
  }
  const able = typeof space.model.fold_in !== "string";
  const pieces = able ? piecesOf(space, told.bought, told.length) : null;
  return {
    query: { user: total(space, views), views },
    bought: told.bought,
    has: new Set(told.known),
    pieces,
  };
}

function stranger(space, history) {
  const { fold_in: fold } = space.model;
  const rows = [...new Set(history.map((id, place) => rowOf(id, `history.${place}`)))].sort((a, b) => a - b);
  if (typeof fold === "string") throw new Problem("unsupported", fold);
  const length = lengthOf(space, rows);
  const views = {};
  for (const [name, start] of Object.entries(fold.start)) {
    const row = new Float64Array(space.dim);
    const own = space.rows[`own/${name}`];
    if (own) addRow(row, start, own, 0, 1 / divisor(fold, name, length));
    for (const item of rows) send(space, row, name, item, rows.length, length);
    views[name] = row;
  }
  const pieces = piecesOf(space, rows, length);
  return { query: { user: total(space, views), views }, bought: rows, has: new Set(rows), pieces };
}

/** Adds what one of n items sends to the view of somebody of this length. */
function send(space, target, name, item, n, length) {
  const { fold_in: fold } = space.model;
  const rows = space.rows[`sent/${name}`];
  if (rows) addRow(target, fold.start[name], rows, item, 1 / (Math.sqrt(n) * divisor(fold, name, length)));
}

/** Some views are scaled together to length 1; `length` is null where none are. */
function divisor(fold, name, length) {
  return length !== null && fold.learned.includes(name) ? Math.max(length, 1.2e-38) : 1;
}

function lengthOf(space, rows) {
  const { learned, start, scaled } = space.model.fold_in;
  if (!scaled) return null;
  const sum = new Float64Array(space.dim);
  for (const name of learned) {
    const own = space.rows[`own/${name}`];
    if (own) addRow(sum, start[name], own, 0, 1);
    for (const item of rows) send(space, sum, name, item, rows.length, null);
  }
  return Math.sqrt(sum.reduce((square, value) => square + value * value, 0));
}

function piecesOf(space, bought, length) {
  return bought.map((item) => {
    const row = new Float64Array(space.dim);
    for (const name of Object.keys(space.model.fold_in.start))
      send(space, row, name, item, bought.length, length);
    return row;
  });
}

function total(space, views) {
  const sum = new Float64Array(space.dim);
  for (const row of Object.values(views)) for (let n = 0; n < space.dim; n++) sum[n] += row[n];
  return sum;
}
