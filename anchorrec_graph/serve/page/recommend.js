/** The page of recommendations: for a user or a stranger, by one model or by two side by side. */

import * as api from "./api.js";
import { scaleOf } from "./bar.js";
import { showFirst } from "./blend.js";
import { recommendedCard } from "./cards.js";
import { fill, h } from "./dom.js";
import { filterChips } from "./filters.js";
import { keyedList } from "./grid.js";
import { plural } from "./numbers.js";
import { button, failure, nothing } from "./problem.js";
import { depth, question, ranking, trainedPlaces } from "./ranking.js";
import { say } from "./say.js";
import { keys, limits, views } from "./shop.js";
import { sideBySide } from "./side.js";
import { start } from "./start.js";
import { change, now } from "./state.js";
import { asked, named } from "./whom.js";

const STEP = 20;

export function recommendPage() {
  const title = h("h1", { tabindex: "-1" });
  const seen = h("input", { type: "checkbox", onchange: () => change({ seen: seen.checked }) });
  const options = h("label", { class: "choice" }, seen, "Also what they already have");
  const chips = h("div", {});
  const reading = h("p", { class: "hint" });
  const results = h("div", { class: "results" });
  const node = h(
    "div",
    { class: "page" },
    h("div", { class: "heading" }, title, options),
    chips,
    reading,
    results,
  );
  const only = api.latest();
  let list = null; // the cards shown, and of which model
  let shown = "";

  function update(state) {
    const someone = asked(state);
    fill(title, someone ? `Recommendations for ${named(state)}` : "Recommendations");
    seen.checked = state.seen;
    options.hidden = !someone;
    fill(chips, someone && filterChips(state));
    const questions = keys(state).map((key) => question(state, key, state.k));
    const wanted = someone ? JSON.stringify(questions) : `nobody ${state.who}`;
    if (wanted === shown) {
      list?.refresh();
      return;
    }
    shown = wanted;
    load(state, someone, questions);
  }

  function again() {
    shown = "";
    update(now());
  }

  async function load(state, someone, questions) {
    results.setAttribute("aria-busy", "true");
    try {
      const made = await only((signal) => make(state, someone, questions, signal));
      if (made === undefined) return;
      if (made !== list?.whole) list = null;
      if (results.firstChild !== made) fill(results, made);
    } catch (error) {
      list = null;
      fill(results, failure(error, again));
    }
    reading.hidden = results.querySelector(".bar") === null;
    results.removeAttribute("aria-busy");
  }

  /** What the results should hold. */
  async function make(state, someone, questions, signal) {
    if (!someone) return start(state, signal);
    const weightless = views(state).every((view) => state.weights[view] === 0);
    if (weightless) {
      return nothing(
        "Every view is at 0.",
        "There is nothing left to rank by.",
        button("Blend as trained", { weights: {} }),
      );
    }
    if (questions.length > 1) {
      fill(reading, "Scores of two models are not on one scale: compare the order.");
      return sideBySide(questions, signal, again);
    }
    fill(reading, "All bars have one scale. What counts against an item is hatched, left of the line.");
    const [body] = questions;
    const [cards, trained] = await Promise.all([ranking(body, signal), trainedPlaces(body, signal)]);
    if (signal.aborted) return undefined;
    if (cards.length === 0) return empty(state);
    if (list?.model !== body.model) list = cardList(body.model);
    list.show(cards, body, trained, named(state));
    return list.whole;
  }

  return { node, title, update, name: () => title.textContent };
}

function empty(state) {
  const filtered = Object.keys(state.filters).length > 0;
  const what = `Nothing is left to recommend to ${named(state)}.`;
  if (!filtered)
    return nothing(what, "They have every item already.", button("Show what they have, too", { seen: true }));
  return nothing(what, "No other item passes all filters.", button("Remove all filters", { filters: {} }));
}

function cardList(model) {
  const cards = keyedList({ class: "cards", "aria-label": "Recommended items" }, (card) =>
    recommendedCard(card, model),
  );
  const more = h("div", { class: "more" });
  const whole = h("div", {}, cards.node, more);

  function show(items, { k }, trained, whom) {
    const scale = scaleOf(items);
    cards.show(items, scale, (card) => moved(card, trained, k));
    const next = Math.min(limits().k, k + STEP);
    const left = items.length === k && next > k;
    fill(
      more,
      left && h("button", { type: "button", onclick: () => change({ k: next }, "replace") }, "Show more"),
    );
    showFirst(items);
    say(`${plural(items.length, "recommendation")} for ${whom}.`);
  }

  return { model, whole, show, refresh: cards.refresh };
}

/** Where an item would be without the blend. */
function moved(card, trained, k) {
  if (trained === null) return null;
  const before = trained.get(card.item_id);
  if (before === undefined) return `as trained: not in the first ${depth(k)}`;
  if (before === card.rank) return "as trained: the same place";
  return `as trained: ${before} ${before > card.rank ? "▲" : "▼"}`;
}
