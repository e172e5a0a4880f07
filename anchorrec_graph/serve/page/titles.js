/** Titles of items that the address knows only by id. */

import * as api from "./api.js";

const known = new Map();

export function remember(cards) {
  for (const card of cards) known.set(card.item_id, card.title);
}

export const title = (id) => known.get(id) ?? id;

/** Ask the server for those that are not known yet; ids that it does not know keep their id as title. */
export async function learn(ids, model) {
  const wanted = ids.filter((id) => !known.has(id));
  await Promise.all(
    wanted.map(async (id) => {
      try {
        remember([await api.item(id, model)]);
      } catch {
        known.set(id, id);
      }
    }),
  );
  return wanted.length > 0;
}
