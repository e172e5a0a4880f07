/** The server's answers. Every failure is a `Problem` with a code, a sentence and the field it is about. */

import { Problem } from "./latest.js";

export { latest, Problem } from "./latest.js";

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable", "the server does not answer");
  }
  const body = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  });
  if (response.ok && body !== null) return body;
  const { code, message, field } = body?.error ?? {};
  throw new Problem(
    code ?? "internal",
    message ?? `the server answered ${response.status}`,
    field,
    response.status,
  );
}

function get(path, values, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of [value].flat()) if (one !== "" && one !== null) query.append(name, one);
  }
  return call(`${path}?${query}`, { signal });
}

function post(path, body, signal) {
  const headers = { "content-type": "application/json" };
  return call(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

export const about = () => call("api/catalog");
export const items = (values, signal) => get("api/items", values, signal);
export const item = (id, model, signal) => get(`api/items/${encodeURIComponent(id)}`, { model }, signal);
export const users = (values, signal) => get("api/users", values, signal);
export const recommend = (body, signal) => post("api/recommend", body, signal);
export const similar = (body, signal) => post("api/similar", body, signal);
export const explain = (body, signal) => post("api/explain", body, signal);

export function newItem(picture, text, query, signal) {
  const form = new FormData();
  if (picture) form.append("image", picture);
  if (text) form.append("text", text);
  form.append("query", JSON.stringify(query));
  return call("api/new-item", { method: "POST", body: form, signal });
}

export function picture(id, model) {
  return `api/items/${encodeURIComponent(id)}/image?model=${model}`;
}
