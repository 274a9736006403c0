// The audio thread: one engine, one amp. Knobs come by message, or as moves that are known beforehand.

const CONTROL = 64; // samples: as often as the engine looks at its knobs
const REPORT = 2048; // samples between two reports
const clock = globalThis.performance ?? Date; // few browsers have more than milliseconds here; sums of many are right

class AmpProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    const { module, amp, rate, values, moves } = processorOptions;
    const wasm = (this.wasm = new WebAssembly.Instance(module, {}).exports);
    wasm._initialize();
    const file = wasm.player_take(amp.byteLength), parsed = wasm.player_take(wasm.player_amp_size());
    new Uint8Array(wasm.memory.buffer).set(new Uint8Array(amp), file);
    if (wasm.player_amp_read(parsed, file, amp.byteLength)) throw new Error("amp.bin is damaged");
    const factor = sampleRate / rate, size = Number.isInteger(factor) ? wasm.player_size(parsed, factor) : 0;
    if (!size) throw new Error(`an amp of ${rate} Hz does not play at ${sampleRate} Hz`);
    const memory = wasm.player_take(size);
    this.x = wasm.player_take(4 * 128);
    this.y = wasm.player_take(4 * 128);
    if (!memory || !this.x || !this.y) throw new Error("the browser gives too little memory");
    this.player = wasm.player_init(memory, parsed, factor, 0);
    for (const [knob, value] of values) wasm.player_set_knob(this.player, knob, value);
    wasm.player_reset(this.player);
    this.heard = new Float32Array(wasm.memory.buffer, this.x, 128);
    this.made = new Float32Array(wasm.memory.buffer, this.y, 128);
    this.moves = moves ?? []; // [frame, knob, value], in order
    this.next = 0;
    this.clear();
    this.port.onmessage = ({ data }) => {
      for (const [knob, value] of data.values) wasm.player_set_knob(this.player, knob, value);
    };
  }

  clear() {
    this.frames = this.busy = this.peakIn = this.peakOut = 0;
  }

  play(begin, end) {
    while (this.next < this.moves.length && this.moves[this.next][0] <= currentFrame + begin) {
      const [, knob, value] = this.moves[this.next++];
      this.wasm.player_set_knob(this.player, knob, value);
    }
    this.wasm.player_process(this.player, this.x + 4 * begin, this.y + 4 * begin, end - begin);
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
