/**
 * A text field that suggests: a combobox with a list below it (ARIA's pattern of that name). Arrows move,
 * Enter takes, Escape closes.
 */

import { latest } from "./api.js";
import { fill, h, newId, paused } from "./dom.js";
import { plural } from "./numbers.js";
import { say } from "./say.js";

/**
 * `find(text, signal)` promises [{value, label, hint}]; `take(value, label)` is called with what is chosen.
 * With `free`, Enter takes what is typed if nothing is marked.
 */
export function suggest({ name, placeholder, find, take, free = false }) {
  const listId = newId("list");
  const input = h("input", {
    type: "text",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": listId,
    "aria-autocomplete": "list",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "200",
    id: newId("field"),
    placeholder,
  });
  const list = h("ul", {
    id: listId,
    role: "listbox",
    "aria-label": name,
    class: "suggestions",
    hidden: true,
  });
  const node = h("div", { class: "suggest" }, h("label", { for: input.id }, name), input, list);
  const only = latest();
  let found = [];
  let marked = -1;
  let settled = false; // taken: a list that is still on its way must not open

  const close = () => {
    list.hidden = true;
    marked = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const mark = (place) => {
    marked = place;
    [...list.children].forEach((option, n) => option.setAttribute("aria-selected", String(n === place)));
    const option = list.children[place];
    input.setAttribute("aria-activedescendant", option?.id ?? "");
    option?.scrollIntoView({ block: "nearest" });
  };

  const choose = (place) => {
    const { value, label } = found[place];
    settled = true;
    close();
    take(value, label);
  };

  const open = (answer) => {
    found = answer;
    const options = found.map(({ label, hint }, place) => {
      const option = h(
        "li",
        { role: "option", id: newId("option"), "aria-selected": "false" },
        h("span", { dir: "auto" }, label),
      );
      if (hint) option.append(h("small", {}, hint));
      option.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
      option.addEventListener("click", () => choose(place));
      return option;
    });
    fill(list, ...options);
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
    marked = -1;
    say(
      found.length ? `${plural(found.length, "suggestion")}; arrow keys choose.` : "Nothing is called that.",
    );
  };

  const ask = async () => {
    try {
      const answer = await only((signal) => find(input.value.trim(), signal));
      if (answer !== undefined && !settled && document.activeElement === input) open(answer);
    } catch {
      close(); // the field still takes what is typed, and what follows says what is wrong
    }
  };

  const later = paused(() => settled || ask(), 120);
  input.addEventListener("input", () => {
    settled = false;
    later();
  });
  input.addEventListener("click", () => {
    settled = false;
    if (list.hidden) ask();
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) settled = false;
    if (step && list.hidden) ask();
    else if (step) mark((marked + step + found.length + (marked < 0 && step < 0 ? 1 : 0)) % found.length);
    else if (event.key === "Enter" && marked >= 0) choose(marked);
    else if (event.key === "Enter" && free && input.value.trim()) {
      settled = true;
      close();
      take(input.value.trim(), input.value.trim());
    } else if (event.key === "Enter" && !list.hidden) choose(0);
    else if (event.key === "Escape" && !list.hidden) close();
    else return;
    event.preventDefault();
  });
  return { node, input };
}
