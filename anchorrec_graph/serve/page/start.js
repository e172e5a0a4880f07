/** What one sees before anybody is chosen: ways to begin. */

import * as api from "./api.js";
import { plainCard } from "./cards.js";
import { h } from "./dom.js";
import { link } from "./link.js";
import { keys, Person, person, site } from "./shop.js";
import { remember } from "./titles.js";

const USERS = 6;
const ITEMS = 8;

export async function start(state, signal) {
  const model = keys(state)[0];
  const [{ users }, { items }] = await Promise.all([
    api.users({ limit: USERS, model }, signal),
    api.items({ limit: ITEMS, model }, signal),
  ]);
  remember(items);
  const ids = users.map((user) =>
    h("li", {}, link({ user, who: "user" }, { class: "button" }, `${Person()} ${user}`)),
  );
  const cards = h("ol", { class: "cards", role: "list", "aria-label": "Items to pick" });
  for (const card of items) cards.append(plainCard(card, model).node);
  return h(
    "div",
    { class: "start" },
    ...(ids.length ? theirs(ids) : []),
    h("h2", {}, "Someone new"),
    h(
      "p",
      {},
      "Pick something that they have or like. Nothing is trained: the answer is there at once. ",
      link({ page: "catalogue" }, {}, "More in the catalogue"),
    ),
    cards,
  );
}

function theirs(links) {
  return [
    h("h2", {}, `A ${person()} of the data`),
    h("p", {}, `Choose one, or type ${site() ? "a number" : "an id"} under “For whom”.`),
    h("ul", { class: "chips" }, ...links),
  ];
}
