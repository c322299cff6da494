/** Byte strings as WebCrypto takes them: never over shared memory. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

/** The UTF-8 bytes of text. A lone surrogate becomes U+FFFD; whoever must not change a text checks it first. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** All parts, joined. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  let size = 0;
  for (const part of parts) size += part.length;
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Whether a and b are equal, in a time that depends on their lengths only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** n fresh random bytes; getRandomValues gives 65,536 a call at most, and nobody here wants more. */
export function random(n: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(n));
}

export async function sha256(...parts: readonly Uint8Array[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', concat(...parts)));
}
