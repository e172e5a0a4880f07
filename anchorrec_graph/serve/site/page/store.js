/** The files of this site: what is known of the items and the models, and the rows that scores are made of. */

import { Problem } from "./latest.js";

const FOLDER = new URL("../data/", import.meta.url);

let told = null;
const loading = {}; // file -> promise of its bytes

async function file(name, read) {
  try {
    const response = await fetch(new URL(name, FOLDER));
    if (response.ok) return await read(response);
  } catch {
    // said below, whatever it was
  }
  throw new Problem("missing", `a part of this site cannot be loaded: data/${name}`);
}

export async function load() {
  told ??= await file("site.json", (response) => response.json());
  for (const [row, card] of told.cards.entries()) card.row = row;
  told.rows = new Map(told.cards.map((card) => [card.item_id, card.row]));
  return told;
}

/** What `load` has given. */
export const known = () => told;

/**
 * What is known of one model: {key, modalities, dim, starts, fold_in, shoppers}, and where its arrays are,
 * {space, features}. Without a key, of the first.
 */
export function modelOf(key = told.models[0].key) {
  const found = told.sides.find((one) => one.key === key);
  if (!found) throw new Problem("invalid", "this site compares no second model", "model");
  return found;
}

/**
 * A model's `space` or `features` by name, {values, rows, width}; loaded when they are first needed. Two
 * models may have theirs in one file.
 */
export async function arrays(place) {
  place.found ??= unpack(await bytes(place.file), place.arrays);
  return place.found;
}

function bytes(name) {
  loading[name] ??= file(name, (response) => response.arrayBuffer()).catch((error) => {
    delete loading[name];
    throw error;
  });
  return loading[name];
}

function unpack(buffer, index) {
  const found = {};
  for (const [name, { at, shape }] of Object.entries(index)) {
    const [rows, width] = shape;
    found[name] = { values: new Float32Array(buffer, 4 * at, rows * width), rows, width };
  }
  return found;
}

/** The row of an item; `field` names the part of the question that it stood in. */
export function rowOf(item, field) {
  const row = told.rows.get(item);
  if (row === undefined) throw new Problem("unknown_item", "unknown item", field);
  return row;
}

/** The card of an item, as the server would send it. */
export function cardOf(row) {
  const { item_id, title, fields, image } = told.cards[row];
  return { item_id, title, fields, image };
}
