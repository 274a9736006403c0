// The page of one amp: its knobs, and all that they act on.

import { complete, defaults, faceplate, readAmp, SWITCH } from "./amp_file.js";
import { cabinetCard, dryClip, inputCard, presetCard } from "./cards.js";
import { Dial, Selector } from "./dial.js";
import { element, save } from "./dom.js";
import { checkAmp, loadEngine } from "./engine.js";
import { makeLink, readLink } from "./link.js";
import { loudness, render, wavFile } from "./render.js";
import { Sound } from "./sound.js";
import { Spectrum } from "./spectrum.js";
import { percent, rank, Trust } from "./trust.js";
import { hearing, meters, statusLine, volumeSlider } from "./strip.js";

const HOP = 0.02; // seconds of a crossfade of exact moves
const BUDGET = 0.5; // of a core, that exact moves may take
const REST = 500; // ms after a turn of a knob in which the engine may still be busy with it
const QUIET = -90; // dB below which nothing is made louder
const PEAK = 0.98; // the highest sample that equal loudness makes

export class Player {
  constructor(amp, page, fetchFile) {
    Object.assign(this, { amp, page, fetchFile, knobs: amp.head.knobs, buffers: new Map(), levels: new Map() });
    const rest = defaults(this.knobs);
    const linked = complete(this.knobs, readLink(location.hash), rest);
    this.rest = rest;
    this.slots = { A: linked, B: { ...linked } };
    this.slot = "A"; // whose knobs are shown
    this.choice = "A"; // what is heard: A, B, dry or real
    this.matched = true;
    this.gain = 1; // that makes the choice as loud as A
    this.sound = new Sound(amp, (report) => this.meters.report(report),
      (error) => this.status.say(error.message, "poor"));
    this.sound.turn(faceplate(this.knobs, linked));
  }

  get setting() {
    return this.slots[this.slot];
  }

  /** Decode bytes of an audio file at the amp's rate. */
  async decode(bytes, name) {
    try {
      return await new OfflineAudioContext(1, 1, this.amp.head.sampleRate).decodeAudioData(bytes);
    } catch {
      throw new Error(`${name} is not audio that this browser reads; WAV and FLAC are.`);
    }
  }

  /** Return a clip of the package, decoded once. */
  async clip(name) {
    if (!this.buffers.has(name)) this.buffers.set(name, this.fetchFile(name).then((b) => this.decode(b, name)));
    return this.buffers.get(name);
  }

  /** Do what a person asked for; what goes wrong is said in the status line. */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      this.status.say(error.message, "poor");
    }
  }

  // Knobs

  /** A knob was turned by hand. */
  turned(name, value) {
    this.slots[this.slot] = { ...this.setting, [name]: value };
    if (this.choice !== this.slot) this.choose(this.slot);
    this.applied();
  }

  /** Put all knobs to a setting. */
  apply(setting) {
    this.slots[this.slot] = complete(this.knobs, setting, this.rest);
    this.applied();
  }

  applied() {
    const setting = this.setting;
    this.turnedAt = performance.now();
    this.knobs.forEach((knob, n) => this.controls[n].show(setting[knob.name]));
    this.sound.turn(faceplate(this.knobs, setting));
    this.trust.show(setting);
    this.hearing.show(this.choice, this.source);
    clearTimeout(this.linking);
    this.linking = setTimeout(() => history.replaceState(null, "", location.search + makeLink(setting)), 150);
  }

  /** The audio thread took this share of a core: where exact moves would take too much, knobs ramp. */
  loaded(load) {
    if (performance.now() - this.turnedAt < REST) return;
    this.load = this.load === undefined ? load : this.load + 0.1 * (load - this.load);
    this.reports = (this.reports ?? 0) + 1;
    const field = this.amp.head.receptiveField / this.amp.head.sampleRate, cost = this.load * (4 + field / HOP);
    if (!this.sound.exact || this.reports < 20 || cost < BUDGET) return;
    this.setExact(false);
    this.status.say(`Exact knob moves would take ${Math.round(100 * cost)} % of a core here: knobs ramp.`);
  }

  setExact(exact) {
    this.reports = 0;
    this.sound.setExact(exact);
    this.exactTick.checked = exact;
  }

  // Sources

  /** Use a source: `{kind, name, buffer, real, setting}`; play it on if something plays. */
  async use(source, start = this.sound.playing) {
    this.source = source;
    if (this.choice === "real" && !source.real) this.choose(this.slot);
    this.hearing.show(this.choice, source);
    this.input.show(source);
    if (start) await this.start();
  }

  /** Make a source and use it, unless another one is asked for meanwhile. */
  loadSource(make, start) {
    const loading = make().then((source) => (this.loading === loading ? this.use(source, start) : undefined));
    this.loading = loading;
    return loading;
  }

  /** The source, once there is one. */
  async sourceNow() {
    while (!this.source) await this.loading;
    return this.source;
  }

  async start() {
    if (!this.source) this.status.say("Loading ...");
    const source = await this.sourceNow();
    if (source.kind === "guitar") {
      const { latency } = await this.sound.playInput(source.device, source.channel);
      this.status.say(`Your guitar sounds. About ${Math.round(1000 * latency)} ms from the string to your ear.`);
    } else {
      await this.sound.play(source.buffer, source.real);
      this.status.say(`Playing ${source.name}.`);
    }
    this.playButton.show(true);
    requestAnimationFrame(() => this.frame());
  }

  async toggle() {
    if (!this.sound.playing) return this.start();
    this.sound.stop();
    this.playButton.show(false);
    this.status.say("Stopped.");
  }

  frame(count = 0) {
    if (!this.sound.playing) return this.meters.rest();
    if (count % 2) { // thirty pictures a second
      this.spectrum.take(this.sound.analyser);
      this.spectrum.draw();
      this.meters.draw(this.sound.analyser);
    }
    requestAnimationFrame(() => this.frame(count + 1));
  }

  // What is heard

  /** Hear A, B, the dry sound or the real amp, each as loud as A. */
  choose(choice) {
    if (choice === "real" && !this.source?.real) return;
    this.choice = choice;
    if (choice === "A" || choice === "B") this.slot = choice;
    this.applied();
    this.attempt(() => this.match());
  }

  setMatched(matched) {
    this.matched = matched;
    this.attempt(() => this.match());
  }

  /** Hear the choice at once as it is, and as loud as A when that is known. */
  match() {
    this.gain = 1;
    this.hear();
    this.matching = this.matched && this.choice !== "A" ? this.#matchTo(this.choice) : Promise.resolve();
    return this.matching;
  }

  async #matchTo(choice) {
    const asked = (this.asked = Symbol());
    const [wanted, found] = await Promise.all([this.#loudness("A"), this.#loudness(choice)]);
    if (this.asked !== asked || this.choice !== choice || !this.matched) return; // asked for something else by now
    if (Math.min(wanted.level, found.level) > QUIET)
      this.gain = Math.min(10 ** ((wanted.level - found.level) / 20), Math.max(1, PEAK / found.peak));
    this.hear();
  }

  hear() {
    const { choice, gain } = this, model = choice === "A" || choice === "B";
    this.sound.hear({ model: model ? gain : 0, dry: choice === "dry" ? gain : 0, real: choice === "real" ? gain : 0 });
  }

  /** How a choice is rendered: from which buffer and with which knobs. */
  async #how(choice) {
    const source = await this.sourceNow();
    const buffer = source.kind === "guitar" ? await this.clip(this.page.dry) : source.buffer;
    const values = choice === "A" || choice === "B" ? faceplate(this.knobs, this.slots[choice]) : null;
    return { buffer: choice === "real" ? source.real : buffer, values, cabinet: this.sound.cabinet };
  }

  async #loudness(choice) {
    const { buffer, ...how } = await this.#how(choice);
    const key = JSON.stringify([this.source.name, choice === "real", how.values, this.cabinetName]);
    if (!this.levels.has(key)) this.levels.set(key, loudness(this.amp, buffer, how));
    return this.levels.get(key);
  }

  // Files

  fileName() {
    const name = this.page.name.split("/").pop().replace(/[^\w.-]/g, "_");
    if (this.choice === "dry" || this.choice === "real") return `${name}-${this.choice}.wav`;
    return `${[name, ...Object.entries(this.setting).map(([knob, value]) => `${knob}${value}`)].join("-")}.wav`;
  }

  /** Save what is heard: a clip or a file from its beginning to its end. */
  async saveSound() {
    if (this.source?.kind === "guitar") throw new Error("Record your guitar with the button Record.");
    this.status.say("Rendering ...");
    await this.matching;
    const { buffer, ...how } = await this.#how(this.choice);
    const made = await render(this.amp, buffer, { ...how, gain: this.gain * this.sound.volume });
    save(this.fileName(), wavFile([made.getChannelData(0)], made.sampleRate));
    this.status.say("Saved.");
  }

  record(button) {
    if (this.recording) {
      const channels = this.recording();
      this.recording = null;
      button.textContent = "Record";
      button.setAttribute("aria-pressed", "false");
      save(this.fileName(), wavFile(channels, this.amp.head.sampleRate));
      return this.status.say(`Saved ${(channels[0].length / this.amp.head.sampleRate).toFixed(1)} s.`);
    }
    if (!this.sound.playing) throw new Error("Play something first.");
    this.recording = this.sound.record();
    button.textContent = "Stop and save";
    button.setAttribute("aria-pressed", "true");
  }

  async copyLink() {
    const link = location.href.split("#")[0] + makeLink(this.setting);
    const copied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
    this.status.say(copied ? "The address of this setting is copied."
      : "This browser does not let pages copy: copy the address from its bar.");
  }
}

/** Where each held setting has a knob: one dot per value, colored by the mean error there. */
function checkedValues(knob, held) {
  const errors = new Map();
  for (const { setting, esr } of held) {
    if (!errors.has(setting[knob.name])) errors.set(setting[knob.name], []);
    errors.get(setting[knob.name]).push(esr);
  }
  return [...errors].map(([value, all]) => ({ value, rank: rank(all.reduce((a, b) => a + b) / all.length) }));
}

function playButton(player) {
  const button = element("button", {
    type: "button", className: "play", onclick: () => player.attempt(() => player.toggle()),
  }, "Play");
  const show = (playing) => {
    button.textContent = playing ? "Stop" : "Play";
    button.classList.toggle("on", playing);
  };
  return { root: button, show };
}

function faceplatePanel(player) {
  const { knobs, page } = player;
  player.controls = knobs.map((knob) => knob.kind === SWITCH
    ? new Selector(knob, (value) => player.turned(knob.name, value))
    : new Dial(knob, checkedValues(knob, player.trust.held), (value) => player.turned(knob.name, value),
      (held) => player.spectrum.hold(held)));
  player.playButton = playButton(player);
  player.hearing = hearing(player);
  player.meters = meters(player);
  return element("section", { className: "amp", "aria-label": "Amp" },
    element("div", { className: "face" },
      element("div", { className: "badge" },
        element("h1", { className: "logo" }, page.name.split("/").pop()), element("span", { className: "lamp" })),
      element("div", { className: "knobs" }, ...player.controls.map((control) => control.root))),
    element("div", { className: "strip" },
      player.playButton.root, player.hearing.root, volumeSlider(player), player.meters.root));
}

function soundCard(player) {
  const canvas = element("canvas", { className: "spectrum", role: "img", "aria-label": "Spectrum of what is heard" });
  player.spectrum = new Spectrum(canvas);
  new ResizeObserver(() => player.spectrum.draw()).observe(canvas);
  const button = (text, action) => element("button", {
    type: "button", onclick: (event) => player.attempt(() => action(event.currentTarget)),
  }, text);
  player.exactTick = element("input", {
    type: "checkbox", checked: true, onchange: () => player.setExact(player.exactTick.checked),
  });
  const exact = element("label", {
    className: "check",
    title: "Crossfades between still sounds: a moving knob adds no noise, and takes more of the CPU",
  }, player.exactTick, " exact knob moves");
  return element("section", { className: "card wide", "aria-labelledby": "sound-title" },
    element("h2", { id: "sound-title" }, "Sound"), canvas,
    element("div", { className: "row" },
      button("Save WAV", () => player.saveSound()), button("Record", (made) => player.record(made)),
      button("Copy link", () => player.copyLink()), exact));
}

function facts(page) {
  const parts = [page.license, page.esr === null ? "" : `error ${percent(page.esr)}`,
    page.parameters === null ? "" : `${page.parameters.toLocaleString("en")} parameters`,
    page.revision ? `revision ${page.revision.slice(0, 12)}` : ""];
  return parts.filter(Boolean).join(" · ");
}

/** Fetch an amp and show its page; `fetchFile(name)` returns the bytes of a file of the amp. */
export async function showPlayer(root, page, fetchFile, fromShelf) {
  const [module, bytes] = await Promise.all([loadEngine(), fetchFile("amp.bin")]);
  checkAmp(module, bytes);
  const player = new Player({ module, bytes, head: readAmp(bytes) }, page, fetchFile);
  player.status = statusLine();
  player.trust = new Trust(player.knobs, page, (setting) => player.apply(setting));
  const amp = faceplatePanel(player);
  const presets = presetCard(player);
  const sound = soundCard(player);
  player.input = inputCard(player);
  document.title = page.name;
  root.className = "player-page";
  root.replaceChildren(
    element("header", { className: "top" },
      fromShelf ? element("a", { href: "./" }, "All amps") : "",
      page.name.includes("/") ? element("p", { className: "owner" }, page.name) : "",
      element("p", { className: "note" }, facts(page))),
    amp, player.status.root,
    element("div", { className: "cards" }, sound, player.trust.root, presets, player.input.root, cabinetCard(player)));
  player.applied();
  addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.matches("body, .dial")) return;
    event.preventDefault();
    player.attempt(() => player.toggle());
  });
  addEventListener("hashchange", () => player.apply(readLink(location.hash)));
  await player.loadSource(() => dryClip(player));
  document.documentElement.dataset.ready = "yes";
}
