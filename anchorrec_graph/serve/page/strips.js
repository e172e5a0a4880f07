/** Strips of neighbours, one per way of being like an item, and how many items they share. */

import { swatch } from "./bar.js";
import { neighbourCard } from "./cards.js";
import { h, newId } from "./dom.js";
import { count } from "./numbers.js";
import { label } from "./shop.js";

/** `strips` is [{by, items}], `titleOf(by)` the heading. */
export function strip({ by, items }, model, titleOf, others) {
  const name = newId("strip");
  const cards = items.map((card) => {
    const tags = others
      .filter((other) => other.by !== by && has(other, card))
      .map((other) => label(other.by));
    return neighbourCard(card, model, tags);
  });
  return h(
    "section",
    { class: "strip", "aria-labelledby": name },
    h("h2", { id: name }, swatch(by), titleOf(by)),
    cards.length
      ? h("ol", { class: "strip-cards", role: "list" }, ...cards)
      : h("p", {}, "No neighbours: every other item is left out."),
  );
}

/** What any two of the strips, and all of them, have in common. */
export function overlap(strips) {
  if (strips.length < 2) return null;
  const most = Math.max(...strips.map(({ items }) => items.length));
  const rows = pairs(strips).map(([a, b]) => [`${label(a.by)} and ${label(b.by)}`, shared([a, b])]);
  if (strips.length > 2) rows.push([strips.length === 3 ? "all three" : "all of them", shared(strips)]);
  const entries = rows.map(([text, number]) =>
    h("div", {}, h("dt", {}, text), h("dd", {}, `${count(number)} of ${most}`)),
  );
  return h(
    "section",
    { class: "overlap", "aria-label": "Shared neighbours" },
    h("h2", {}, "Neighbours they share"),
    h("dl", {}, ...entries),
  );
}

function pairs(strips) {
  return strips.flatMap((a, n) => strips.slice(n + 1).map((b) => [a, b]));
}

function shared([first, ...others]) {
  return first.items.filter((card) => others.every((other) => has(other, card))).length;
}

function has({ items }, card) {
  return items.some((one) => one.item_id === card.item_id);
}
