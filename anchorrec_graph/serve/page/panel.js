/** The sections beside the results: each can be closed, and says in its own line what is set. */

import { fill, h } from "./dom.js";

const wide = matchMedia("(min-width: 60rem)");

/** A section with a heading; `tell(text)` writes what is set beside it. */
export function section(title, ...content) {
  const set = h("span", { class: "set" });
  const heading = h("h2", {}, title);
  const node = h(
    "details",
    { class: "section" },
    h("summary", {}, heading, set),
    h("div", { class: "inside" }, ...content),
  );
  node.open = wide.matches;
  return { node, tell: (text) => fill(set, text) };
}
