/** The section of sliders: how much each view's part of every score counts. 1 is as trained. */

import { MOST_WEIGHT } from "./address.js";
import { swatch } from "./bar.js";
import { fill, h, newId, paused } from "./dom.js";
import { section } from "./panel.js";
import { say } from "./say.js";
import { label, views } from "./shop.js";
import { change, now } from "./state.js";

const AT_ONCE = 60; // milliseconds: a finger sends more values than a list can follow

const first = h("p", { class: "hint first" }); // on a phone the list is out of sight while one moves a slider

/** What the blend has put first. */
export function showFirst(cards) {
  fill(
    first,
    cards.length > 0 &&
      `Now first: ${cards
        .slice(0, 3)
        .map((card) => card.title)
        .join("; ")}`,
  );
}

export function blendSection() {
  const rows = h("div", { class: "sliders" });
  const reset = h(
    "button",
    { type: "button", class: "quiet", onclick: () => set({}, "The blend is as trained.") },
    "Blend as trained",
  );
  const hint = h("p", { class: "hint" }, "1 is as trained, 0 leaves a view out.");
  const { node, tell } = section("Blend", hint, rows, first, reset);
  let made = new Map();

  function update(state) {
    const names = views(state);
    if (names.join() !== [...made.keys()].join()) {
      made = new Map(names.map((name) => [name, slider(name, names)]));
      fill(rows, ...[...made.values()].map((row) => row.node));
    }
    for (const [name, row] of made) row.show(state.weights[name] ?? 1);
    const changed = Object.keys(state.weights).filter((name) => made.has(name));
    tell(
      changed.length
        ? changed.map((name) => `${label(name)} ${state.weights[name]}`).join(", ")
        : "as trained",
    );
    reset.disabled = changed.length === 0;
  }

  return { node, update };
}

function slider(view, all) {
  const id = newId("blend");
  const input = h("input", { type: "range", id, min: "0", max: String(MOST_WEIGHT), step: "0.1" });
  const shown = h("span", { class: "value" });
  const name = label(view);
  const zeros = Object.fromEntries(all.filter((other) => other !== view).map((other) => [other, 0]));
  const only = h(
    "button",
    {
      type: "button",
      class: "quiet",
      "aria-label": `Only ${name}`,
      onclick: () => set(zeros, `Only ${name} counts.`),
    },
    "only",
  );
  const commit = paused((value) => change({ weights: weighted(view, value) }, "replace"), AT_ONCE);
  input.addEventListener("input", () => {
    const value = Number(input.value);
    draw(value);
    commit(value);
  });

  function draw(value) {
    fill(shown, `× ${value.toFixed(1)}`);
    input.setAttribute("aria-valuetext", `${value.toFixed(1)} times`);
  }

  function show(value) {
    if (document.activeElement !== input || Number(input.value) !== value) input.value = String(value);
    draw(value);
  }

  const node = h("div", { class: "slider" }, h("label", { for: id }, swatch(view), name), shown, input, only);
  return { node, show };
}

function weighted(view, value) {
  const { [view]: _, ...others } = now().weights;
  return value === 1 ? others : { ...others, [view]: value };
}

function set(weights, text) {
  change({ weights });
  say(text);
}
