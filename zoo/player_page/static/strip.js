// The strip below the knobs: what is heard, how loud, meters, and the line that says what happens.

import { element } from "./dom.js";

const CHOICES = [["A", "A"], ["B", "B"], ["dry", "Bypass"], ["real", "Real amp"]];
const LOWEST = -60; // dB at the left end of a meter
const FALL = 0.85; // of a meter from picture to picture

/** Choose what is heard: A, B, the sound without the amp, the real amp. */
export function hearing(player) {
  const choices = CHOICES.map(([value, text]) => {
    const input = element("input", { type: "radio", name: "hear", value, onchange: () => player.choose(value) });
    return { value, input, label: element("label", {}, input, element("span", {}, text)) };
  });
  const matched = element("input", {
    type: "checkbox", checked: true, onchange: () => player.setMatched(matched.checked),
  });
  const root = element("fieldset", { className: "hear" }, element("legend", {}, "Hear"),
    element("div", { className: "choices" }, ...choices.map(({ label }) => label)),
    element("label", { className: "check", title: "Bypass, B and the real amp become as loud as A" }, matched,
      " equally loud"));
  const show = (choice, source) => {
    for (const { value, input, label } of choices) {
      input.checked = value === choice;
      input.disabled = value === "real" && !source?.real;
      label.hidden = value === "real" && !player.page.presets.some((preset) => preset.target);
      if (value === "real") label.title = "Choose a take of the real amp at the presets first.";
    }
  };
  return { root, show };
}

export function volumeSlider(player) {
  const shown = element("output", {}, "0 dB");
  const input = element("input", {
    type: "range", id: "volume", min: -40, max: 6, step: 0.5, value: 0,
    oninput: () => {
      shown.textContent = `${input.value} dB`;
      input.setAttribute("aria-valuetext", shown.textContent);
      player.sound.setVolume(10 ** (input.value / 20));
    },
  });
  return element("div", { className: "volume" }, element("label", { for: "volume" }, "Volume"), input, shown);
}

function decibels(peak) {
  return peak > 0 ? 20 * Math.log10(peak) : -Infinity;
}

function meter(name) {
  const bar = element("span", { className: "bar" });
  const root = element("div", {
    className: "meter", role: "meter", "aria-label": name, "aria-valuemin": LOWEST, "aria-valuemax": 0,
    "aria-valuenow": LOWEST,
  }, bar);
  let held = 0;
  const show = (peak) => {
    held = Math.max(peak, held * FALL);
    const level = Math.max(LOWEST, decibels(held));
    bar.style.clipPath = `inset(0 ${(100 * Math.min(1, Math.max(0, level / LOWEST))).toFixed(1)}% 0 0)`;
    root.classList.toggle("clips", held >= 1);
    const text = Math.min(0, level).toFixed(0);
    if (root.getAttribute("aria-valuenow") !== text) root.setAttribute("aria-valuenow", text);
  };
  return { root: element("div", { className: "metered" }, element("span", {}, name), root), show };
}

/** Meters of what comes in and goes out, the load of the audio thread, and drop-outs. */
export function meters(player) {
  const into = meter("In"), out = meter("Out");
  const load = element("span", { className: "load" }, "CPU –"), lost = element("span", { className: "lost" });
  load.title = "Share of a core that the audio thread takes for the amp";
  let peakIn = 0, mean = null, reports = 0;
  const samples = new Float32Array(2048);
  return {
    root: element("div", { className: "meters" }, into.root, out.root,
      element("div", { className: "numbers" }, load, lost)),
    report(report) {
      peakIn = Math.max(peakIn, report.peakIn);
      mean = mean === null ? report.load : mean + 0.05 * (report.load - mean);
      player.loaded(report.load);
      if (reports++ % 8) return; // three times a second
      load.textContent = `CPU ${(100 * mean).toFixed(1)} %`;
      lost.textContent = report.dropouts ? `${report.dropouts} drop-outs` : "no drop-outs";
      lost.classList.toggle("poor", report.dropouts > 0);
    },
    draw(analyser) {
      analyser.getFloatTimeDomainData(samples);
      into.show(peakIn);
      peakIn = 0;
      out.show(samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0));
    },
    rest() {
      into.show(0);
      out.show(0);
    },
  };
}

/** The line that says what happens, also to those who do not see it. */
export function statusLine() {
  const root = element("p", { className: "status", role: "status" });
  return {
    root,
    say(text, look = "") {
      root.textContent = text;
      root.className = `status ${look}`;
    },
  };
}
