/** What went wrong, or why there is nothing to see, and what can be done about it. */

import { h } from "./dom.js";
import { say } from "./say.js";
import { site } from "./shop.js";
import { change, now } from "./state.js";

/** What a page can say better than the server, which speaks to programs. */
const WHAT = {
  unknown_user: "The data has no such user.",
  unknown_item: "The data has no such item.",
  unauthorized: "This server answers only to those who have its token.",
};
const ADVICE = {
  unreachable: "Is it still running? Start it with “anchorrec serve”, then try again.",
  unknown_user: "Type a part of an id and choose one from the list.",
  unknown_item: "It may be gone since this address was made. Search for another one.",
  unknown_column: "The data has no such column: take the filter off.",
  too_large: "Send less.",
  unsupported: "Another model may be able to do it.",
  unauthorized: "Open the address with ?token=… that the server's owner gave you, once.",
  overloaded: "Wait a moment, then try again.",
  internal: "The server's log has the reason.",
};
const ON_SITE = {
  unknown_user: ["This site has no such shopper.", "Choose one from the list."],
  unknown_item: ["This site has no such item.", ADVICE.unknown_item],
};
const LASTING = ["unknown_user", "unknown_item", "unknown_column", "invalid", "unsupported", "too_large"];

/** An error as a box with its message, advice and a button or two. */
export function failure(error, again) {
  const known = [WHAT[error.code] ?? sentence(error.message), ADVICE[error.code]];
  const [what, advice] = (site() && ON_SITE[error.code]) || known;
  const retry = !LASTING.includes(error.code) && h("button", { type: "button", onclick: again }, "Try again");
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", { class: "what" }, what),
    advice && h("p", {}, advice),
    h("div", { class: "actions" }, ...remedies(error), retry),
  );
}

/** Nothing to show, and no error. */
export function nothing(what, advice, ...actions) {
  say(`${what} ${advice}`);
  return h(
    "div",
    { class: "problem empty" },
    h("p", { class: "what" }, what),
    advice && h("p", {}, advice),
    actions.length > 0 && h("div", { class: "actions" }, ...actions),
  );
}

export function button(text, changes) {
  return h("button", { type: "button", onclick: () => change(changes) }, text);
}

function remedies(error) {
  const { picks, filters, weights } = now();
  const place = /^history\.(\d+)$/.exec(error.field ?? "");
  const unknown = place && picks[Number(place[1])];
  const found = error.code === "unknown_user" ? [button("Choose nobody", { user: "", who: "" })] : [];
  if (unknown)
    found.push(button(`Take “${unknown}” off the picks`, { picks: picks.filter((id) => id !== unknown) }));
  const filtered = Object.keys(filters).length > 0 && ["invalid", "unknown_column"].includes(error.code);
  if (filtered) found.push(button("Remove all filters", { filters: {} }));
  const weighted = Object.keys(weights).length > 0 && error.code === "invalid";
  if (weighted) found.push(button("Blend as trained", { weights: {} }));
  return found;
}

/** A message of the server as a sentence. */
export function sentence(text) {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!…]$/.test(first) ? first : `${first}.`;
}
