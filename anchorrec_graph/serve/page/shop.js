/** What the server serves, as /api/catalog tells it, and the words and colours for it. */

import * as api from "./api.js";

const COLOURED = ["id", "history", "image", "text", "fused", "popularity"];
const OTHERS = 2; // colours for views that have none of their own

let served = null;

export async function load() {
  served = await api.about();
}

export const models = () => served.models;
export const limits = () => served.limits;
export const images = () => served.images;
export const encoders = () => served.encoders;
export const columns = () => served.columns;

/**
 * {shoppers, near} of a site of files, which no server stands behind and which names no user; else null. With
 * `near` it knows only that many neighbours of each item by look and by words.
 */
export const site = () => served?.site ?? null;

/** What one of the data's users is called. */
export const person = () => (site() ? "shopper" : "user");

export const Person = () => (site() ? "Shopper" : "User");

/** The model by key, or the first one: an address may name one that is not served. */
export function model(key) {
  return served.models.find((one) => one.key === key) ?? served.models[0];
}

/** The keys that a state shows: one, or two side by side. */
export function keys(state) {
  if (state.model === "ab" && served.models.length > 1) return served.models.map((one) => one.key);
  return [model(state.model).key];
}

export const short = (key) => key.toUpperCase();

/** A view's name for people. */
export function label(view) {
  if (view === "final") return "whole model";
  for (const one of served.models) {
    const found = one.views.find(({ name }) => name === view);
    if (found) return found.label;
  }
  return { image: "look", text: "words" }[view] ?? view;
}

/** The class that gives a view its colour. */
export function colour(view) {
  if (COLOURED.includes(view)) return `view-${view}`;
  const all = served.models.flatMap((one) => one.views.map(({ name }) => name));
  const others = [...new Set(all)].filter((name) => !COLOURED.includes(name));
  return `view-other-${Math.max(0, others.indexOf(view)) % OTHERS}`;
}

/** The views of the models that a state shows, in the order of the first. */
export function views(state) {
  const names = keys(state).flatMap((key) => model(key).views.map(({ name }) => name));
  return [...new Set(names)];
}

/** Columns that a filter can be put on by hand. */
export function filterable() {
  return served.columns.filter(
    ({ kind, values }) => kind === "number" || (kind === "category" && values.length > 1),
  );
}
