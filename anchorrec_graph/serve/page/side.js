/** Two models' rankings side by side: each item's place in the other one, and how many they share. */

import { bar, partsList, scaleOf } from "./bar.js";
import { h, newId } from "./dom.js";
import { line } from "./fields.js";
import { link, toItem } from "./link.js";
import { count, plural, points } from "./numbers.js";
import { picture } from "./picture.js";
import { failure, nothing } from "./problem.js";
import { depth, placesOf, ranking } from "./ranking.js";
import { say } from "./say.js";
import { model as modelOf, short } from "./shop.js";
import { change } from "./state.js";

const wide = matchMedia("(min-width: 48rem)");

/** Each of the questions, one per model, is asked on its own: one may fail where the other does not. */
export async function sideBySide(questions, signal, again) {
  const deep = questions.map((body) => ({ ...body, k: depth(body.k) }));
  const answers = await Promise.allSettled(deep.map((body) => ranking(body, signal)));
  const lists = answers.map(({ value }) => value ?? null);
  const places = lists.map((items) => items && placesOf(items));
  const columns = questions.map((body, n) => {
    const other = { key: questions[1 - n].model, places: places[1 - n], depth: deep[1 - n].k };
    return column(body, lists[n], answers[n].reason, other, again);
  });
  const shared = sharedText(questions, lists);
  if (shared && !signal.aborted) say(shared);
  return h(
    "div",
    {},
    shared && h("p", { class: "shared-count" }, shared),
    h("div", { class: "sides" }, ...columns),
  );
}

function sharedText(questions, lists) {
  if (lists.some((items) => !items?.length)) return null;
  const [first, second] = lists.map((items, n) =>
    items.slice(0, questions[n].k).map(({ item_id: id }) => id),
  );
  const both = first.filter((id) => second.includes(id)).length;
  return `${count(both)} of the first ${Math.max(first.length, second.length)} are in both lists.`;
}

function column(body, items, error, other, again) {
  const name = newId("side");
  const heading = h("h2", { id: name }, `${short(body.model)} · ${modelOf(body.model).name}`);
  return h(
    "section",
    { class: "side", "aria-labelledby": name },
    heading,
    content(body, items, error, other, again),
  );
}

function content(body, items, error, other, again) {
  if (!items) return failure(error, again);
  if (items.length === 0)
    return nothing("Nothing is left to recommend.", "Remove filters, or show what they already have.");
  const shown = items.slice(0, body.k);
  const scale = scaleOf(shown);
  return h("ol", { class: "rows", role: "list" }, ...shown.map((card) => row(card, body, scale, other)));
}

function row(card, body, scale, other) {
  const place = placeText(card, other);
  const missing = other.places !== null && !other.places.has(card.item_id);
  const why = h("button", { type: "button", class: "quiet", "aria-label": `Why ${card.title}?` }, "Why?");
  why.addEventListener("click", () => change({ why: `${body.model}:${card.item_id}` }));
  return h(
    "li",
    { class: missing ? "row-card alone" : "row-card" },
    h("span", { class: "rank" }, h("span", { class: "unseen" }, "Rank "), count(card.rank)),
    picture(card, body.model, "small"),
    h(
      "div",
      { class: "what" },
      h("h3", {}, link(toItem(card.item_id), { dir: "auto" }, card.title)),
      h("p", { class: "fields" }, line(card, 2)),
      h("p", { class: "place" }, place, h("span", { class: "total" }, `score ${points(card.score)}`)),
      bar(card.parts, scale),
      h(
        "div",
        { class: "below" },
        h(
          "details",
          { class: "split", open: wide.matches },
          h("summary", {}, plural(Object.keys(card.parts).length, "part")),
          partsList(card.parts),
        ),
        why,
      ),
    ),
  );
}

function placeText(card, other) {
  if (other.places === null) return "";
  const place = other.places.get(card.item_id);
  const name = short(other.key);
  if (place === undefined) return h("span", { class: "badge" }, `not in ${name}’s first ${other.depth}`);
  const mark = place === card.rank ? "=" : place > card.rank ? "▼" : "▲";
  return h("span", { class: "badge" }, `${name}: ${place} `, h("span", { "aria-hidden": "true" }, mark));
}
