/** The section of filters: for each column, the values that an item may have there. */

import { fill, h, newId } from "./dom.js";
import { plural } from "./numbers.js";
import { section } from "./panel.js";
import { filterable, limits } from "./shop.js";
import { change, now } from "./state.js";

const MANY = 10; // values beyond which one can search among them

export function filterSection() {
  const groups = filterable().map((column) =>
    column.kind === "number" ? numberGroup(column) : valueGroup(column),
  );
  const none = groups.length === 0 && h("p", { class: "hint" }, "These items have no columns to filter on.");
  const { node, tell } = section("Filters", none, ...groups.map((group) => group.node));
  const update = (state) => {
    for (const group of groups) group.update(state);
    const set = Object.values(state.filters).flat();
    tell(set.length === 0 ? "none" : set.length <= 3 ? set.join(", ") : plural(set.length, "value"));
  };
  return { node, update };
}

function setFilter(column, values) {
  const { [column]: _, ...others } = now().filters;
  change({
    filters: values.length ? { ...others, [column]: values.slice(0, limits().filter_values) } : others,
  });
}

function valueGroup({ name, values }) {
  const list = h("ul", { class: "values" });
  const rows = values.map(String).map((value) => {
    const box = h("input", { type: "checkbox", value, onchange: () => toggle(value, box.checked) });
    const node = h("li", {}, h("label", { class: "choice" }, box, h("span", { dir: "auto" }, value)));
    list.append(node);
    return { box, node, value };
  });
  const search = values.length > MANY && searchField(name, rows);
  const node = h("fieldset", { class: "group" }, h("legend", {}, name), search, list);

  function toggle(value, on) {
    const chosen = now().filters[name] ?? [];
    setFilter(name, on ? [...chosen, value] : chosen.filter((one) => one !== value));
  }

  const update = ({ filters }) => {
    for (const { box, value } of rows) box.checked = filters[name]?.includes(value) ?? false;
  };
  return { node, update };
}

function searchField(name, rows) {
  const id = newId("find");
  const input = h("input", { type: "search", id, placeholder: `Find in ${name}`, autocomplete: "off" });
  input.addEventListener("input", () => {
    const text = input.value.trim().toLowerCase();
    for (const { node, value } of rows) node.hidden = !value.toLowerCase().includes(text);
  });
  return h("div", { class: "find" }, h("label", { class: "unseen", for: id }, `Find in ${name}`), input);
}

/** The server compares numbers for equality, so what is typed is a list of them. */
function numberGroup({ name, min, max }) {
  const id = newId("number");
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, role: "alert" });
  const hint = h(
    "p",
    { class: "hint", id: `${id}-hint` },
    `${span(min)} to ${span(max)}; several with commas`,
  );
  const input = h("input", {
    type: "text",
    id,
    inputmode: "decimal",
    autocomplete: "off",
    "aria-describedby": `${id}-hint ${id}-wrong`,
    onchange: take,
  });
  const node = h(
    "fieldset",
    { class: "group" },
    h("legend", {}, name),
    h("label", { for: id }, "Is one of"),
    input,
    hint,
    wrong,
  );

  function take() {
    const texts = input.value.split(/[,;\s]+/).filter(Boolean);
    const bad = texts.find((text) => !Number.isFinite(Number(text)));
    input.setAttribute("aria-invalid", String(bad !== undefined));
    fill(wrong, bad === undefined ? null : `“${bad}” is not a number.`);
    if (bad === undefined) setFilter(name, [...new Set(texts)]);
  }

  const update = ({ filters }) => {
    if (document.activeElement !== input) input.value = (filters[name] ?? []).join(", ");
  };
  return { node, update };
}

const span = (value) =>
  value === null ? "?" : Number.isInteger(value) ? String(value) : value.toPrecision(4);

/** The filters that are set, above the results: one press takes one off. */
export function filterChips(state) {
  const chips = Object.entries(state.filters).flatMap(([column, values]) =>
    values.map((value) => {
      const off = () =>
        setFilter(
          column,
          values.filter((one) => one !== value),
        );
      const text = `${column}: ${value}`;
      return h(
        "li",
        { class: "chip" },
        h("span", { dir: "auto" }, text),
        h("button", { type: "button", "aria-label": `Remove filter ${text}`, onclick: off }, "×"),
      );
    }),
  );
  if (chips.length === 0) return null;
  const all = h(
    "li",
    {},
    h(
      "button",
      { type: "button", class: "quiet", onclick: () => change({ filters: {} }) },
      "Remove all filters",
    ),
  );
  return h(
    "ul",
    { class: "chips", "aria-label": "Filters that are set" },
    ...chips,
    chips.length > 1 ? all : null,
  );
}
