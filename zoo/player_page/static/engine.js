// The compiled engine: fetched once, compiled once, and asked whether it plays a file before the audio thread does.

let compiled;

/** Return the bytes of a file of this page; throws with what the server says. */
export async function fetchBytes(name) {
  const answer = await fetch(name);
  if (answer.ok) return answer.arrayBuffer();
  const said = answer.headers.get("Content-Type") === "application/json" ? await answer.json() : null;
  throw new Error(said ? `${said.message}. ${said.hint}` : `${name} cannot be fetched (${answer.status}).`);
}

/** Return the bytes of a file that must have this sha256, in hexadecimal digits. */
export async function fetchChecked(url, sha256) {
  const bytes = await fetchBytes(url), digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== sha256) throw new Error(`${url} has other bytes than this page was made for.`);
  return bytes;
}

/** Return the engine as a WebAssembly.Module. */
export function loadEngine() {
  compiled ??= fetchBytes("engine.wasm").then((bytes) => WebAssembly.compile(bytes));
  return compiled;
}

/** Throw where the engine does not play the bytes of an amp. */
export function checkAmp(module, bytes) {
  const wasm = new WebAssembly.Instance(module, {}).exports;
  wasm._initialize();
  const file = wasm.player_take(bytes.byteLength), amp = wasm.player_take(wasm.player_amp_size());
  if (!file || !amp) throw new Error("This amp needs more memory than the browser gives.");
  new Uint8Array(wasm.memory.buffer).set(new Uint8Array(bytes), file);
  const error = wasm.player_amp_read(amp, file, bytes.byteLength);
  if (error) {
    const memory = new Uint8Array(wasm.memory.buffer), at = wasm.player_error_text(error);
    throw new Error(`amp.bin: ${new TextDecoder().decode(memory.subarray(at, memory.indexOf(0, at)))}.`);
  }
  if (!wasm.player_size(amp, 1)) throw new Error("This amp is too large to play.");
}
