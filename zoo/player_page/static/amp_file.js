// The head of amp.bin: name, rates and knobs (docs/reference/amp-bin.md). The engine checks the whole file by itself.

const HEADER = 176, KNOB = 88, POSITION = 36, NAME = 68, TEXT = 36, UNIT = 8;
export const LINEAR = 0, LOG = 1, SWITCH = 2;
const TAPER = (0.85 / 0.15) ** 2; // base of an audio taper, which divides by 15 % in the middle

/** Return `{name, sampleRate, receptiveField, identity, knobs}`; throws where the bytes are no amp. */
export function readAmp(bytes) {
  const view = new DataView(bytes);
  const integer = (at) => view.getInt32(at, true);
  const text = (at, length) => {
    const found = new Uint8Array(bytes, at, length), end = found.indexOf(0);
    return new TextDecoder().decode(found.subarray(0, end < 0 ? length : end));
  };
  if (bytes.byteLength < HEADER || text(0, 4) !== "AMPB") throw new Error("amp.bin is not an amp.");
  const count = integer(24);
  if (count < 0 || count > 32) throw new Error("amp.bin has an impossible number of knobs.");
  const knobs = [];
  let position = HEADER + count * KNOB;
  for (let at = HEADER; knobs.length < count; at += KNOB) {
    const number = (offset) => view.getFloat64(at + offset, true);
    const [min, max, rest, step] = [48, 56, 64, 72].map(number), kind = integer(at + 36), positions = [];
    if (!(min < max)) throw new Error("amp.bin has a knob without a range.");
    for (let left = Math.min(integer(at + 44), 16); left > 0; left--, position += POSITION)
      positions.push(text(position, TEXT));
    knobs.push({ name: text(at, TEXT), kind, min, max, rest, step, positions, unit: text(at + 80, UNIT) });
  }
  const identity = [...new Uint8Array(bytes, 92, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { name: text(108, NAME), sampleRate: integer(12), receptiveField: integer(16), identity, knobs };
}

/** Return how far apart two settings are as the network takes them; 2 is a whole turn of one knob. */
export function distance(knobs, one, other) {
  let sum = 0;
  for (const knob of knobs) {
    const apart = knob.kind === SWITCH
      ? 2 * (one[knob.name] !== other[knob.name])
      : level(knob, one[knob.name]) - level(knob, other[knob.name]);
    sum += apart * apart;
  }
  return Math.sqrt(sum);
}

function level(knob, value) {
  const turn = (value - knob.min) / (knob.max - knob.min);
  return 2 * (knob.kind === LOG ? (TAPER ** turn - 1) / (TAPER - 1) : turn) - 1;
}

/** Return a value that a knob can have: inside its range, on a step, in few digits. */
export function legal(knob, value) {
  const inside = Math.min(Math.max(value, knob.min), knob.max);
  const stepped = knob.step ? knob.min + Math.round((inside - knob.min) / knob.step) * knob.step : inside;
  const digits = Math.max(0, 3 - Math.ceil(Math.log10(knob.max - knob.min)));
  const short = Number(Math.min(stepped, knob.max).toFixed(knob.step ? digits + 3 : Math.min(digits, 12)));
  return Math.min(Math.max(short, knob.min), knob.max);
}

/** Return a setting of numbers and position names as the engine takes it: `[[index, number], ...]`. */
export function faceplate(knobs, setting) {
  return knobs.map((knob, index) => [
    index,
    knob.kind === SWITCH ? Math.max(0, knob.positions.indexOf(setting[knob.name])) : setting[knob.name],
  ]);
}

/** Return the setting with all knobs at their default. */
export function defaults(knobs) {
  const all = knobs.map((knob) => [knob.name, knob.kind === SWITCH ? knob.positions[knob.rest] : knob.rest]);
  return Object.fromEntries(all);
}

/** Return whether a setting states a legal value of every knob. */
export function isSetting(knobs, setting) {
  return knobs.every((knob) => {
    const value = Object.hasOwn(setting, knob.name) ? setting[knob.name] : null;
    if (knob.kind === SWITCH) return knob.positions.includes(value);
    return value !== null && value >= knob.min && value <= knob.max;
  });
}

/** Return a setting that has all knobs: what `wanted` says and is legal, else what `base` says. */
export function complete(knobs, wanted, base) {
  const setting = { ...base };
  for (const knob of knobs) {
    if (!Object.hasOwn(wanted, knob.name)) continue;
    const value = wanted[knob.name];
    if (knob.kind === SWITCH) {
      if (knob.positions.includes(String(value))) setting[knob.name] = String(value);
    } else if (value !== "" && Number.isFinite(Number(value))) {
      setting[knob.name] = Math.min(Math.max(Number(value), knob.min), knob.max);
    }
  }
  return setting;
}
