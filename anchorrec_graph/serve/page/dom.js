/** Makes elements. Text only ever becomes text: nothing here, or anywhere on the page, parses HTML. */

/**
 * `h("a", {href, class, onclick}, "text", node)`. Values that are null or false leave an attribute out;
 * functions become listeners; children that are null or false are left out.
 */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (name === "checked" || name === "value" || name === "disabled") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...kept(children));
  return node;
}

/** The children of a node, anew. */
export function fill(node, ...children) {
  node.replaceChildren(...kept(children));
  return node;
}

function kept(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== false);
}

let made = 0;

/** An id that no other element has. */
export function newId(what) {
  made += 1;
  return `${what}-${made}`;
}

/** Sizes that data decides are set on the element's own style object, which the content policy allows. */
export function size(node, values) {
  for (const [name, value] of Object.entries(values)) node.style.setProperty(name, value);
  return node;
}

/** `run` once the calls have paused for so many milliseconds. */
export function paused(run, milliseconds) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...values), milliseconds);
  };
}
