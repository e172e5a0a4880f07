/** The answer to "why this?": parts of the score, the purchases that carried it, and what is like it. */

import * as api from "./api.js";
import { bar, scaleOf, swatch } from "./bar.js";
import { dialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { link, toItem } from "./link.js";
import { count, percent, plural, points } from "./numbers.js";
import { picture } from "./picture.js";
import { failure, sentence } from "./problem.js";
import { keys, label, model as modelOf, short, site } from "./shop.js";
import { change, now } from "./state.js";
import { title } from "./titles.js";
import { asked, named } from "./whom.js";

const PURCHASES = 8;
const LIKE = 6;

export function whyDialog() {
  const box = dialog(leave);
  const only = api.latest();
  let shown = "";
  let pushed = false;

  /** Opening it was a step: closing goes back, so that Back does not lead to a dialog that was closed. */
  function leave() {
    if (!now().why) return;
    if (pushed) history.back();
    else change({ why: "" }, "replace");
  }

  function update(state, how) {
    const [model, item] = split(state.why);
    const someone = asked(state);
    if (!item || !someone) {
      shown = "";
      box.close();
      return;
    }
    const wanted = JSON.stringify([model, item, someone]);
    if (wanted === shown) return;
    shown = wanted;
    pushed = how === "push";
    load(state, model, item, someone);
  }

  async function load(state, model, item, someone) {
    box.open(
      ["Why “", h("span", { dir: "auto" }, title(item)), "”?"],
      h("p", { class: "loading" }, "Working it out …"),
    );
    try {
      const answer = await only((signal) => ask(model, item, someone, signal));
      if (answer === undefined) return;
      box.open(
        ["Why “", h("span", { dir: "auto" }, answer.why.title), "”?"],
        ...content(state, model, answer),
      );
    } catch (error) {
      fill(
        box.body,
        failure(error, () => load(state, model, item, someone)),
      );
    }
  }

  return { update };
}

/** `b:296` -> ["b", "296"], of a model that the state shows. */
function split(text) {
  const cut = text.indexOf(":");
  return cut < 0 ? ["", ""] : [modelOf(text.slice(0, cut)).key, text.slice(cut + 1)];
}

async function ask(model, item, someone, signal) {
  const like = (by) => api.similar({ model, item, by, k: LIKE }, signal).catch(() => null);
  const { modalities } = modelOf(model);
  const [why, ...found] = await Promise.all([
    api.explain({ model, ...someone, item, k: PURCHASES }, signal),
    ...modalities.map(like),
  ]);
  return { why, like: modalities.map((by, n) => [by, found[n]?.items ?? null]) };
}

function content(state, model, { why, like }) {
  const whom = named(state);
  return [
    h("p", { class: "lead" }, lead(why, whom, model, keys(state).length > 1)),
    Object.keys(state.weights).length > 0 &&
      h("p", { class: "hint" }, "These numbers are for the blend as trained; your sliders are not in them."),
    h("h3", {}, "By view"),
    viewBar(why.views),
    viewTable(why.views),
    h("h3", {}, "The purchases that carried it"),
    ...purchases(why),
    h("h3", {}, `What ${whom} has that is most like it`),
    site()?.near &&
      h("p", { class: "hint" }, `Looked for among its ${site().near} nearest by each of its features.`),
    ...likeLists(Object.entries(why.similar), model, "cosine", "There are no pictures or texts to compare."),
    h("h3", {}, "Its neighbours in the whole catalogue"),
    ...likeLists(like, model, "similarity", "There are no pictures or texts to compare."),
    h("p", {}, link(toItem(why.item_id), { class: "button" }, "Open its page")),
  ];
}

function lead(why, whom, model, two) {
  const by = two ? ` by ${short(model)}` : "";
  const known = why.known ? " They have it already." : "";
  const rank = `${count(why.rank)} of ${count(why.candidates)}`;
  return `Ranked ${rank} for ${whom}${by}; its score is ${points(why.score)}.${known}`;
}

function viewBar(views) {
  const parts = Object.fromEntries(views.map(({ view, value }) => [view, value]));
  return bar(parts, scaleOf([{ parts }]));
}

function viewTable(views) {
  const rows = views.map(({ view, value, share, rank_without: without }) => [
    h("span", { class: value < 0 ? "minus" : "" }, swatch(view), label(view)),
    points(value),
    percent(share),
    without === null ? "nothing to rank by" : count(without),
  ]);
  return table("The score by view", ["View", "Points", "Share", "Rank without it"], rows);
}

function purchases(why) {
  if (!why.purchases) return [h("p", {}, sentence(why.no_purchases ?? "this model cannot say"))];
  const rows = why.purchases.map((one) => [
    link(toItem(one.item_id), { dir: "auto" }, one.title),
    points(one.value),
    percent(one.share),
    count(one.rank_without),
  ]);
  const rest = why.other_purchases;
  if (rest)
    rows.push([plural(rest.count, "other purchase"), points(rest.value), share(rest.value, why.score), "–"]);
  if (why.own)
    rows.push([
      "no purchase: popularity, and what the user alone brings",
      points(why.own.value),
      percent(why.own.share),
      "–",
    ]);
  return [table("The score by purchase", ["Purchase", "Points", "Share", "Rank without it"], rows)];
}

const share = (value, score) => percent(score > 0 ? value / score : null);

function table(caption, columns, rows) {
  const head = h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)));
  const body = rows.map(([first, ...others]) =>
    h("tr", {}, h("th", { scope: "row" }, ...[first].flat()), ...others.map((text) => h("td", {}, text))),
  );
  const inside = h(
    "table",
    {},
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, head),
    h("tbody", {}, ...body),
  );
  return h("div", { class: "scroll" }, inside);
}

function likeLists(lists, model, measure, otherwise) {
  const made = lists.map(([by, items]) => {
    const entries = (items ?? []).map((one) =>
      h(
        "li",
        {},
        one.image === undefined ? null : picture(one, model, "small"),
        link(toItem(one.item_id), { dir: "auto" }, one.title),
        h("span", { class: "number" }, points(one[measure])),
      ),
    );
    const inside = entries.length
      ? h("ol", { class: "like", role: "list" }, ...entries)
      : h("p", {}, "None.");
    return h("section", {}, h("h4", {}, swatch(by), `by ${label(by)}`), inside);
  });
  return made.length ? [h("div", { class: "twins" }, ...made)] : [h("p", {}, otherwise)];
}
