/** The answers of the server, computed here: this site has none. It stands in for the page's own `api.js`. */

import { similar as alike } from "./alike.js";
import { allowed, search, shoppers } from "./finds.js";
import { Problem } from "./latest.js";
import { explain as reasons } from "./reasons.js";
import { best, parts, scores, space } from "./scores.js";
import { someone } from "./someone.js";
import { cardOf, known, load, rowOf } from "./store.js";

export { latest, Problem } from "./latest.js";

export const about = load;

export async function items({ q = "", filter = [], limit, offset = 0 }) {
  const filters = {};
  for (const text of filter) {
    const cut = text.indexOf(":");
    (filters[text.slice(0, cut)] ??= []).push(text.slice(cut + 1));
  }
  return search(q, filters, limit, offset);
}

export const item = async (id) => cardOf(rowOf(id, "item_id"));

export const users = async ({ q = "", limit }) => shoppers(q, limit);

export async function recommend(question) {
  const { model, user, history, k, exclude_seen: fresh, filters = {}, weights = {} } = question;
  const all = await space(model);
  const { query, has } = someone(all, { user, history });
  const values = scores(all, query, weights);
  const passes = allowed(filters);
  for (const row of values.keys()) {
    if (!passes(row) || (fresh && has.has(row))) values[row] = Number.NEGATIVE_INFINITY;
  }
  const found = best(values, k).map((row, n) => ({
    ...cardOf(row),
    rank: n + 1,
    score: values[row],
    parts: parts(all, query, row, weights),
  }));
  return { items: found };
}

export const similar = async (question) => ({ items: await alike(question) });

export async function explain({ model, user, history, item: id, k }) {
  const all = await space(model);
  return reasons(all, someone(all, { user, history }), rowOf(id, "item"), k);
}

export async function newItem() {
  throw new Problem("unsupported", "placing a new product needs the server: anchorrec serve");
}

export const picture = (id) => `pictures/${known().pictures[rowOf(id, "item")]}`;
