/** The start of the page: loads what is served, and shows the part that the address names. */

import { blendSection } from "./blend.js";
import { cataloguePage, searchField } from "./catalogue.js";
import { fill, h } from "./dom.js";
import { filterSection } from "./filters.js";
import { itemPage } from "./item.js";
import { link } from "./link.js";
import { modelSwitch } from "./models.js";
import { newItemPage } from "./newitem.js";
import { plural } from "./numbers.js";
import { failure } from "./problem.js";
import { recommendPage } from "./recommend.js";
import { keys, load, model, site } from "./shop.js";
import { now, watch } from "./state.js";
import { whoSection } from "./who.js";
import { whyDialog } from "./why.js";

const MAKE = { recommend: recommendPage, catalogue: cataloguePage, item: itemPage, new: newItemPage };
const NAMES = { recommend: "Recommend", catalogue: "Catalogue", new: "New product" };
const SECTIONS = { blend: ["recommend"], filters: ["recommend", "catalogue"] }; // the pages that they act on
const STAYS = "Nothing on this page leaves your server.";
const main = document.getElementById("main");
const pages = {};
const left = {}; // page -> where one was when one left it

async function begin() {
  try {
    await load();
  } catch (error) {
    fill(main, h("h1", {}, "anchorrec"), failure(error, begin));
    return;
  }
  const parts = { who: whoSection(), blend: blendSection(), filters: filterSection() };
  fill(document.getElementById("panel"), ...Object.values(parts).map(({ node }) => node));
  const head = [
    navigation(document.getElementById("pages")),
    searchField(document.getElementById("search")),
    modelSwitch(document.getElementById("model")),
    footer(document.getElementById("foot")),
  ];
  const why = whyDialog();
  fill(main);

  function show(state, previous, how) {
    const moved =
      previous && (previous.page !== state.page || (state.page === "item" && previous.item !== state.item));
    if (moved) leave(previous);
    pages[state.page] ??= MAKE[state.page]();
    const page = pages[state.page];
    if (main.firstChild !== page.node) fill(main, page.node);
    page.update(state);
    for (const update of head) update(state);
    for (const [name, part] of Object.entries(parts)) {
      part.node.hidden = SECTIONS[name] !== undefined && !SECTIONS[name].includes(state.page);
      part.update(state);
    }
    why.update(state, how);
    document.title = `${page.name()} · anchorrec`;
    if (moved && !state.why) arrive(state, page, how);
  }

  watch(show);
  show(now(), null, "start");
}

function leave({ page }) {
  const inside = main.contains(document.activeElement) ? document.activeElement : null;
  left[page] = { top: scrollY, focused: inside };
}

/** To the top and its heading; after Back, to where one was. */
function arrive({ page }, { title }, how) {
  const before = how === "back" && page !== "item" ? left[page] : null;
  const target = before?.focused?.isConnected ? before.focused : title;
  target.focus({ preventScroll: true });
  scrollTo({ top: before?.top ?? 0, behavior: "instant" });
}

function navigation(place) {
  const names = Object.entries(NAMES).filter(([page]) => page !== "new" || !site()); // it needs the server
  const links = names.map(([page, name]) => [page, link({ page, item: "", why: "", q: "" }, {}, name)]);
  fill(place, h("ul", {}, ...links.map(([, node]) => h("li", {}, node))));
  return (state) => {
    for (const [page, node] of links) {
      if (page === state.page) node.setAttribute("aria-current", "page");
      else node.removeAttribute("aria-current");
    }
  };
}

function footer(place) {
  return (state) => {
    const { name, users, items } = model(keys(state)[0]);
    const size = `${plural(users, "user")}, ${plural(items, "item")}`;
    fill(place, h("p", {}, `${name}: ${size}. ${site() ? onSite(site()) : STAYS}`));
  };
}

function onSite({ shoppers }) {
  const some = shoppers ? ` ${plural(shoppers, "user")} can be chosen here, without their ids.` : "";
  return `All of it is computed in your browser.${some}`;
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part after '#' is the state
  main.focus();
});
begin();
