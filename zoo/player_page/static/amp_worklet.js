// The audio thread: one amp. Knobs come by message, or as moves that are known beforehand. Two engines can play it: one
// whose knobs ramp, one that moves them exactly, by crossfades between still sounds.

const CONTROL = 64; // samples: as often as the engine looks at its knobs
const REPORT = 2048; // samples between two reports
const ENGINES = ["player", "exact"]; // how the names of their functions begin
const clock = globalThis.performance ?? Date; // few browsers have more than milliseconds here; sums of many are right

class AmpProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    const { module, amp, rate, values, moves, exact } = processorOptions;
    const wasm = (this.wasm = new WebAssembly.Instance(module, {}).exports);
    wasm._initialize();
    const file = wasm.player_take(amp.byteLength), parsed = wasm.player_take(wasm.player_amp_size());
    new Uint8Array(wasm.memory.buffer).set(new Uint8Array(amp), file);
    if (wasm.player_amp_read(parsed, file, amp.byteLength)) throw new Error("amp.bin is damaged");
    const factor = sampleRate / rate;
    if (!Number.isInteger(factor)) throw new Error(`an amp of ${rate} Hz does not play at ${sampleRate} Hz`);
    this.players = ENGINES.map((name) => {
      const size = wasm[`${name}_size`](parsed, factor), memory = size && wasm.player_take(size);
      if (!memory) throw new Error("the amp is too large to play");
      return wasm[`${name}_init`](memory, parsed, factor, 0);
    });
    this.x = wasm.player_take(4 * 128);
    this.y = wasm.player_take(4 * 128);
    this.unheard = wasm.player_take(4 * 128);
    if (!this.x || !this.y || !this.unheard) throw new Error("the browser gives too little memory");
    this.field = new DataView(amp).getInt32(16, true) * factor;
    this.set(values);
    this.current = this.coming = exact ? 1 : 0;
    this.wait = 0; // samples until the coming engine is heard
    this.reset(this.current);
    this.heard = new Float32Array(wasm.memory.buffer, this.x, 128);
    this.made = new Float32Array(wasm.memory.buffer, this.y, 128);
    this.moves = moves ?? []; // [frame, knob, value], in order
    this.next = 0;
    this.clear();
    this.port.onmessage = ({ data }) => {
      this.set(data.values);
      if (data.exact !== undefined) this.change(data.exact ? 1 : 0);
    };
  }

  set(values) {
    ENGINES.forEach((name, n) => {
      for (const [knob, value] of values) this.wasm[`${name}_set_knob`](this.players[n], knob, value);
    });
  }

  reset(n) {
    this.wasm[`${ENGINES[n]}_reset`](this.players[n]);
  }

  /** Change the engine, once the other one has heard a receptive field: then nobody hears the change. */
  change(n) {
    if (n === this.coming) return;
    this.coming = n;
    this.wait = this.field;
    if (n !== this.current) this.reset(n);
  }

  clear() {
    this.frames = this.busy = this.peakIn = this.peakOut = 0;
  }

  play(begin, end) {
    while (this.next < this.moves.length && this.moves[this.next][0] <= currentFrame + begin) {
      const [, knob, value] = this.moves[this.next++];
      this.set([[knob, value]]);
    }
    this.run(this.current, begin, end, this.y);
    if (this.coming === this.current) return;
    this.run(this.coming, begin, end, this.unheard);
    this.wait -= end - begin;
    if (this.wait <= 0) this.current = this.coming;
  }

  run(n, begin, end, to) {
    this.wasm[`${ENGINES[n]}_process`](this.players[n], this.x + 4 * begin, to + 4 * begin, end - begin);
  }

  process([[x]], [[y]]) {
    const begin = clock.now();
    if (x) this.heard.set(x);
    else this.heard.fill(0);
    if (this.next < this.moves.length) for (let at = 0; at < 128; at += CONTROL) this.play(at, at + CONTROL);
    else this.play(0, 128);
    y.set(this.made);
    for (let t = 0; t < 128; t++) {
      this.peakIn = Math.max(this.peakIn, Math.abs(this.heard[t]));
      this.peakOut = Math.max(this.peakOut, Math.abs(y[t]));
    }
    this.busy += clock.now() - begin;
    this.frames += 128;
    if (this.frames >= REPORT) {
      const { frames, busy, peakIn, peakOut } = this;
      this.port.postMessage({ load: busy / 1000 / (frames / sampleRate), peakIn, peakOut });
      this.clear();
    }
    return true;
  }
}

class TapProcessor extends AudioWorkletProcessor {
  process([channels]) {
    if (channels.length) this.port.postMessage(channels.map((samples) => samples.slice()));
    return true;
  }
}

registerProcessor("amp", AmpProcessor);
registerProcessor("tap", TapProcessor);
