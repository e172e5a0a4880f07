/** Numbers as people read them. */

const MINUS = "\u2212";

/** A part of a score: two decimals, a real minus sign, and 0.00 only for nothing at all. */
export function points(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size > 0 && size < 0.005) return value < 0 ? `>${MINUS}0.01` : "<0.01";
  return (value < 0 ? MINUS : "") + (size < 1000 ? size.toFixed(2) : size.toPrecision(3));
}

export function percent(share) {
  if (share === null || share === undefined) return "–";
  const rounded = Math.round(share * 100);
  return `${rounded < 0 ? MINUS : ""}${Math.abs(rounded)} %`;
}

export function count(number) {
  return number.toLocaleString("en");
}

/** `plural(1, "item")` is "1 item", `plural(3, "item")` "3 items". */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
