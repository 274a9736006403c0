// The shelf: amps to choose from.

import { element } from "./dom.js";
import { percent, rank } from "./trust.js";

function row(amp) {
  const facts = [amp.kind.replace("_", " "), ...amp.tone, amp.license].filter(Boolean).join(" · ");
  return element("li", {},
    element("a", { href: `?${new URLSearchParams({ amp: amp.name })}` },
      element("span", { className: "title" }, amp.name),
      element("span", { className: "facts" }, facts),
      element("span", { className: "knobs" }, ...amp.knobs.map((name) => element("span", {}, name))),
      amp.esr === null ? "" : element("span", { className: `esr ${rank(amp.esr)}` }, `error ${percent(amp.esr)}`)));
}

/** Show the amps of a site; `missing` is the name of one that was asked for and is not there. */
export function showShelf(root, site, missing) {
  const list = element("ul", { className: "shelf" }), count = element("p", { className: "note", role: "status" });
  const search = element("input", {
    type: "search", id: "search", placeholder: "name, knob, tone", autocomplete: "off", oninput: () => show(),
  });
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (amp) => [amp.name, amp.kind, amp.license, ...amp.tone, ...amp.knobs].join(" ").toLowerCase();
    const found = site.amps.filter((amp) => words.every((word) => text(amp).includes(word)));
    list.replaceChildren(...found.map(row));
    const all = `${site.amps.length} ${site.amps.length === 1 ? "amp" : "amps"}`;
    count.textContent = words.length ? `${found.length} of ${all}` : all;
  };
  document.title = "Amps";
  root.className = "shelf-page";
  root.replaceChildren(
    element("header", { className: "top" }, element("h1", {}, "Amps"), element("p", { className: "note" }, site.label)),
    missing ? element("p", { className: "notice", role: "alert" }, `There is no amp ${missing} here.`) : "",
    element("div", { className: "search" }, element("label", { for: "search" }, "Search"), search),
    count, list);
  show();
}
