import type { Bytes } from '../format/bytes.ts';

// What each browser wants for its memory to stay small, measured with 5 GiB (docs/decisions/0006-browser-streams.md).

/** Firefox keeps the bodies of XMLHttpRequests and collects array buffers late. */
export const isFirefox = typeof navigator !== 'undefined' && navigator.userAgent.includes('Firefox/');

/** ECMAScript 2024, which the type library of this project does not know yet. */
type Transferring = ArrayBuffer & { transfer?(length: number): ArrayBuffer };

/**
 * Gives a buffer's memory back now. Firefox holds hundreds of MiB otherwise; in Chromium the same call makes
 * memory balloon, and its collector is quick enough.
 */
export function free(bytes: Bytes): void {
  if (isFirefox && bytes.byteLength === bytes.buffer.byteLength) (bytes.buffer as Transferring).transfer?.(0);
}
