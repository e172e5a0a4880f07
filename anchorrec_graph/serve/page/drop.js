/** A field for a picture: choose a file, or drop one. */

import { fill, h, newId } from "./dom.js";
import { encoders } from "./shop.js";

const KINDS = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff"];

/** `complain(text)` is told what is wrong with a file, or null. */
export function dropField(mostBytes, complain) {
  const id = newId("picture");
  const able = encoders().image;
  const input = h("input", {
    type: "file",
    id,
    accept: KINDS.join(),
    disabled: !able,
    "aria-describedby": `${id}-hint`,
  });
  const preview = h("div", { class: "preview" });
  const off = h(
    "button",
    { type: "button", class: "quiet", onclick: () => take(null) },
    "Remove the picture",
  );
  const hint = able
    ? "Choose a file, or drop one here."
    : "Pictures cannot be read here: the server was started without --encode image=….";
  const zone = h(
    "div",
    { class: "drop" },
    preview,
    h("div", {}, input, h("p", { class: "hint", id: `${id}-hint` }, hint), off),
  );
  const node = h("div", { class: "field" }, h("label", { for: id }, "Picture"), zone);
  let file = null;
  let address = "";

  function take(chosen) {
    const problem = chosen && wrong(chosen, mostBytes);
    complain(problem);
    file = problem ? null : chosen;
    if (!file) input.value = "";
    URL.revokeObjectURL(address);
    address = file ? URL.createObjectURL(file) : "";
    fill(preview, file && h("img", { src: address, alt: `Preview of ${file.name}` }));
    off.hidden = !file;
  }

  input.addEventListener("change", () => input.files.length && take(input.files[0]));
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", able && ["dragenter", "dragover"].includes(kind));
      if (kind === "drop" && able) take(event.dataTransfer.files[0] ?? null);
    });
  }
  take(null);
  return { node, input, file: () => file };
}

function wrong(file, mostBytes) {
  if (!KINDS.includes(file.type))
    return `“${file.name}” is not a picture that can be read: JPEG, PNG, WebP, GIF, BMP or TIFF.`;
  if (file.size > mostBytes)
    return `“${file.name}” is too large: pictures may have ${Math.floor(mostBytes / 2 ** 20)} MiB.`;
  return null;
}
