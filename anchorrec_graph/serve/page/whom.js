/** For whom: the words for it, and how the server is asked. */

import { plural } from "./numbers.js";
import { person } from "./shop.js";

/** `{user}` or `{history}` for the server, or null if nobody is chosen. */
export function asked(state) {
  if (state.who === "user") return { user: state.user };
  return state.who === "picks" && state.picks.length > 0 ? { history: state.picks } : null;
}

/** The same in few words. */
export function briefly(state) {
  return state.who === "user" ? `${person()} ${state.user}` : plural(state.picks.length, "picked item");
}

export function named(state) {
  if (state.who === "user") return `${person()} ${state.user}`;
  return `someone with ${plural(state.picks.length, "picked item")}`;
}
