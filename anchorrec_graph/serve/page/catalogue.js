/** The page of all items: search, filters, and picking. */

import * as api from "./api.js";
import { plainCard } from "./cards.js";
import { fill, h } from "./dom.js";
import { filterChips } from "./filters.js";
import { keyedList } from "./grid.js";
import { count, plural } from "./numbers.js";
import { button, failure, nothing } from "./problem.js";
import { say } from "./say.js";
import { keys } from "./shop.js";
import { change } from "./state.js";
import { remember } from "./titles.js";

const PAGE = 24;

export function cataloguePage() {
  const title = h("h1", { tabindex: "-1" });
  const total = h("p", { class: "hint" });
  const chips = h("div", {});
  const results = h("div", { class: "results" });
  const node = h("div", { class: "page" }, h("div", { class: "heading" }, title, total), chips, results);
  const only = api.latest();
  let list = null;
  let cards = [];
  let shown = "";

  function update(state) {
    fill(title, state.q ? `Catalogue: “${state.q}”` : "Catalogue");
    fill(chips, filterChips(state));
    const filter = Object.entries(state.filters).flatMap(([column, values]) =>
      values.map((value) => `${column}:${value}`),
    );
    const query = { q: state.q, filter, model: keys(state)[0] };
    const wanted = JSON.stringify(query);
    if (wanted === shown) {
      list?.refresh();
      return;
    }
    shown = wanted;
    list = null;
    cards = [];
    load(state, query);
  }

  async function load(state, query) {
    results.setAttribute("aria-busy", "true");
    try {
      const answer = await only((signal) =>
        api.items({ ...query, limit: PAGE, offset: cards.length }, signal),
      );
      if (answer === undefined) return;
      remember(answer.items);
      cards = [...cards, ...answer.items];
      fill(total, plural(answer.total, "item"));
      if (answer.total === 0) fill(results, empty(state));
      else show(state, query, answer);
    } catch (error) {
      shown = "";
      fill(total);
      fill(
        results,
        failure(error, () => update(state)),
      );
    }
    results.removeAttribute("aria-busy");
  }

  function show(state, query, answer) {
    if (list === null) {
      list = keyedList({ class: "cards", "aria-label": "Items" }, (card) => plainCard(card, query.model));
      list.more = h("div", { class: "more" });
      fill(results, list.node, list.more);
    }
    list.show(cards);
    const left = answer.total - cards.length;
    const next = h(
      "button",
      { type: "button", onclick: () => load(state, query) },
      `Show more (${count(left)} left)`,
    );
    fill(list.more, left > 0 && next);
    if (cards.length > PAGE)
      list.node.children[cards.length - answer.items.length]?.querySelector("h2 a").focus();
    say(`${count(cards.length)} of ${plural(answer.total, "item")} shown.`);
  }

  return { node, title, update, name: () => title.textContent };
}

function empty(state) {
  const filtered = Object.keys(state.filters).length > 0;
  const what = state.q
    ? `No item is called “${state.q}”${filtered ? " and passes the filters" : ""}.`
    : "No item passes all filters.";
  const actions = [
    state.q && button("Clear the search", { q: "" }),
    filtered && button("Remove all filters", { filters: {} }),
  ].filter(Boolean);
  return nothing(what, "Every word must be in the title, or in the id.", ...actions);
}

/** The search field in the head of the page leads here. */
export function searchField(form) {
  const input = form.querySelector("input");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    change({ page: "catalogue", q: input.value.trim(), item: "", why: "" });
  });
  return (state) => {
    if (document.activeElement !== input) input.value = state.page === "catalogue" ? state.q : "";
  };
}
