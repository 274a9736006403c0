// What is heard, as samples: the same chain in an OfflineAudioContext, for a file to save and for equal loudness.

/** Make the node that plays an amp. `values` are as `faceplate` returns them, `moves` are `[frame, knob, value]`. */
export async function ampNode(context, { module, bytes, head }, values, moves = [], exact = false) {
  await context.audioWorklet.addModule("amp_worklet.js");
  return new AudioWorkletNode(context, "amp", {
    outputChannelCount: [1],
    channelCount: 1,
    channelCountMode: "explicit",
    processorOptions: { module, amp: bytes, rate: head.sampleRate, values, moves, exact },
  });
}

/** Make the node of a cabinet: an impulse response, in the loudness of its own that the browser gives it. */
export function cabinetNode(context, response) {
  return new ConvolverNode(context, { buffer: response });
}

/**
 * Play a buffer from its beginning and return an AudioBuffer at the amp's rate.
 *
 * `values` are the knobs, null for no amp (the sound as it is); `cabinet` is an AudioBuffer or null; `gain` the volume.
 */
export async function render(amp, buffer, how) {
  const { values, moves, exact, cabinet = null, gain = 1, weigh = false, seconds = Infinity } = how;
  const length = Math.ceil(Math.min(buffer.duration, seconds) * amp.head.sampleRate);
  const context = new OfflineAudioContext(1, Math.max(1, length), amp.head.sampleRate);
  const source = new AudioBufferSourceNode(context, { buffer });
  const nodes = [source];
  if (values) nodes.push(await ampNode(context, amp, values, moves, exact));
  if (cabinet) nodes.push(cabinetNode(context, cabinet));
  if (gain !== 1) nodes.push(new GainNode(context, { gain }));
  if (weigh) nodes.push(...weighting(context));
  nodes.push(context.destination);
  nodes.reduce((from, to) => (from.connect(to), to));
  source.start();
  return context.startRendering();
}

/** The ear's weighting of ITU-R BS.1770: less of the lowest, more of the highest. */
function weighting(context) {
  return [
    new BiquadFilterNode(context, { type: "highshelf", frequency: 1500, gain: 4 }),
    new BiquadFilterNode(context, { type: "highpass", frequency: 38, Q: -6 }),
  ];
}

const LISTEN = 6; // seconds that loudness is measured over

/** Return the loudness in dB and the highest sample of a buffer played so. */
export async function loudness(amp, buffer, how) {
  const [plain, weighted] = await Promise.all([
    render(amp, buffer, { ...how, gain: 1, seconds: LISTEN }),
    render(amp, buffer, { ...how, gain: 1, seconds: LISTEN, weigh: true }),
  ]);
  let power = 0, peak = 0;
  for (const sample of weighted.getChannelData(0)) power += sample * sample;
  for (const sample of plain.getChannelData(0)) peak = Math.max(peak, Math.abs(sample));
  return { level: 10 * Math.log10(power / weighted.length + 1e-12), peak };
}

/** Return channels of float samples as the bytes of a WAV file (32-bit float: nothing clips, nothing is rounded). */
export function wavFile(channels, rate) {
  const count = channels.length, samples = channels[0].length, size = 4 * count * samples;
  const bytes = new DataView(new ArrayBuffer(58 + size));
  const text = (at, word) => [...word].forEach((letter, i) => bytes.setUint8(at + i, letter.charCodeAt(0)));
  const word = (at, value) => bytes.setUint32(at, value, true), half = (at, value) => bytes.setUint16(at, value, true);
  text(0, "RIFF"); word(4, 50 + size); text(8, "WAVEfmt "); word(16, 18);
  half(20, 3); half(22, count); word(24, rate); word(28, 4 * count * rate); half(32, 4 * count); half(34, 32);
  half(36, 0); text(38, "fact"); word(42, 4); word(46, samples); text(50, "data"); word(54, size);
  for (let t = 0, at = 58; t < samples; t++)
    for (let c = 0; c < count; c++, at += 4) bytes.setFloat32(at, channels[c][t], true);
  return new Blob([bytes], { type: "audio/wav" });
}
