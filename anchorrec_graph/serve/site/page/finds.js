/** Which items pass filters, share a value, or are called something. */

import { Problem } from "./latest.js";
import { cardOf, known } from "./store.js";

/** The value of an item in a column, or undefined if there is no such column. */
function valueOf(card, column) {
  if (column === "item_id" || column === "title") return card[column];
  return card.fields[column];
}

function check(column) {
  const named = ["item_id", ...known().columns.map(({ name }) => name)];
  if (!named.includes(column)) {
    throw new Problem("unknown_column", `filter: unknown item column '${column}'`, "filters");
  }
}

/** What an item has in a column, part by part: a number, or texts. */
function partsOf(card, column) {
  const texts = known().terms[column];
  if (texts) return texts[card.row] ?? [];
  const value = valueOf(card, column);
  if (value === null || value === undefined) return [];
  return typeof value === "string" ? value.split("|") : [typeof value === "number" ? value : String(value)];
}

/** Whether an item has the value in a column, or a part of it; numbers are compared as numbers. */
function has(card, column, wanted) {
  const whole = valueOf(card, column);
  if (typeof whole === "number") return whole === Number(wanted);
  if (typeof whole === "boolean") return String(whole) === wanted.toLowerCase();
  return whole === wanted || partsOf(card, column).includes(wanted);
}

/** The rows that pass every filter, as a function of the row. */
export function allowed(filters) {
  const sets = Object.entries(filters).map(([column, values]) => {
    check(column);
    const passing = new Set();
    for (const value of values) {
      const found = known().cards.filter((card) => has(card, column, value));
      if (found.length === 0)
        throw new Problem("invalid", `filter: no item has ${column} '${value}'`, "filters");
      for (const { row } of found) passing.add(row);
    }
    return passing;
  });
  return (row) => sets.every((passing) => passing.has(row));
}

/** Whether another item shares a value of this item in a column. */
export function sharing(row, column) {
  check(column);
  const own = new Set(partsOf(known().cards[row], column));
  return (other) => partsOf(known().cards[other], column).some((part) => own.has(part));
}

/**
 * Items whose title or id has every word: first those that are the text, then those that begin with it, then
 * those that hold it as it is.
 */
export function search(text, filters, limit, offset) {
  const whole = text.toLowerCase().split(/\s+/).filter(Boolean).join(" ");
  const words = whole.split(" ").filter(Boolean);
  const passes = allowed(filters);
  const found = known().cards.filter((card) => {
    const names = lower(card);
    return passes(card.row) && words.every((word) => names.some((name) => name.includes(word)));
  });
  if (whole) {
    const places = new Map(found.map((card) => [card, placeOf(lower(card), whole)]));
    found.sort((a, b) => places.get(a) - places.get(b) || a.row - b.row);
  }
  return { total: found.length, items: found.slice(offset, offset + limit).map(({ row }) => cardOf(row)) };
}

function lower(card) {
  card.lower ??= [card.title.toLowerCase(), card.item_id.toLowerCase()];
  return card.lower;
}

function placeOf([title, id], whole) {
  if (title === whole || id === whole) return 0;
  if (title.startsWith(whole)) return 1;
  return title.includes(whole) ? 2 : 3;
}

/** Shoppers whose number holds the text; those that begin with it stand first. */
export function shoppers(text, limit) {
  const all = Array.from({ length: known().site.shoppers }, (_, place) => String(place + 1));
  const wanted = text
    .trim()
    .toLowerCase()
    .replace(/^shopper\s*/, "");
  const place = (name) => (name === wanted ? 0 : name.startsWith(wanted) ? 1 : 2);
  const found = all.filter((name) => name.includes(wanted));
  if (wanted) found.sort((a, b) => place(a) - place(b) || Number(a) - Number(b));
  return { total: found.length, users: found.slice(0, limit) };
}
