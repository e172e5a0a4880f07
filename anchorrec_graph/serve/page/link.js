/** Links to other states of the page. They are real addresses, for a new tab or a bookmark. */

import { h } from "./dom.js";
import { address, change } from "./state.js";

/** A link whose address is that of the state at the moment it is used, with these changes. */
export function link(changes, attributes, ...children) {
  const node = h("a", { ...attributes, href: address(changes) }, ...children);
  const refresh = () => node.setAttribute("href", address(changes));
  node.addEventListener("pointerdown", refresh);
  node.addEventListener("focus", refresh);
  node.addEventListener("click", (event) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    change(changes);
  });
  return node;
}

/** What leaves a list behind and opens an item. */
export const toItem = (id) => ({ page: "item", item: id, why: "" });
