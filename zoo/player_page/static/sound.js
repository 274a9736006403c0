// The live sound: source -> amp, or as it is, or the recording of the real amp -> cabinet -> volume -> loudspeaker.

import { ampNode, cabinetNode } from "./render.js";

const FADE = 0.01; // seconds of a change of volume
const SLIP = 0.03; // seconds that the sound may fall behind the clock before it is a drop-out
const LOOK = 250; // ms between two looks at the clock

/** Constraints for an instrument: nothing that is made for speech. */
const INSTRUMENT = {
  echoCancellation: false, noiseSuppression: false, autoGainControl: false, voiceIsolation: false, latency: 0,
};

/** Open a sound card; throws with a sentence for a person. */
async function openInput(audio) {
  if (!navigator.mediaDevices) throw new Error("Browsers let only https and localhost use a sound card.");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const said = { NotAllowedError: "The browser may not use your sound card: allow it in the address bar.",
      NotFoundError: "There is no input: plug in a sound card." };
    throw new Error(said[error.name] ?? `The input cannot be used: ${error.message}`);
  }
}

export class Sound {
  /**
   * `amp` is `{module, bytes, head}`; `onreport({load, peakIn, peakOut, dropouts})` is called while it plays,
   * `onfail(error)` where it ends.
   */
  constructor(amp, onreport, onfail) {
    Object.assign(this, { amp, onreport, onfail, values: [], source: null, playing: false, cabinet: null });
    this.dropouts = 0;
    this.gains = { model: 1, dry: 0, real: 0 };
    this.volume = 1;
    this.exact = true;
  }

  /** Make the nodes. Call it from a click or a key: browsers let no page sound before. */
  async open() {
    if (this.context) return this.context.resume();
    const context = new AudioContext({ sampleRate: this.amp.head.sampleRate, latencyHint: "interactive" });
    this.context = context;
    context.resume();
    const gain = (value) => new GainNode(context, { gain: value });
    this.node = await ampNode(context, this.amp, this.values, [], this.exact);
    this.inlet = gain(1);
    this.mix = gain(1);
    this.branches = { model: gain(this.gains.model), dry: gain(this.gains.dry), real: gain(this.gains.real) };
    this.out = gain(this.volume);
    this.analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0.85, minDecibels: -120 });
    this.inlet.connect(this.node).connect(this.branches.model).connect(this.mix);
    this.inlet.connect(this.branches.dry).connect(this.mix);
    this.branches.real.connect(this.mix);
    this.#connectCabinet();
    this.out.connect(this.analyser).connect(context.destination);
    this.node.onprocessorerror = () => this.onfail(new Error("The audio thread stopped: reload the page."));
    this.node.port.onmessage = ({ data }) => this.onreport({ ...data, dropouts: this.#countDropouts() });
    setInterval(() => this.#watchClock(), LOOK);
  }

  /** Put the knobs where `values` says, `[[index, number], ...]`; the engine glides there. */
  turn(values) {
    this.values = values;
    this.node?.port.postMessage({ values });
  }

  /** Choose how the engine moves knobs: exactly, by crossfades between still sounds, or by ramps. */
  setExact(exact) {
    this.exact = exact;
    this.node?.port.postMessage({ values: [], exact });
  }

  /** Set what is heard: the volumes of `model`, `dry` and `real`. */
  hear(gains) {
    this.gains = gains;
    if (!this.context) return;
    for (const [name, branch] of Object.entries(this.branches)) this.#fade(branch.gain, gains[name]);
  }

  setVolume(volume) {
    this.volume = volume;
    if (this.context) this.#fade(this.out.gain, volume);
  }

  setCabinet(buffer) {
    this.cabinet = buffer;
    if (this.context) this.#connectCabinet();
  }

  /** Play a buffer in a loop; `real` is the amp's own recording of it, or null. */
  async play(buffer, real = null) {
    await this.open();
    this.stop();
    const make = (from) => new AudioBufferSourceNode(this.context, { buffer: from, loop: true });
    const nodes = [make(buffer), ...(real ? [make(real)] : [])], begin = this.context.currentTime + 0.02;
    nodes[0].connect(this.inlet);
    nodes[1]?.connect(this.branches.real);
    for (const node of nodes) {
      node.loopEnd = Math.min(...nodes.map((one) => one.buffer.duration));
      node.start(begin);
    }
    this.source = { stop: () => nodes.forEach((node) => { node.stop(); node.disconnect(); }) };
    this.playing = true;
  }

  /** Play what comes in at a sound card; returns `{latency}` in seconds. `channel` is 0 or 1. */
  async playInput(device, channel) {
    await this.open();
    this.stop();
    const audio = { ...INSTRUMENT, ...(device ? { deviceId: { exact: device } } : {}) };
    const stream = await openInput(audio);
    const node = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    const split = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
    const track = stream.getAudioTracks()[0].getSettings();
    node.connect(split);
    split.connect(this.inlet, (track.channelCount ?? 1) > 1 ? channel : 0);
    this.source = {
      stop: () => {
        node.disconnect();
        split.disconnect();
        stream.getTracks().forEach((one) => one.stop());
      },
    };
    this.playing = true;
    return { latency: (track.latency ?? 0) + this.context.baseLatency + (this.context.outputLatency || 0) };
  }

  stop() {
    this.source?.stop();
    this.source = null;
    this.playing = false;
  }

  /** Keep what is heard from now on; returns a function that ends it and returns the channels. */
  record() {
    const tap = new AudioWorkletNode(this.context, "tap", { numberOfOutputs: 0 }), chunks = [];
    tap.port.onmessage = ({ data }) => chunks.push(data);
    this.out.connect(tap);
    return () => {
      this.out.disconnect(tap);
      const count = Math.max(1, ...chunks.map((chunk) => chunk.length)), length = 128 * chunks.length;
      return Array.from({ length: count }, (_, channel) => {
        const samples = new Float32Array(length);
        chunks.forEach((chunk, n) => samples.set(chunk[Math.min(channel, chunk.length - 1)], 128 * n));
        return samples;
      });
    };
  }

  #connectCabinet() {
    this.mix.disconnect();
    this.cabinetNode?.disconnect();
    this.cabinetNode = this.cabinet && cabinetNode(this.context, this.cabinet);
    if (this.cabinetNode) this.mix.connect(this.cabinetNode).connect(this.out);
    else this.mix.connect(this.out);
  }

  #fade(parameter, value) {
    parameter.setTargetAtTime(value, this.context.currentTime, FADE / 3);
  }

  /** Where the browser counts no drop-outs itself, a sound that falls behind the clock is one. */
  #watchClock() {
    const lag = performance.now() / 1000 - this.context.currentTime, running = this.context.state === "running";
    if (running && this.lag !== undefined && lag - this.lag > SLIP) this.dropouts++;
    this.lag = running ? lag : undefined;
  }

  #countDropouts() {
    return this.context.playbackStats?.underrunEvents ?? this.dropouts;
  }
}
