/** What a user has: the items that the model learned them from, as its explanations name them. */

import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { link, toItem } from "./link.js";
import { count, plural } from "./numbers.js";
import { failure, sentence } from "./problem.js";
import { keys } from "./shop.js";
import { change, now } from "./state.js";
import { remember } from "./titles.js";
import { named } from "./whom.js";

const MOST = 100; // that the server names

export function theirItems() {
  const summary = h("summary", {});
  const inside = h("div", { class: "inside" });
  const node = h("details", { class: "theirs" }, summary, inside);
  const only = api.latest();
  let shown = "";

  async function open() {
    const { user } = now();
    const model = keys(now())[0];
    if (!node.open || shown === `${model}:${user}`) return;
    shown = `${model}:${user}`;
    fill(inside, h("p", {}, "Loading …"));
    try {
      const answer = await only((signal) => ask(model, user, signal));
      if (answer !== undefined) fill(inside, ...listed(answer));
    } catch (error) {
      shown = "";
      fill(inside, failure(error, open));
    }
  }

  node.addEventListener("toggle", open);
  const update = (state) => {
    node.hidden = state.who !== "user" || !state.user;
    fill(summary, `What ${named(state)} has`);
    open();
  };
  return { node, update };
}

/** Any item's explanation names all of them. */
async function ask(model, user, signal) {
  const { items } = await api.recommend({ model, user, k: 1, exclude_seen: false }, signal);
  return items.length ? api.explain({ model, user, item: items[0].item_id, k: MOST }, signal) : null;
}

function listed(answer) {
  if (!answer?.purchases) return [h("p", {}, sentence(answer?.no_purchases ?? "This model does not say."))];
  const cards = [...answer.purchases].sort((a, b) => a.title.localeCompare(b.title));
  remember(cards);
  const entries = cards.map((card) => h("li", {}, link(toItem(card.item_id), { dir: "auto" }, card.title)));
  const rest = answer.other_purchases?.count ?? 0;
  const ids = cards.map((card) => card.item_id);
  return [
    h("ul", { class: "long", tabindex: "0", "aria-label": "Their items" }, ...entries),
    rest > 0 && h("p", {}, `and ${count(rest)} more.`),
    h(
      "button",
      { type: "button", class: "quiet", onclick: () => change({ picks: ids, who: "picks" }) },
      `Use ${cards.length === 1 ? "this" : `these ${plural(cards.length, "item")}`} as my picks`,
    ),
  ].filter(Boolean);
}
