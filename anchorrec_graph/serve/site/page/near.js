/**
 * Neighbours by native features where a site has no room for the features: of every item its nearest by each
 * modality, with the cosines by all of them. What is further away is not known here.
 */

import { arrays } from "./store.js";

/** Row -> {modality: cosine} of the items nearest to one by any of `names`, or null if features are here. */
export async function nearest(model, item, names) {
  const all = await arrays(model.features);
  const known = Object.keys(all).filter((name) => name.startsWith("near/"));
  if (known.length === 0) return null;
  const modalities = known.map((name) => name.slice("near/".length));
  const found = new Map();
  for (const name of names) {
    const { values, width } = all[`near/${name}`];
    for (let place = item * width; place < (item + 1) * width; place++) {
      if (values[place] < 0) continue;
      const cosines = modalities.map((other) => [other, all[`cosine/${name}/${other}`].values[place]]);
      found.set(values[place], Object.fromEntries(cosines));
    }
  }
  return found;
}
