/** The page for a product that nobody bought yet: a picture and a text, and where they would land. */

import * as api from "./api.js";
import { bar, partsList, scaleOf } from "./bar.js";
import { fill, h, newId } from "./dom.js";
import { dropField } from "./drop.js";
import { count, points } from "./numbers.js";
import { failure } from "./problem.js";
import { say } from "./say.js";
import { encoders, keys, label, limits, model as modelOf, site } from "./shop.js";
import { change, now } from "./state.js";
import { overlap, strip } from "./strips.js";
import { remember } from "./titles.js";
import { asked, named } from "./whom.js";

const NEIGHBOURS = 12;

export function newItemPage() {
  const title = h("h1", { tabindex: "-1" }, "Where would a new product land?");
  const wrong = h("p", { class: "wrong", role: "alert" });
  const field = dropField(limits().upload_bytes, (text) => fill(wrong, text));
  const text = textField();
  const send = h("button", { type: "submit", class: "main" }, "Place it");
  const whom = h("p", { class: "hint" });
  const form = h(
    "form",
    { class: "new", novalidate: true },
    field.node,
    text.node,
    wrong,
    whom,
    h("div", { class: "actions" }, send),
  );
  const results = h("div", { class: "results" });
  const able = encoders().image || encoders().text;
  const intro = "Nobody has bought it: its picture and its words alone give it a place in the model.";
  const node = h("div", { class: "page" }, title, h("p", {}, intro), able ? form : unable(), results);
  const only = api.latest();
  let sent = null; // what the results are for

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const picture = field.file();
    const words = text.input.value.trim();
    fill(wrong, picture || words ? null : "Give a picture, a text, or both.");
    if (!picture && !words) {
      (encoders().text ? text.input : field.input).focus();
      return;
    }
    load(picture, words);
  });

  function update(state) {
    if (document.activeElement !== text.input) text.input.value = state.text;
    const someone = asked(state);
    fill(
      whom,
      someone
        ? `It is ranked for ${named(state)}, too.`
        : "Choose somebody under “For whom” to see its rank for them, too.",
    );
    const wanted = JSON.stringify([keys(state)[0], someone]);
    if (sent && sent.wanted !== wanted) load(sent.picture, sent.words);
  }

  async function load(picture, words) {
    const state = now();
    const model = keys(state)[0];
    const someone = asked(state);
    sent = { picture, words, wanted: JSON.stringify([model, someone]) };
    results.setAttribute("aria-busy", "true");
    send.disabled = true;
    try {
      const query = { model, ...someone, k: NEIGHBOURS };
      const answer = await only((signal) => api.newItem(picture, words, query, signal));
      if (answer !== undefined) show(answer, state, model);
    } catch (error) {
      fill(
        results,
        failure(error, () => load(picture, words)),
      );
    }
    send.disabled = false;
    results.removeAttribute("aria-busy");
  }

  function show(answer, state, model) {
    const strips = [...modelOf(model).modalities, "final"]
      .filter((by) => answer.similar[by])
      .map((by) => ({ by, items: answer.similar[by] }));
    for (const { items } of strips) remember(items);
    const landed = answer.rank === null ? null : landing(answer, named(state));
    fill(results, landed, overlap(strips), ...strips.map((one) => strip(one, model, heading, strips)));
    say(landed ? landed.querySelector("p").textContent : "The product is placed; its neighbours follow.");
  }

  return { node, title, update, name: () => "New product" };
}

function heading(by) {
  return by === "final" ? "Near it in the whole model" : `Near it by ${label(by)}`;
}

function landing({ score, rank, candidates, parts }, whom) {
  const scale = scaleOf([{ parts }]);
  return h(
    "section",
    { class: "landing", "aria-label": "Its rank" },
    h(
      "p",
      { class: "lead" },
      `It would be number ${count(rank)} of ${count(candidates)} for ${whom}; its score is ${points(score)}.`,
    ),
    bar(parts, scale),
    partsList(parts),
  );
}

function textField() {
  const id = newId("text");
  const able = encoders().text;
  const input = h("textarea", {
    id,
    rows: "4",
    maxlength: String(limits().text_chars),
    disabled: !able,
    "aria-describedby": `${id}-hint`,
    placeholder: "Title and description",
    onchange: () => change({ text: input.value.trim() }, "replace"),
  });
  const hint = able
    ? "The text is part of the address; the picture is not."
    : "Words cannot be read here: the server was started without --encode text=….";
  return {
    input,
    node: h(
      "div",
      { class: "field" },
      h("label", { for: id }, "Text"),
      input,
      h("p", { class: "hint", id: `${id}-hint` }, hint),
    ),
  };
}

function unable() {
  const [what, todo] = site()
    ? ["This site has no server, which a new product needs.", "Start one where the model is, for example:"]
    : [
        "This server cannot read pictures or texts.",
        "Start it with the encoders that made the model’s features, for example:",
      ];
  return h(
    "div",
    { class: "problem empty" },
    h("p", { class: "what" }, what),
    h("p", {}, todo),
    h("pre", {}, h("code", {}, "anchorrec serve RUN --encode text=minilm --encode image=efficientnet_lite0")),
  );
}
