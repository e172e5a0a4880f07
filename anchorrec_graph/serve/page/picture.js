/** The picture of an item, or a quiet place where one would be. */

import * as api from "./api.js";
import { h } from "./dom.js";
import { images } from "./shop.js";

/** Null if this server has no pictures at all: empty places on every card would say nothing. */
export function picture(card, model, kind = "") {
  if (!images()) return null;
  if (!card.image) return placeholder(card, kind);
  const image = h("img", {
    src: api.picture(card.item_id, model),
    alt: "",
    loading: "lazy",
    decoding: "async",
  });
  const frame = h("span", { class: `picture ${kind}` }, image);
  image.addEventListener("error", () => frame.replaceWith(placeholder(card, kind)), { once: true });
  return frame;
}

function placeholder(card, kind) {
  const first = [...card.title.trim()][0] ?? "?";
  return h("span", { class: `picture none ${kind}`, "aria-hidden": "true" }, h("span", {}, first));
}
