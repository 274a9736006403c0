// A setting as the end of an address: #gain=7&tone=3.

/** Return the setting that an address states, as texts by name. */
export function readLink(hash) {
  return Object.fromEntries(new URLSearchParams(hash.replace(/^#/, "")));
}

/** Return the end of the address of a setting. */
export function makeLink(setting) {
  return `#${new URLSearchParams(Object.entries(setting).map(([name, value]) => [name, String(value)]))}`;
}
