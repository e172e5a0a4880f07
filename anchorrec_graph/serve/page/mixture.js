/** The neighbours of an item by a mixture of two modalities, and the slider that mixes them. */

import * as api from "./api.js";
import { fill, h, newId, paused } from "./dom.js";
import { failure } from "./problem.js";
import { label, model as modelOf } from "./shop.js";
import { change, now } from "./state.js";
import { strip } from "./strips.js";

export function mixture() {
  const above = h("div", {}); // the slider, which keeps the focus while the strip below changes
  const below = h("div", { class: "results" });
  const node = h("div", {}, above, below);
  const only = api.latest();
  let slider = null;

  /** `question` is that for /api/similar, without the mixture. */
  async function load(question, mix) {
    const { modalities } = modelOf(question.model);
    if (modalities.length < 2) {
      clear();
      return;
    }
    const [first, second] = modalities;
    if (slider?.names !== modalities) {
      slider = mixer(modalities);
      fill(above, slider.node);
    }
    slider.show(mix);
    below.setAttribute("aria-busy", "true");
    try {
      const by = { [first]: mix, [second]: 1 - mix };
      const answer = await only((signal) => api.similar({ ...question, by }, signal));
      if (answer === undefined) return;
      const heading = `By ${label(first)} and ${label(second)}, mixed`;
      fill(
        below,
        strip({ by: "final", items: answer.items }, question.model, () => heading, []),
      );
    } catch (error) {
      fill(
        below,
        failure(error, () => load(question, now().mix)),
      );
    }
    below.removeAttribute("aria-busy");
  }

  function clear() {
    slider = null;
    fill(above);
    fill(below);
  }

  return { node, load, clear };
}

function mixer(names) {
  const [first, second] = names.map(label);
  const id = newId("mix");
  const input = h("input", { type: "range", id, min: "0", max: "1", step: "0.1" });
  const shown = h("span", { class: "value" });
  const commit = paused(() => change({ mix: Number(input.value) }, "replace"), 60);
  input.addEventListener("input", () => {
    draw();
    commit();
  });

  function draw() {
    const percent = Math.round(100 * Number(input.value));
    fill(shown, `${percent} % ${first}, ${100 - percent} % ${second}`);
    input.setAttribute("aria-valuetext", shown.textContent);
  }

  function show(mix) {
    if (document.activeElement !== input) input.value = String(mix);
    draw();
  }

  const node = h("div", { class: "mixer" }, h("label", { for: id }, `Share of ${first}`), input, shown);
  return { names, node, show };
}
