import { describe, expect, it } from 'vitest';
import { FormatError } from '../format/errors.ts';
import { fromPlain, linkError, sendError, toEngineError, toPlain } from './errors.ts';
import { EngineError } from './types.ts';

describe('errors as people are told them', () => {
  it.each<[string, unknown, string]>([
    ['what a node said while sending', new FormatError('signature', 'x'), 'untrusted'],
    ['a password that cannot be used', new FormatError('password', 'an emoji'), 'password-unusable'],
    ['its own', new EngineError('file-changed', 'a'), 'file-changed'],
    ['an end by hand', new DOMException('', 'AbortError'), 'cancelled'],
    ['anything else', new TypeError('x'), 'internal'],
  ])('of a send: %s', (_, error, code) => expect(sendError(error)).toMatchObject({ code }));

  it.each<[string, unknown, string]>([
    ['damage', new FormatError('segment', 'x'), 'integrity'],
    ['a password that can be none', new FormatError('password', 'x'), 'wrong-password'],
  ])('of a download: %s', (_, error, code) => expect(toEngineError(error)).toMatchObject({ code }));

  it.each<[string, FormatError, string]>([
    ['cut', new FormatError('cut', 'x'), 'cut'],
    ['newer', new FormatError('unknown', 'x'), 'unknown-link'],
    ['mistyped', new FormatError('checksum', 'x'), 'checksum'],
  ])('of a link: %s', (_, error, code) => expect(linkError(error)).toMatchObject({ code }));

  it('stay the same on the way from one thread to another', () => {
    const error = new EngineError('rate-limited', 'detail', 7);
    expect(fromPlain(structuredClone(toPlain(error)))).toEqual(error);
  });
});
