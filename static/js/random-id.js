/** Random ids in hexadecimal: `crypto.randomUUID` is missing from older phones. */

/** @param {number} [bytes] */
export function randomId(bytes = 16) {
  const random = Array.from(crypto.getRandomValues(new Uint8Array(bytes)));
  return random.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
