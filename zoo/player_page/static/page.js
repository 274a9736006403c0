// Opens the page: one amp, or the shelf. Errors become one sentence.

import { element } from "./dom.js";
import { fetchBytes, fetchChecked } from "./engine.js";

const root = document.getElementById("page");

/** Return a JSON file of this page. */
async function fetchDocument(name) {
  return JSON.parse(new TextDecoder().decode(await fetchBytes(name)));
}

/** Return the folder of an amp; its name becomes no other path. */
function folderOf(name) {
  return `amps/${name.split("/").map(encodeURIComponent).join("/")}/`;
}

async function open() {
  const site = await fetchDocument("site.json");
  const wanted = new URLSearchParams(location.search).get("amp");
  const row = site.single ? site.amps[0] : site.amps.find(({ name }) => name === wanted);
  if (!row) {
    const { showShelf } = await import("./shelf.js");
    return showShelf(root, site, wanted);
  }
  const { source } = site, own = folderOf(row.name);
  const [{ showPlayer }, page] = await Promise.all([import("./player.js"), fetchDocument(`${own}amp.json`)]);
  const fetchFile = (name) => source && Object.hasOwn(source.files, name)
    ? fetchChecked(source.base + name, source.files[name])
    : fetchBytes(own + name);
  await showPlayer(root, page, fetchFile, !site.single);
}

open()
  .catch((error) => root.replaceChildren(element("p", { className: "notice", role: "alert" }, error.message)))
  .finally(() => root.removeAttribute("aria-busy"));
