import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { concat, equal, random, sha256, utf8 } from './bytes.ts';
import { flip, Random } from './vectors/random.kit.ts';

const draw = new Random(24);

describe('bytes', () => {
  test('are equal where length and every byte are', () => {
    expect(equal(new Uint8Array(0), new Uint8Array(0))).toBe(true);
    for (let size = 1; size < 70; size++) {
      const one = draw.bytes(size);
      expect(equal(one, one.slice())).toBe(true);
      for (let bit = 0; bit < 8; bit++) {
        const at = draw.below(size);
        expect(equal(one, flip(one, at, bit)), `bit ${bit} of byte ${at}`).toBe(false);
      }
      expect(equal(one, one.subarray(1))).toBe(false);
      expect(equal(one, concat(one, new Uint8Array(1)))).toBe(false);
      expect(equal(one.subarray(1), one)).toBe(false);
    }
  });

  test('differ where only bits differ that a sum would hide', () => {
    expect(equal(Uint8Array.of(1, 1), Uint8Array.of(0, 0))).toBe(false);
    expect(equal(Uint8Array.of(1, 2), Uint8Array.of(2, 1))).toBe(false);
    expect(equal(Uint8Array.of(255, 1), Uint8Array.of(1, 255))).toBe(false);
  });

  test('are joined in their order, into a buffer of their own', () => {
    for (let i = 0; i < 100; i++) {
      const parts = Array.from({ length: draw.below(6) }, () => draw.bytes(draw.below(20)));
      expect(Buffer.compare(concat(...parts), Buffer.concat(parts))).toBe(0);
    }
    const one = draw.bytes(4);
    const copy = concat(one);
    copy[0] = (copy[0] ?? 0) ^ 255;
    expect(copy[0]).not.toBe(one[0]);
    const view = one.subarray(1, 3);
    expect(concat(view, view)).toEqual(Uint8Array.of(...view, ...view));
  });

  test('of a text are its UTF-8', () => {
    for (const text of ['', 'a', 'é', '日本', '😀', '\ufeffa', 'a\0b', '\u{10ffff}']) {
      expect(Buffer.compare(utf8(text), Buffer.from(text))).toBe(0);
    }
    expect(utf8('\ud800')).toEqual(utf8('\ufffd'));
  });

  test('are hashed joined', async () => {
    const [a, b] = [draw.bytes(40), draw.bytes(30)];
    const whole = createHash('sha256').update(a).update(b).digest();
    expect(Buffer.compare(await sha256(a, b), whole)).toBe(0);
    expect(Buffer.compare(await sha256(concat(a, b)), whole)).toBe(0);
    expect(Buffer.compare(await sha256(), createHash('sha256').digest())).toBe(0);
    expect(Buffer.compare(await sha256(b, a), whole)).not.toBe(0);
  });

  test('drawn at random are as many as asked for, and fresh', () => {
    for (const n of [0, 1, 16, 32, 65536]) expect(random(n)).toHaveLength(n);
    const drawn = new Set(Array.from({ length: 200 }, () => Buffer.from(random(16)).toString('hex')));
    expect(drawn.size).toBe(200);
    const seen = new Set(random(65536));
    expect(seen.size).toBe(256); // each value of a byte comes up in 65,536 draws
  });
});
