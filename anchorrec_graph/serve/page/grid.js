/** A list whose entries keep their nodes when it is sorted anew: focus stays, and one sees them move. */

import { h } from "./dom.js";

const MOST_MOVES = 60;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** `make(entry)` gives {node, update(entry, ...context)}; `keyOf(entry)` tells entries apart. */
export function keyedList(attributes, make, keyOf = (entry) => entry.item_id) {
  const node = h("ol", { ...attributes, role: "list" });
  let shown = new Map();

  function show(entries, ...context) {
    const before = places(shown);
    const focused = node.contains(document.activeElement) ? document.activeElement : null;
    const lost = focused && focusPlace(node, focused);
    const next = new Map();
    for (const entry of entries) {
      const key = keyOf(entry);
      const made = shown.get(key) ?? make(entry);
      next.set(key, made);
      made.update?.(entry, ...context);
    }
    for (const [key, { node: gone }] of shown) if (!next.has(key)) gone.remove();
    let place = node.firstElementChild;
    for (const { node: wanted } of next.values()) {
      if (wanted === place) place = place.nextElementSibling;
      else node.insertBefore(wanted, place);
    }
    shown = next;
    if (focused && document.activeElement !== focused) refocus(node, focused, lost);
    move(shown, before);
  }

  const refresh = () => [...shown.values()].forEach((made) => made.refresh?.());
  return { node, show, refresh };
}

/** Which entry, and which of its controls, has the focus. */
function focusPlace(list, focused) {
  const entry = [...list.children].findIndex((child) => child.contains(focused));
  return { entry, control: entry < 0 ? 0 : controls(list.children[entry]).indexOf(focused) };
}

function controls(entry) {
  return [...entry.querySelectorAll("a[href]:not([tabindex='-1']), button")];
}

/** To the same control, or, where its entry is gone, to that of the entry which took its place. */
function refocus(list, focused, { entry, control }) {
  if (focused.isConnected) {
    focused.focus({ preventScroll: true });
    return;
  }
  const heir = list.children[Math.min(entry, list.children.length - 1)];
  if (heir) controls(heir).at(control)?.focus({ preventScroll: true });
}

function places(shown) {
  if (still.matches || shown.size === 0 || shown.size > MOST_MOVES) return null;
  return new Map([...shown].map(([key, { node }]) => [key, node.getBoundingClientRect()]));
}

function move(shown, before) {
  if (before === null) return;
  for (const [key, { node }] of shown) {
    const old = before.get(key);
    const place = node.getBoundingClientRect();
    const far = old && (old.left !== place.left || old.top !== place.top);
    if (far && node.animate && (place.top < innerHeight || old.top < innerHeight)) {
      const from = `translate(${old.left - place.left}px, ${old.top - place.top}px)`;
      node.animate([{ transform: from }, { transform: "none" }], { duration: 260, easing: "ease-out" });
    } else if (!old && node.animate) {
      node.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 260 });
    }
  }
}
