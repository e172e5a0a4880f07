/** Rankings of the server for what the state says. */

import * as api from "./api.js";
import { limits, model } from "./shop.js";
import { remember } from "./titles.js";
import { asked } from "./whom.js";

const DEPTH = 100; // how far one looks for an item's place in another ranking
const MOST_KEPT = 20;
const kept = new Map(); // question -> places

/** The question for /api/recommend. Views that the model does not have cannot be weighed. */
export function question(state, key, k) {
  const own = model(key).views.map(({ name }) => name);
  const weights = Object.fromEntries(Object.entries(state.weights).filter(([view]) => own.includes(view)));
  return {
    model: key,
    ...asked(state),
    k: Math.min(k, limits().k),
    exclude_seen: !state.seen,
    filters: state.filters,
    weights,
  };
}

export async function ranking(body, signal) {
  const { items } = await api.recommend(body, signal);
  remember(items);
  return items;
}

/** How deep `places` looks. */
export const depth = (k) => Math.min(limits().k, Math.max(DEPTH, k));

/** Item -> its rank if the blend were as trained; null if it is. */
export async function trainedPlaces(body, signal) {
  if (Object.keys(body.weights).length === 0) return null;
  const trained = { ...body, weights: {}, k: depth(body.k) };
  const name = JSON.stringify(trained);
  if (!kept.has(name)) {
    const places = placesOf(await ranking(trained, signal));
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(name, places);
  }
  return kept.get(name);
}

export function placesOf(items) {
  return new Map(items.map(({ item_id: id, rank }) => [id, rank]));
}
