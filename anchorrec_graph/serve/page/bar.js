/**
 * The score as a bar: parts that count for an item to the right of a line, parts that count against it,
 * hatched, to the left. All bars of a list have one scale, so that they compare. A mark shows the sum.
 */

import { h, size } from "./dom.js";
import { points } from "./numbers.js";
import { colour, label } from "./shop.js";

/** Largest first; parts that are nothing last. */
export function ordered(parts) {
  return Object.entries(parts).sort(([, a], [, b]) => b - a);
}

/** How far the bars of these items reach to either side. */
export function scaleOf(cards) {
  const reach = { against: 0, towards: 0 };
  for (const { parts } of cards) {
    const { against, towards } = sums(parts);
    reach.against = Math.max(reach.against, against);
    reach.towards = Math.max(reach.towards, towards);
  }
  return reach;
}

function sums(parts) {
  const values = Object.values(parts);
  const sum = (chosen) => chosen.reduce((total, value) => total + Math.abs(value), 0);
  return {
    against: sum(values.filter((value) => value < 0)),
    towards: sum(values.filter((value) => value > 0)),
  };
}

/** The picture alone: the numbers stand beside it (`partsList`). */
export function bar(parts, scale) {
  const whole = scale.against + scale.towards || 1;
  const zero = (100 * scale.against) / whole;
  const node = h("div", { class: "bar", "aria-hidden": "true" });
  const ends = { against: zero, towards: zero };
  for (const [view, value] of ordered(parts)) {
    const width = (100 * Math.abs(value)) / whole;
    if (width < 0.05) continue;
    if (value < 0) ends.against -= width;
    const left = value < 0 ? ends.against : ends.towards;
    if (value > 0) ends.towards += width;
    const side = value < 0 ? "against" : "towards";
    const segment = h("span", {
      class: `segment ${side} ${colour(view)}`,
      title: `${label(view)} ${points(value)}`,
    });
    node.append(size(segment, { left: `${left}%`, width: `${width}%` }));
  }
  const total = Object.values(parts).reduce((sum, value) => sum + value, 0);
  node.append(size(h("span", { class: "zero" }), { left: `${zero}%` }));
  if (scale.against > 0) {
    node.append(
      size(h("span", { class: "sum" }), {
        left: `${Math.min(100, Math.max(0, zero + (100 * total) / whole))}%`,
      }),
    );
  }
  return node;
}

/** Every part by name and value, in the order of the bar. */
export function partsList(parts) {
  const rows = ordered(parts).map(([view, value]) =>
    h(
      "div",
      { class: value < 0 ? "part minus" : "part" },
      h("dt", {}, swatch(view), label(view)),
      h("dd", {}, points(value)),
    ),
  );
  return h("dl", { class: "parts" }, ...rows);
}

/** The colour of a view; nothing for what is no single view. */
export function swatch(view) {
  if (view === "final") return null;
  return h("span", { class: `swatch ${colour(view)}`, "aria-hidden": "true" });
}
