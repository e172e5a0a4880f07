/** What an item's columns say, in a line or in a list. */

import { columns } from "./shop.js";

/** A value as a list of texts; parts of a category are joined by '|' in the table. */
export function values(column, value) {
  if (value === null || value === undefined || value === "") return [];
  if (Array.isArray(value)) return value.map(String);
  return column.kind === "category" ? String(value).split("|") : [String(value)];
}

/** For a card: categories as they are, numbers with the name of their column. */
export function line(card, most = 4) {
  const found = [];
  for (const column of columns()) {
    const own = values(column, card.fields[column.name]);
    if (own.length === 0 || column.kind === "text") continue;
    found.push(column.kind === "number" && column.name !== "year" ? `${column.name} ${own}` : own.join(", "));
  }
  return found.slice(0, most).join(" · ");
}

/** For the page of an item: every column that has a value, [name, texts]. */
export function table(card) {
  return columns()
    .map((column) => [column.name, values(column, card.fields[column.name])])
    .filter(([name, own]) => own.length > 0 && name !== "title");
}
