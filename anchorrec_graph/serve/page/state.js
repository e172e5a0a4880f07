/** What the page shows: one frozen object, its copy in the address, and those who want to hear of changes. */

import { format, parse, settled } from "./address.js";

const QUIET = 300; // milliseconds without change before the address follows: browsers limit how often it may
const listeners = [];
let state = Object.freeze(parse(location.hash));
let written = location.hash;
let timer = 0;

export const now = () => state;

/** `run(state, previous, how)`, with how one of "push", "replace", "back". */
export function watch(run) {
  listeners.push(run);
}

/** Change the state; a step that Back undoes, unless how is "replace". */
export function change(changes, how = "push") {
  if (how === "push") flush(); // what came before must not end up in the new entry of the history
  const next = settled({ ...state, ...changes });
  if (format(next) === format(state)) return;
  if (how === "push") write("pushState", next);
  else {
    clearTimeout(timer);
    timer = setTimeout(flush, QUIET);
  }
  tell(next, how);
}

/** The address of the state with these changes. */
export function address(changes) {
  return format(settled({ ...state, ...changes }));
}

function tell(next, how) {
  const previous = state;
  state = Object.freeze(next);
  for (const run of listeners) run(state, previous, how);
}

function write(method, next) {
  const hash = format(next);
  if (hash === written) return;
  history[method](null, "", hash);
  written = hash;
}

function flush() {
  clearTimeout(timer);
  write("replaceState", state);
}

function follow() {
  if (location.hash === written) return;
  clearTimeout(timer);
  written = location.hash;
  tell(parse(location.hash), "back");
}

addEventListener("popstate", follow);
addEventListener("hashchange", follow);
addEventListener("pagehide", flush);
