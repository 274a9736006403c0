// A knob and a switch that one can drag, wheel, type into and move by keys.

import { drawing, element } from "./dom.js";
import { legal, LOG } from "./amp_file.js";

const TURN = 270, DRAG = 200; // degrees from end to end; pixels of a drag from end to end
const CENTER = 60;

function at(angle, radius) {
  const turn = ((angle - 90 - TURN / 2) * Math.PI) / 180;
  return [CENTER + radius * Math.cos(turn), CENTER + radius * Math.sin(turn)];
}

function arc(radius) {
  const [begin, end] = [at(0, radius), at(TURN, radius)].map((point) => point.map((v) => v.toFixed(2)).join(" "));
  return `M ${begin} A ${radius} ${radius} 0 1 1 ${end}`;
}

/** Draw the scale: a line at each tenth of the turn, the ends named, and a dot where the model was checked. */
function scale(knob, checked) {
  const parts = [];
  for (let tenth = 0; tenth <= 10; tenth++) {
    const [[x1, y1], [x2, y2]] = [at((TURN * tenth) / 10, 45), at((TURN * tenth) / 10, tenth % 5 ? 48 : 50)];
    parts.push(drawing("line", { x1, y1, x2, y2, class: "tick" }));
  }
  for (const { value, rank } of checked) {
    const [cx, cy] = at((TURN * (value - knob.min)) / (knob.max - knob.min), 54.5);
    parts.push(drawing("circle", { cx, cy, r: 1.7, class: `checked ${rank}` }));
  }
  return parts;
}

/** A knob's name as people say it. */
function spoken(knob) {
  return knob.name.replaceAll("_", " ");
}

/** Names that may take two lines make room in all of a row. */
function nameClass(knob) {
  return knob.name.length > 9 ? "name long" : "name";
}

/** A rotary knob. `onturn(value)` is called while it turns, `onhold(held)` when a hand takes it and lets it go. */
export class Dial {
  constructor(knob, checked, onturn, onhold = () => {}) {
    Object.assign(this, { knob, onturn, onhold });
    this.value = knob.rest;
    this.arc = drawing("path", { d: arc(39), class: "turned", pathLength: 100 });
    this.cap = drawing("g", {},
      drawing("circle", { cx: CENTER, cy: CENTER, r: 33, class: "skirt" }),
      drawing("path", { d: knurl(), class: "knurl" }),
      drawing("circle", { cx: CENTER, cy: CENTER, r: 24, class: "cap" }),
      drawing("path", { d: "M60 46 L60 29", class: "pointer" }));
    this.slider = drawing("svg", {
      viewBox: "0 0 120 112", role: "slider", tabindex: 0, class: "dial", "aria-label": spoken(knob),
      "aria-valuemin": knob.min, "aria-valuemax": knob.max,
    }, drawing("path", { d: arc(39), class: "track" }), this.arc, ...scale(knob, checked), this.cap,
    ...this.#ends());
    this.typed = element("input", {
      type: "text", inputmode: "decimal", className: "typed", autocomplete: "off", spellcheck: false,
      "aria-label": `${spoken(knob)}, value`, onchange: () => this.#type(), onfocus: () => this.typed.select(),
      onkeydown: (event) => event.key === "Enter" && this.#type(),
    });
    const name = element("span", { className: nameClass(knob) }, spoken(knob));
    if (knob.kind === LOG) name.title = "audio taper";
    this.root = element("div", { className: "knob" }, name, this.slider, this.typed);
    this.#listen();
    this.show(knob.rest);
  }

  #ends() {
    const text = (value, x) => drawing("text", { x, y: 108, class: "end", "text-anchor": "middle" }, value);
    const number = (value) => String(Number(value.toPrecision(4)));
    const taper = this.knob.kind === LOG ? [text("audio", CENTER)] : []; // as potentiometers are marked
    return [text(number(this.knob.min), 21), ...taper, text(number(this.knob.max), 99)];
  }

  /** Turn the knob without telling anyone. */
  show(value) {
    this.value = value;
    const turn = (value - this.knob.min) / (this.knob.max - this.knob.min), text = String(Number(value.toFixed(6)));
    const { unit } = this.knob, shown = unit ? `${text} ${unit}` : text;
    this.cap.setAttribute("transform", `rotate(${(turn - 0.5) * TURN} ${CENTER} ${CENTER})`);
    this.arc.setAttribute("stroke-dasharray", `${100 * turn} 200`);
    this.slider.setAttribute("aria-valuenow", text);
    this.slider.setAttribute("aria-valuetext", shown);
    this.typed.value = shown;
  }

  turn(value) {
    const next = legal(this.knob, value);
    if (next === this.value) return this.show(next);
    this.show(next);
    this.onturn(next);
  }

  #type() {
    const { unit } = this.knob, written = this.typed.value.trim();
    const digits = (unit && written.endsWith(unit) ? written.slice(0, -unit.length) : written).trim().replace(",", ".");
    const value = Number(digits);
    if (digits === "" || !Number.isFinite(value)) return this.show(this.value);
    const inside = Math.min(Math.max(value, this.knob.min), this.knob.max); // as typed, not in few digits
    this.show(inside);
    this.onturn(inside);
  }

  #listen() {
    const { slider, knob } = this, range = knob.max - knob.min;
    slider.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      slider.focus({ preventScroll: true });
      slider.setPointerCapture(event.pointerId);
      this.drag = { x: event.clientX, y: event.clientY, value: this.value };
      this.onhold(true);
    });
    slider.addEventListener("pointermove", (event) => {
      if (!this.drag) return;
      const moved = event.clientX - this.drag.x - (event.clientY - this.drag.y);
      this.drag.value += ((moved * range) / DRAG) * (event.shiftKey ? 0.1 : 1);
      this.drag.value = Math.min(Math.max(this.drag.value, knob.min), knob.max);
      Object.assign(this.drag, { x: event.clientX, y: event.clientY });
      this.turn(this.drag.value);
    });
    const release = () => {
      if (this.drag) this.onhold(false);
      this.drag = null;
    };
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) slider.addEventListener(name, release);
    slider.addEventListener("dblclick", () => this.turn(knob.rest));
    slider.addEventListener("wheel", (event) => {
      event.preventDefault();
      const step = knob.step || range / (event.shiftKey ? 500 : 50);
      this.turn(this.value - Math.sign(event.deltaY || event.deltaX) * step);
    }, { passive: false });
    slider.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const { knob } = this, range = knob.max - knob.min, step = knob.step || range / 100;
    const moves = {
      ArrowUp: step, ArrowRight: step, ArrowDown: -step, ArrowLeft: -step,
      PageUp: Math.max(step, range / 10), PageDown: -Math.max(step, range / 10),
    };
    const places = { Home: knob.min, End: knob.max, Delete: knob.rest, Backspace: knob.rest };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (Object.hasOwn(moves, event.key)) this.turn(this.value + moves[event.key] * (event.shiftKey ? 0.1 : 1));
    else if (Object.hasOwn(places, event.key)) this.turn(places[event.key]);
    else if (/^[-\d.]$/.test(event.key)) {
      this.typed.focus();
      this.typed.value = "";
      return; // the digit goes into the field
    } else return;
    event.preventDefault();
  }
}

/** The edge of a cap: forty small waves. */
function knurl() {
  const points = [];
  for (let n = 0; n < 80; n++) {
    const angle = (n * Math.PI) / 40, radius = n % 2 ? 31 : 29.4;
    points.push(`${(CENTER + radius * Math.cos(angle)).toFixed(2)} ${(CENTER + radius * Math.sin(angle)).toFixed(2)}`);
  }
  return `M${points.join("L")}Z`;
}

/** A switch: its positions, one chosen. It has the face of `Dial`. */
export class Selector {
  constructor(knob, onturn) {
    Object.assign(this, { knob, onturn });
    const group = `switch-${Math.random().toString(36).slice(2)}`;
    this.choices = knob.positions.map((position) => element("input", {
      type: "radio", name: group, value: position, onchange: () => this.turn(position),
    }));
    const rows = this.choices.map((choice, n) => element("label", {}, choice, element("span", {}, knob.positions[n])));
    this.root = element("fieldset", { className: "knob switch" },
      element("legend", { className: nameClass(knob) }, spoken(knob)),
      element("div", { className: "positions" }, ...rows));
    this.show(knob.positions[knob.rest]);
  }

  show(position) {
    this.value = position;
    this.knob.positions.forEach((name, n) => { this.choices[n].checked = name === position; });
  }

  turn(position) {
    this.show(position);
    this.onturn(position);
  }
}
