// Cards around the amp: presets, what is played, the cabinet.

import { element } from "./dom.js";
import { spell } from "./trust.js";

const LONGEST = 2; // seconds of an impulse response

function card(id, title, ...children) {
  return element("section", { className: "card", "aria-labelledby": id }, element("h2", { id }, title), ...children);
}

/** Let a person drop a file, or choose one. */
function dropZone(root, onfile) {
  root.addEventListener("dragover", (event) => {
    event.preventDefault();
    event.stopPropagation();
    root.classList.add("over");
  });
  root.addEventListener("dragleave", () => root.classList.remove("over"));
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    root.classList.remove("over");
    if (event.dataTransfer.files.length) onfile(event.dataTransfer.files[0]);
  });
}

function fileChooser(text, onfile) {
  const input = element("input", {
    type: "file", accept: "audio/*,.wav,.flac,.aif,.aiff", className: "hidden", "aria-label": text, tabIndex: -1,
    onchange: () => {
      if (input.files.length) onfile(input.files[0]);
      input.value = "";
    },
  });
  return [element("button", { type: "button", onclick: () => input.click() }, text), input];
}

/** Presets of the package, one's own, and takes of the real amp. */
export function presetCard(player) {
  const key = `presets ${player.amp.head.identity}`, list = element("div", { className: "chips" });
  const chip = (text, title, action) => element("button", { type: "button", title, onclick: action }, text);
  const own = () => readOwn(key);
  const show = () => {
    const mine = own().map(([name, setting]) => element("span", { className: "own" },
      chip(name, spell(setting), () => player.apply(setting)),
      element("button", {
        type: "button", className: "remove", "aria-label": `Remove ${name}`,
        onclick: () => store(own().filter(([other]) => other !== name)),
      }, "×")));
    list.replaceChildren(
      chip("default", "all knobs at rest", () => player.apply(player.rest)),
      ...player.page.presets.filter((preset) => preset.id !== "default")
        .map((preset) => chip(preset.id, spell(preset.knobs), () => player.apply(preset.knobs))),
      ...mine);
  };
  const store = (presets) => {
    localStorage.setItem(key, JSON.stringify(presets));
    show();
  };
  const name = element("input", { type: "text", id: "preset-name", maxLength: 40, autocomplete: "off" });
  const keep = element("form", {
    className: "row", onsubmit: (event) => {
      event.preventDefault();
      if (!name.value.trim()) return;
      store([...own().filter(([other]) => other !== name.value.trim()), [name.value.trim(), player.setting]]);
      name.value = "";
    },
  }, element("label", { for: "preset-name" }, "Name"), name, element("button", { type: "submit" }, "Keep"));
  show();
  const takes = player.page.presets.filter((preset) => preset.dry && preset.target).map((preset) => element("button", {
    type: "button", className: "take", onclick: () => player.attempt(() => playTake(player, preset)),
  }, `Compare with the real amp at ${spell(preset.knobs)}`));
  const root = card("preset-title", "Presets", list, keep, ...takes);
  root.classList.add("presets");
  return root;
}

function readOwn(key) {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => Array.isArray(one) && typeof one[1] === "object") : [];
  } catch (error) {
    if (error instanceof SyntaxError) return []; // not written by this page
    throw error;
  }
}

async function playTake(player, preset) {
  await player.loadSource(async () => {
    const [buffer, real] = await Promise.all([player.clip(preset.dry), player.clip(preset.target)]);
    player.apply(preset.knobs);
    return { kind: "take", name: `the take at ${spell(preset.knobs)}`, buffer, real };
  }, true);
  player.choose("real");
}

/** The package's clip of a guitar, as a source. */
export async function dryClip(player) {
  return { kind: "clip", name: "the dry clip", buffer: await player.clip(player.page.dry) };
}

/** What is played: the dry clip, a file, the guitar. */
export function inputCard(player) {
  const now = element("p", { className: "now" }), devices = element("select", { id: "device", hidden: true });
  const channel = element("select", { id: "channel" }, new Option("1", "0"), new Option("2", "1"));
  const useFile = (file) => player.attempt(() => player.loadSource(async () => (
    { kind: "file", name: file.name, buffer: await player.decode(await file.arrayBuffer(), file.name) })));
  const useGuitar = () => player.attempt(async () => {
    const guitar = { kind: "guitar", name: "your guitar", device: devices.value, channel: +channel.value };
    await player.loadSource(async () => guitar, true);
    await listDevices(devices);
  });
  const warning = element("dialog", { className: "warning", "aria-labelledby": "warning-title" },
    element("h2", { id: "warning-title" }, "Headphones on?"),
    element("p", {}, "Loudspeakers feed back into a microphone or a pickup: that can become very loud. Use headphones, "
      + "or turn the volume down first."),
    element("div", { className: "row" },
      element("button", { type: "button", onclick: () => { warning.close(); useGuitar(); } }, "Play my guitar"),
      element("button", { type: "button", onclick: () => warning.close() }, "Cancel")));
  const again = () => player.source?.kind === "guitar" && useGuitar();
  devices.onchange = again;
  channel.onchange = again;
  const root = card("input-title", "Input", now,
    element("div", { className: "row" },
      element("button", {
        type: "button", onclick: () => player.attempt(() => player.loadSource(() => dryClip(player))),
      }, "Dry clip"),
      ...fileChooser("Open a file", useFile),
      element("button", { type: "button", onclick: () => warning.showModal() }, "Guitar")),
    element("div", { className: "row devices", hidden: true },
      element("label", { for: "device" }, "Device"), devices, element("label", { for: "channel" }, "Channel"), channel),
    element("p", { className: "note" }, "Or drop an audio file anywhere. Nothing leaves this machine."), warning);
  dropZone(document.body, useFile);
  const rows = root.querySelector(".devices");
  return {
    root,
    show(source) {
      now.textContent = `Plays ${source.name}${source.buffer ? `, ${source.buffer.duration.toFixed(1)} s` : ""}.`;
      rows.hidden = source.kind !== "guitar";
    },
  };
}

async function listDevices(select) {
  const found = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "audioinput");
  const chosen = select.value;
  select.replaceChildren(...found.map((device) => new Option(device.label || "input", device.deviceId)));
  select.hidden = false;
  if (found.some((device) => device.deviceId === chosen)) select.value = chosen;
}

/** The cabinet: an impulse response, or none; and how knobs move. */
export function cabinetCard(player) {
  const now = element("p", { className: "now" }, "No cabinet.");
  const none = element("button", { type: "button", disabled: true, onclick: () => use(null, "No cabinet.") }, "None");
  const use = (buffer, text) => {
    player.cabinetName = text;
    player.sound.setCabinet(buffer);
    now.textContent = text;
    none.disabled = !buffer;
    player.attempt(() => player.match());
  };
  const useFile = (file) => player.attempt(async () => {
    const buffer = await player.decode(await file.arrayBuffer(), file.name);
    if (buffer.duration > LONGEST)
      throw new Error(`${file.name} is ${buffer.duration.toFixed(1)} s long; `
        + `an impulse response has at most ${LONGEST} s.`);
    use(buffer, `Cabinet: ${file.name}.`);
  });
  const root = card("cabinet-title", "Cabinet", now,
    element("div", { className: "row" }, ...fileChooser("Open an impulse response", useFile), none),
    element("p", { className: "note" }, "Or drop one here: a WAV file of a loudspeaker."));
  dropZone(root, useFile);
  return root;
}
