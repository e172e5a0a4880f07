/** Which model is shown, and what it is: the switch in the head of the page, and the dialog about it. */

import { dialog } from "./dialog.js";
import { fill, h, newId } from "./dom.js";
import { plural } from "./numbers.js";
import { keys, model as modelOf, models, short } from "./shop.js";
import { change, now } from "./state.js";

export function modelSwitch(place) {
  const box = dialog();
  const id = newId("model");
  const options = models().map(({ key, name }) => h("option", { value: key }, `${short(key)} · ${name}`));
  if (options.length > 1) options.push(h("option", { value: "ab" }, "A and B side by side"));
  const select = h("select", { id, onchange: () => change({ model: select.value }) }, ...options);
  const name = h("span", { class: "model-name" });
  const more = h("button", { type: "button", class: "quiet", onclick: open }, "About");
  const chosen = options.length > 1 ? [h("label", { class: "unseen", for: id }, "Model"), select] : [name];
  fill(place, ...chosen, more);

  function open() {
    const shown = keys(now()).map(modelOf);
    box.open("About the model", ...shown.flatMap(about));
  }

  return (state) => {
    const shown = keys(state);
    select.value = shown.length > 1 ? "ab" : shown[0];
    fill(name, modelOf(shown[0]).name);
    more.setAttribute("aria-label", `About ${shown.map((key) => modelOf(key).name).join(" and ")}`);
  };
}

function about({ key, name, users, items, views, modalities, card }) {
  const rows = [
    ["Model", card.model],
    ["Data", card.dataset],
    ["Licence of the data", card.licence ?? card.data?.licence ?? "not stated by the data set"],
    ["Users and items", `${plural(users, "user")}, ${plural(items, "item")}`],
    ["Training pairs", card.training_pairs?.toLocaleString("en")],
    ["Views", views.map(({ label }) => label).join(", ")],
    ["Features", modalities.join(", ") || "none"],
    ["Settings", card.settings],
    ["Seed", card.seed],
  ].filter(([, value]) => value !== undefined && value !== null);
  return [
    h("h3", {}, models().length > 1 ? `${short(key)} · ${name}` : name),
    h(
      "dl",
      { class: "columns-of" },
      ...rows.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, String(value))]),
    ),
    metrics(card.test),
  ];
}

function metrics(test) {
  const entries = Object.entries(test ?? {}).filter(([, value]) => typeof value === "number");
  if (entries.length === 0) return null;
  const rows = entries.map(([name, value]) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value.toFixed(4))),
  );
  return h("table", {}, h("caption", {}, "Measured on held-out purchases (test)"), h("tbody", {}, ...rows));
}
