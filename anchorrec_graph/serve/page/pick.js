/** The button that takes an item into the picks, the items of a stranger, or out of them. */

import { h } from "./dom.js";
import { plural } from "./numbers.js";
import { say } from "./say.js";
import { limits } from "./shop.js";
import { change, now } from "./state.js";

export function pickButton(card) {
  const node = h("button", { type: "button", class: "quiet pick", onclick: () => toggle(card) });
  show(node, card);
  return node;
}

/** After the picks have changed elsewhere. */
export function show(node, card) {
  const picked = now().picks.includes(card.item_id);
  node.setAttribute("aria-pressed", String(picked));
  node.setAttribute("aria-label", `Pick ${card.title}`);
  node.textContent = picked ? "✓ Picked" : "+ Pick";
}

export function toggle(card) {
  const { picks } = now();
  if (picks.includes(card.item_id)) return drop(card.item_id, card.title);
  return add([card.item_id], card.title);
}

export function add(ids, what) {
  const { picks, who } = now();
  const most = limits().history;
  const all = [...new Set([...picks, ...ids])];
  if (all.length > most) {
    say(`No more than ${most} items can be picked.`);
    return;
  }
  change({ picks: all });
  const other = who === "user" ? " They count once you choose “Someone with my picks”." : "";
  say(`${what} picked; ${plural(all.length, "item")} now.${other}`);
}

export function drop(id, title) {
  const picks = now().picks.filter((one) => one !== id);
  change({ picks });
  say(`${title} is no longer picked; ${plural(picks.length, "item")} left.`);
}
