/**
 * The state of the page as the part of the address after '#', and back.
 *
 *     #/recommend?user=1&f=genres:Comedy&w=image:1.5
 *
 * A browser does not send this part to the server, so ids of users end up in no log. Whatever does not make
 * sense is left out: anybody can write an address.
 */

export const PAGES = ["recommend", "catalogue", "item", "new"];
export const MOST_WEIGHT = 3;
const EMPTY = {
  page: "recommend",
  model: "a", // a, b, or ab: side by side
  user: "",
  picks: [], // items of a stranger
  who: "", // user or picks, if both are there
  filters: {}, // column -> values
  weights: {}, // view -> factor, 1 where not named
  seen: false, // recommend what they already have, too
  k: 20,
  q: "",
  item: "",
  across: "",
  mix: 0.5, // of look in the mixture of look and words
  why: "", // a:ITEM
  text: "", // of a new product
};
const LISTED = { picks: "h", filters: "f", weights: "w" };
const SHORT = ["model", "user", "who", "q", "item", "across", "why", "text"];

export function parse(hash) {
  const text = hash.replace(/^#\/?/, "");
  const cut = text.indexOf("?");
  const page = cut < 0 ? text : text.slice(0, cut);
  const query = new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1));
  const state = { ...EMPTY, page: PAGES.includes(page) ? page : EMPTY.page };
  for (const name of SHORT) state[name] = query.get(name) ?? EMPTY[name];
  if (!["a", "b", "ab"].includes(state.model)) state.model = EMPTY.model;
  state.picks = [...new Set(query.getAll(LISTED.picks).filter(Boolean))];
  state.filters = filtersOf(query.getAll(LISTED.filters));
  state.weights = weightsOf(query.getAll(LISTED.weights));
  state.seen = query.get("seen") === "1";
  state.k = Math.round(within(query.get("k"), 1, 1000, EMPTY.k));
  state.mix = within(query.get("mix"), 0, 1, EMPTY.mix);
  return settled(state);
}

/** The same with `who` one that is there. */
export function settled(state) {
  const other = state.user ? "user" : state.picks.length ? "picks" : "";
  const kept = state.who === "picks" || (state.who === "user" && state.user);
  return { ...state, who: kept ? state.who : other };
}

export function format(state) {
  const query = new URLSearchParams();
  for (const name of SHORT) {
    const implied = name === "who" && state.who === settled({ ...state, who: "" }).who;
    if (state[name] !== EMPTY[name] && !implied) query.set(name, state[name]);
  }
  for (const id of state.picks) query.append(LISTED.picks, id);
  for (const [column, values] of Object.entries(state.filters)) {
    for (const value of values) query.append(LISTED.filters, `${encodeURIComponent(column)}:${value}`);
  }
  for (const [view, factor] of Object.entries(state.weights)) {
    query.append(LISTED.weights, `${encodeURIComponent(view)}:${factor}`);
  }
  if (state.seen) query.set("seen", "1");
  if (state.k !== EMPTY.k) query.set("k", state.k);
  if (state.mix !== EMPTY.mix) query.set("mix", state.mix);
  const text = query.toString().replaceAll("%3A", ":");
  return `#/${state.page}${text ? `?${text}` : ""}`;
}

function filtersOf(texts) {
  const filters = {};
  for (const [column, value] of texts.map(pair)) {
    if (column && value) filters[column] = [...new Set([...(filters[column] ?? []), value])];
  }
  return filters;
}

function weightsOf(texts) {
  const weights = {};
  for (const [view, value] of texts.map(pair)) {
    const factor = within(value, 0, MOST_WEIGHT, 1);
    if (view && factor !== 1) weights[view] = factor;
  }
  return weights;
}

function pair(text) {
  const cut = text.indexOf(":");
  try {
    return cut < 0 ? ["", ""] : [decodeURIComponent(text.slice(0, cut)), text.slice(cut + 1)];
  } catch {
    return ["", ""];
  }
}

function within(text, low, high, otherwise) {
  const value = text === null || text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}
