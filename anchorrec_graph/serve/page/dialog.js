/** A dialog: the browser keeps the focus inside; when it closes, the focus goes back to what opened it. */

import { fill, h, newId } from "./dom.js";

/** `onclose` runs however it is closed. */
export function dialog(onclose) {
  const name = newId("dialog");
  const heading = h("h2", { id: name, tabindex: "-1" });
  const body = h("div", { class: "dialog-body" });
  const close = h(
    "button",
    { type: "button", class: "close", "aria-label": "Close", onclick: () => node.close() },
    "×",
  );
  const node = h(
    "dialog",
    { "aria-labelledby": name },
    h("div", { class: "dialog-head" }, heading, close),
    body,
  );
  let opener = null;

  node.addEventListener("click", (event) => {
    if (event.target === node) node.close(); // outside of the box
  });
  node.addEventListener("close", () => {
    onclose?.();
    if (opener?.isConnected) opener.focus();
    else document.getElementById("main").focus();
    opener = null;
  });
  document.body.append(node);

  function open(title, ...content) {
    fill(heading, ...[title].flat());
    fill(body, ...content);
    if (node.open) return;
    opener = document.activeElement === document.body ? null : document.activeElement;
    node.showModal();
    heading.focus();
  }

  return { node, body, open, close: () => node.open && node.close() };
}
