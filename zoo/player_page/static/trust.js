// Where the model can be trusted: its error at the settings nearest to the knobs that training did not see.

import { distance, isSetting } from "./amp_file.js";
import { element } from "./dom.js";

const NEAREST = 3;
const RANKS = [[0.02, "good"], [0.08, "fair"], [Infinity, "poor"]]; // ESR up to which a place has this color

/** Return the color class of an error. */
export function rank(esr) {
  return RANKS.find(([most]) => esr <= most)[1];
}

export function percent(esr) {
  return `${Number((100 * esr).toPrecision(2))}\u00a0%`;
}

/** Return a setting as text: `gain 7, tone 3`. */
export function spell(setting) {
  return Object.entries(setting)
    .map(([name, value]) => `${name} ${typeof value === "number" ? Number(value.toFixed(3)) : value}`)
    .join(", ");
}

/** The list of the nearest checked settings; `ongo(setting)` is called when a person chooses one. */
export class Trust {
  constructor(knobs, page, ongo) {
    this.held = page.held.filter(({ setting }) => isSetting(knobs, setting));
    Object.assign(this, { knobs, ongo });
    this.list = element("ol", { className: "held" });
    this.summary = element("p", { className: "summary" });
    const mean = page.esr === null ? "" : `Mean error over all ${this.held.length}: ${percent(page.esr)}.`;
    this.root = element("section", { className: "card trust", "aria-labelledby": "trust-title" },
      element("h2", { id: "trust-title" }, "How far to trust it"),
      this.summary, this.list,
      element("p", { className: "note" }, mean, " Error-to-signal ratio (ESR), at settings that training did not see. "
        + "The dots around the knobs mark them."));
    this.root.hidden = !this.held.length;
  }

  show(setting) {
    const near = this.held
      .map((score) => ({ ...score, apart: distance(this.knobs, setting, score.setting) }))
      .sort((one, other) => one.apart - other.apart)
      .slice(0, NEAREST);
    if (!near.length) return;
    const [first] = near, away = first.apart < 0.02 ? "here" : first.apart < 0.4 ? "close to here" : "not near here";
    const tell = {
      here: `Checked here: error ${percent(first.esr)}.`,
      "close to here": `Checked close to here: error ${percent(first.esr)}.`,
      "not near here": `Not checked near here. The nearest place has an error of ${percent(first.esr)}.`,
    };
    this.summary.textContent = tell[away];
    this.summary.className = `summary ${away === "not near here" ? "" : rank(first.esr)}`;
    const row = ({ setting: place, esr, apart }) => element("li", {},
      element("button", { type: "button", onclick: () => this.ongo(place), title: "Go to this setting" }, spell(place)),
      element("span", { className: `esr ${rank(esr)}` }, percent(esr)),
      element("span", { className: "apart" }, apart < 0.02 ? "here" : `${(apart / 2).toFixed(2)} turns away`));
    this.list.replaceChildren(...near.map(row));
  }
}
