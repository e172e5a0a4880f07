/** The card of an item: in the grid of recommendations, of the catalogue, and in strips of neighbours. */

import { bar, partsList } from "./bar.js";
import { fill, h, newId } from "./dom.js";
import { line } from "./fields.js";
import { link, toItem } from "./link.js";
import { count, points } from "./numbers.js";
import { pickButton, show as showPick } from "./pick.js";
import { picture } from "./picture.js";
import { change } from "./state.js";

/** Picture, title, columns. `level` is that of the heading. */
function face(card, model, level, ...tags) {
  const name = newId("item");
  const shown = picture(card, model);
  return {
    name,
    nodes: [
      shown &&
        link(toItem(card.item_id), { class: "to-picture", tabindex: "-1", "aria-hidden": "true" }, shown),
      h(`h${level}`, { id: name }, ...tags, link(toItem(card.item_id), { dir: "auto" }, card.title)),
      h("p", { class: "fields" }, line(card)),
    ],
  };
}

/** A recommended item: `update(card, scale, note)` shows another score of the same item. */
export function recommendedCard(first, model) {
  const rank = h("span", { class: "rank" });
  const score = h("div", { class: "score" });
  const note = h("p", { class: "note" });
  const { name, nodes } = face(first, model, 2, rank, " ");
  const why = h("button", { type: "button", class: "quiet", "aria-describedby": name }, "Why this?");
  why.addEventListener("click", () => change({ why: `${model}:${first.item_id}` }));
  const pick = pickButton(first);
  const actions = h("div", { class: "actions" }, why, pick);
  const node = h("li", { class: "card", "aria-labelledby": name }, ...nodes, score, note, actions);
  const update = (card, scale, remarkOn) => {
    const remark = remarkOn(card);
    fill(rank, h("span", { class: "unseen" }, "Rank "), count(card.rank));
    fill(score, scoreLine(card.score), bar(card.parts, scale), partsList(card.parts));
    fill(note, remark);
    note.hidden = !remark;
  };
  return { node, update, refresh: () => showPick(pick, first) };
}

function scoreLine(score) {
  return h("p", { class: "total" }, "Score ", h("strong", {}, points(score)));
}

/** An item of the catalogue, without a score. */
export function plainCard(card, model) {
  const { name, nodes } = face(card, model, 2);
  const pick = pickButton(card);
  const node = h(
    "li",
    { class: "card", "aria-labelledby": name },
    ...nodes,
    h("div", { class: "actions" }, pick),
  );
  return { node, refresh: () => showPick(pick, card) };
}

/** A neighbour in a strip; `tags` say in which other strips it is. */
export function neighbourCard(card, model, tags) {
  const { name, nodes } = face(card, model, 3);
  const shared = tags.length ? h("p", { class: "tags" }, "also by ", tags.join(" and ")) : null;
  const likeness = h("p", { class: "likeness" }, "likeness ", h("strong", {}, points(card.similarity)));
  const node = h("li", { class: tags.length ? "card shared" : "card", "aria-labelledby": name }, ...nodes);
  node.append(...[likeness, shared, h("div", { class: "actions" }, pickButton(card))].filter(Boolean));
  return node;
}
