/** The section in which one says for whom: a user of the data, or a stranger with some items. */

import * as api from "./api.js";
import { fill, h, newId } from "./dom.js";
import { line } from "./fields.js";
import { count } from "./numbers.js";
import { section } from "./panel.js";
import { add, drop } from "./pick.js";
import { button } from "./problem.js";
import { say } from "./say.js";
import { keys, Person, person, site } from "./shop.js";
import { change, now } from "./state.js";
import { suggest } from "./suggest.js";
import { theirItems } from "./theirs.js";
import { learn, remember, title } from "./titles.js";
import { asked, briefly } from "./whom.js";

const SHOWN = 12; // picks that are listed unless one asks for all
const key = () => keys(now())[0];

export function whoSection() {
  const user = userField();
  const picks = pickList();
  const group = newId("who");
  const choice = (value, text) => {
    const node = h("input", { type: "radio", name: group, value, onchange: () => choose(value) });
    return { node, label: h("label", { class: "choice" }, node, text) };
  };
  const one = choice("user", `A ${person()} of the data`);
  const some = choice("picks", "Someone with my picks");
  const legend = h("legend", { class: "unseen" }, "For whom");
  const named = site()?.shoppers === 0 ? [] : [one.label, user.node];
  const fields = h("fieldset", {}, legend, ...named, some.label, picks.node);
  const { node, tell } = section("For whom", fields);

  function choose(who) {
    change({ who });
    if (who === "user" && !now().user) user.input.focus();
    if (who === "picks" && now().picks.length === 0)
      say("Pick some items: search for them here, or in the catalogue.");
  }

  function update(state) {
    one.node.checked = state.who === "user";
    some.node.checked = state.who === "picks";
    user.update(state);
    picks.update(state);
    tell(asked(state) ? briefly(state) : "nobody yet");
  }

  return { node, update };
}

function userField() {
  const take = (id) => {
    change({ user: id, who: "user" });
    say(`${Person()} ${id} chosen.`);
  };
  const find = async (q, signal) => {
    const { users } = await api.users({ q: q === now().user ? "" : q, limit: 8, model: key() }, signal);
    return users.map((id) => ({ value: id, label: id }));
  };
  const [name, placeholder] = site() ? ["Shopper", "a number"] : ["User id", "an id"];
  const field = suggest({ name, placeholder, find, take, free: true });
  field.input.addEventListener("focus", () => field.input.select());
  const any = h(
    "button",
    { type: "button", class: "quiet", onclick: () => anyUser(take) },
    `Any ${person()}`,
  );
  const theirs = theirItems();
  const node = h("div", { class: "under" }, h("div", { class: "row" }, field.node, any), theirs.node);
  const update = (state) => {
    if (document.activeElement !== field.input || state.user) field.input.value = state.user;
    theirs.update(state);
  };
  return { node, input: field.input, update };
}

async function anyUser(take) {
  try {
    const { users } = await api.users({ limit: 100, model: key() });
    const others = users.filter((id) => id !== now().user);
    if (others.length) take(others[Math.floor(Math.random() * others.length)]);
  } catch (error) {
    say(error.message);
  }
}

function pickList() {
  const find = async (q, signal) => {
    const { items } = await api.items({ q, limit: 8, model: key() }, signal);
    remember(items);
    return items.map((card) => ({ value: card.item_id, label: card.title, hint: line(card, 2) }));
  };
  const take = (id, label) => {
    field.input.value = "";
    if (now().picks.includes(id)) say(`${label} is picked already.`);
    else add([id], label);
  };
  const field = suggest({ name: "Pick an item", placeholder: "a title", find, take });
  const list = h("ul", { class: "picks", "aria-label": "Picks" });
  const more = h("div", { class: "row" });
  const node = h("div", { class: "under" }, field.node, list, more);
  let all = false;

  async function update(state) {
    const shown = all ? state.picks : state.picks.slice(0, SHOWN);
    draw(state, shown);
    if (await learn(shown, key())) draw(now(), all ? now().picks : now().picks.slice(0, SHOWN));
  }

  function draw(state, shown) {
    const inside = [...list.querySelectorAll("button")].indexOf(document.activeElement);
    fill(list, ...shown.map(chip));
    const hidden = state.picks.length - shown.length;
    fill(
      more,
      hidden > 0 &&
        h("button", { type: "button", class: "quiet", onclick: showAll }, `Show ${count(hidden)} more`),
      state.picks.length > 1 && button("Clear the picks", { picks: [] }),
    );
    const buttons = [...list.querySelectorAll("button")];
    if (inside >= 0) (buttons[Math.min(inside, buttons.length - 1)] ?? field.input).focus();
  }

  function showAll() {
    all = true;
    update(now());
  }

  return { node, update };
}

function chip(id) {
  const name = title(id);
  const off = h(
    "button",
    { type: "button", "aria-label": `Take ${name} off the picks`, onclick: () => drop(id, name) },
    "×",
  );
  return h("li", { class: "chip" }, h("span", { dir: "auto" }, name), off);
}
