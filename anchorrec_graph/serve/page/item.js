/** The page of one item: what is known of it, and its neighbours by look, by words and by behaviour. */

import * as api from "./api.js";
import { fill, h, newId } from "./dom.js";
import { table } from "./fields.js";
import { link } from "./link.js";
import { mixture } from "./mixture.js";
import { pickButton, show as showPick } from "./pick.js";
import { picture } from "./picture.js";
import { button, failure, nothing } from "./problem.js";
import { say } from "./say.js";
import { columns, keys, label, model as modelOf, site } from "./shop.js";
import { change, now } from "./state.js";
import { overlap, strip } from "./strips.js";
import { remember, title as titleOf } from "./titles.js";
import { asked, named } from "./whom.js";

const NEIGHBOURS = 12;

export function itemPage() {
  const title = h("h1", { tabindex: "-1", dir: "auto" });
  const about = h("div", { class: "about" });
  const reach = acrossField();
  const strips = h("div", { class: "results" });
  const mixed = mixture();
  const node = h("div", { class: "page" }, title, about, reach.node, limit(), strips, mixed.node);
  const only = api.latest();
  let shown = {};
  let pick = null;

  function update(state) {
    const model = keys(state)[0];
    const whole = JSON.stringify([model, state.item, state.across]);
    const mix = JSON.stringify([whole, state.mix]);
    const whom = JSON.stringify(asked(state));
    reach.update(state);
    pick?.();
    if (!state.item) {
      none();
      return;
    }
    if (shown.whole === whole && shown.mix !== mix) mixed.load(question(state, model), state.mix);
    if (shown.whole !== whole || shown.whom !== whom) load(state, model);
    shown = { whole, mix, whom };
  }

  function none() {
    shown = {};
    fill(title, "Item");
    fill(about);
    mixed.clear();
    fill(
      strips,
      nothing("No item is chosen.", "Choose one.", button("Open the catalogue", { page: "catalogue" })),
    );
  }

  async function load(state, model) {
    const ways = waysOf(model);
    fill(title, titleOf(state.item));
    strips.setAttribute("aria-busy", "true");
    try {
      const answer = await only((signal) => ask(state, model, ways, signal));
      if (answer === undefined) return;
      const [card, ...lists] = answer;
      remember([card, ...lists.flat()]);
      fill(title, card.title);
      pick = face(about, card, state, model);
      const made = ways.map((by, n) => ({ by, items: lists[n] }));
      fill(strips, overlap(made), ...made.map((one) => strip(one, model, heading, made)));
      mixed.load(question(state, model), state.mix);
      say(`${card.title}, with ${made.length} lists of neighbours.`);
    } catch (error) {
      fill(about);
      mixed.clear();
      shown = {};
      fill(
        strips,
        failure(error, () => update(now())),
      );
    }
    strips.removeAttribute("aria-busy");
  }

  return { node, title, update, name: () => title.textContent };
}

/** What a site says that has no room for the features. */
function limit() {
  const most = site()?.near;
  const text = `This site knows the ${most} nearest of each item by each of its features.`;
  return most ? h("p", { class: "hint" }, `${text} Other kinds and mixtures are chosen among them.`) : null;
}

/** The native features, and the view of behaviour, or all views at once where a model has no such view. */
function waysOf(model) {
  const { modalities, views } = modelOf(model);
  return [...modalities, views.some(({ name }) => name === "id") ? "id" : "final"];
}

function heading(by) {
  const known = { image: "Looks like it", text: "Reads like it", id: "Bought alike" };
  return known[by] ? `${known[by]} (${label(by)})` : `Alike by ${label(by)}`;
}

function question(state, model) {
  return { model, item: state.item, k: NEIGHBOURS, across: state.across || null };
}

function ask(state, model, ways, signal) {
  const similar = async (by) => (await api.similar({ ...question(state, model), by }, signal)).items;
  return Promise.all([api.item(state.item, model, signal), ...ways.map(similar)]);
}

/** Fills the head of the page; returns what brings the pick button up to date. */
function face(node, card, state, model) {
  const rows = table(card).flatMap(([name, texts]) => [
    h("dt", {}, name),
    h("dd", { dir: "auto" }, texts.join(", ")),
  ]);
  const pick = pickButton(card);
  const someone = asked(state);
  const why = someone && h("button", { type: "button" }, `Why for ${named(state)}?`);
  why?.addEventListener("click", () => change({ why: `${model}:${card.item_id}` }));
  const alone = { page: "recommend", picks: [card.item_id], who: "picks", why: "" };
  fill(
    node,
    picture(card, model, "large"),
    h(
      "div",
      {},
      h("dl", { class: "columns-of" }, h("dt", {}, "id"), h("dd", {}, card.item_id), ...rows),
      h("div", { class: "actions" }, pick, why, link(alone, { class: "button" }, "Recommend from it alone")),
    ),
  );
  return () => showPick(pick, card);
}

/** Inspiration across categories: only neighbours that share no value of a column with the item. */
function acrossField() {
  const id = newId("across");
  const usable = columns().filter(({ kind }) => kind !== "text");
  const options = usable.map(({ name }) => h("option", { value: name }, `only of other ${name}`));
  const select = h(
    "select",
    { id, onchange: () => change({ across: select.value }) },
    h("option", { value: "" }, "of any kind"),
    ...options,
  );
  const node = h("p", { class: "across" }, h("label", { for: id }, "Show neighbours"), " ", select);
  node.hidden = usable.length === 0;
  return {
    node,
    update: ({ across }) => (select.value = usable.some(({ name }) => name === across) ? across : ""),
  };
}
