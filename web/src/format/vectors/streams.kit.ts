import { expect } from 'vitest';
import { openSlice } from '../bao.ts';
import { checkName, cuts, loadBlake3, rootOf } from '../blob.ts';
import type { Bytes } from '../bytes.ts';
import { keyId, parseId, parseName, toText } from '../id.ts';
import { derive, info, LABEL } from '../kdf.ts';
import { isPaddedLength, paddedLength } from '../pad.ts';
import { deriveRecordKey, openRecord, sealRecord } from '../record.ts';
import { associatedData, type ContentKeys, deriveContentKey, Opener } from '../seal.ts';
import { decode, encode } from '../shape.ts';
import { pieceCount, plainLength, segmentCount, segmentsIn, spanOf, streamLengthOf } from '../stream.ts';
import { openStream, type SealedStream, sealStream } from '../whole.ts';
import { type Case, type CaseReader, expectBytes, fromHex, toHex } from './case.kit.ts';
import { sampleShape } from './sample.kit.ts';
import { jsonOf } from './signed.kit.ts';
import { extractSlice } from './slice.kit.ts';

/** ids.json */
export const readId: CaseReader = (c) => {
  const [kind, text] = [c.text('kind'), c.text('text')];
  const bytes = kind === 'name' ? parseName(text) : parseId(text);
  return async () => {
    expect(bytes).toEqual(c.hex('bytes'));
    expect(toText(bytes)).toBe(text);
    if (kind === 'key-id') expect(await keyId(c.hex('publicKey'))).toEqual(bytes);
  };
};

/** pad.json */
export const readPad: CaseReader = (c) => {
  if (!c.has('trueSize')) {
    plainLength(c.number('streamLength'));
    return () => {};
  }
  const trueSize = c.number('trueSize');
  const padded = paddedLength(trueSize);
  const length = streamLengthOf(trueSize);
  return () => {
    expect(padded).toBe(c.number('padded'));
    expect(isPaddedLength(padded)).toBe(true);
    expect(segmentCount(padded)).toBe(c.number('segments'));
    expect(length).toBe(c.number('streamLength'));
    expect(plainLength(length)).toBe(padded);
    expect(pieceCount(length)).toBe(c.number('pieces'));
  };
};

/** content.json */
export const readContent: CaseReader = async (c) => {
  const [fileId, revisionId, key, releaseKey] = [c.hex('fileId'), c.hex('revisionId'), c.hex('k'), c.hex('r')];
  const [commitment, root, trueSize] = [c.hex('commitment'), c.hex('root'), c.number('trueSize')];
  const content = { fileId, revisionId, key, commitment, root, trueSize };
  const keys = { key, releaseKey, fileId, revisionId };

  const opened = c.has('stream') ? await openStream(content, releaseKey, c.data('stream')) : undefined;
  return async () => {
    const sealed = await sealAgain(c, keys);
    if (opened !== undefined) {
      expectBytes(opened, c.data('plaintext'));
      expectBytes(sealed.stream, c.data('stream'));
    } else expectBytes(await openStream(content, releaseKey, sealed.stream), c.data('plaintext'));
    const head = { salt: c.hex('salt'), prefix: c.hex('prefix') };
    await checkKeys(c, keys, head.salt);
    await checkRanges(c, sealed.stream, await Opener.create(keys, head, commitment, sealed.stream.length));
  };
};

/** The plaintext sealed again, and what of it does not stand in the stream. */
async function sealAgain(c: Case, keys: ContentKeys): Promise<SealedStream> {
  const head = { salt: c.hex('salt'), prefix: c.hex('prefix') };
  const sealed = await sealStream(keys, c.data('plaintext'), head);
  expect(sealed.names.map(toHex)).toEqual(c.texts('pieces'));
  expect(sealed.commitment).toEqual(c.hex('commitment'));
  expect(sealed.root).toEqual(c.hex('root'));
  expect(sealed.stream.length).toBe(c.number('streamLength'));
  expect(segmentCount(plainLength(sealed.stream.length))).toBe(c.number('segments'));
  return sealed;
}

async function checkKeys(c: Case, keys: ContentKeys, salt: Bytes): Promise<void> {
  const contentKey = await deriveContentKey(keys.key, keys.releaseKey, keys.revisionId);
  const aad = associatedData(keys.fileId, keys.revisionId);
  expect([contentKey, aad, await derive(contentKey, salt, aad)].map(toHex)).toEqual([
    c.text('contentKey'),
    c.text('aad'),
    c.text('segmentKey'),
  ]);
  expect(await derive(contentKey, salt, info(LABEL.commit, aad))).toEqual(c.hex('commitment'));
}

/** Each range's span, and that its segments open by themselves. */
async function checkRanges(c: Case, stream: Bytes, opener: Opener): Promise<void> {
  for (const range of c.maybe('ranges', c.objects) ?? []) {
    const span = spanOf(range.number('offset'), range.number('length'), stream.length);
    expect([span.from, span.to]).toEqual([range.number('from'), range.number('to')]);
    range.done();
    const part = stream.slice(span.from, span.to);
    for (const { index, ciphertext } of segmentsIn(part, span.first)) {
      await opener.openSegment(ciphertext, index);
    }
  }
}

/** records.json */
export const readRecord: CaseReader = async (c) => {
  const under = { purposeKey: c.hex('purposeKey'), type: c.text('type'), aad: c.data('aad') };
  const [record, max] = [c.data('record'), c.number('max')];
  const plaintext = await openRecord(under, record, max);
  return async () => {
    expectBytes(plaintext, c.data('plaintext'));
    const salt = c.hex('salt');
    expect(await deriveRecordKey(under, salt)).toEqual({ key: c.hex('key'), commitment: c.hex('commitment') });
    expectBytes(await sealRecord(under, plaintext, max, salt), record);
  };
};

/** cbor.json */
export const readCbor: CaseReader = (c) => {
  const [bytes, max] = [c.data('bytes'), c.number('max')];
  const value = decode(sampleShape, bytes, max);
  return () => {
    const encoded = encode(sampleShape, value, max);
    expect(jsonOf(encoded)).toEqual(c.raw('value'));
    expect(toHex(encoded) === toHex(bytes)).toBe(c.boolean('again'));
  };
};

/** blobs.json */
export const readBlob: CaseReader = async (c) => {
  const blake3 = await loadBlake3();
  if (c.has('data')) checkName(blake3, c.data('data'), c.hex('name32'));
  else if (c.has('names')) expect(rootOf(blake3, c.texts('names').map(fromHex))).toEqual(c.hex('root'));
  else expect(cuts(c.number('streamLength'))).toEqual(c.raw('cuts'));
  return () => {};
};

/** slices.json */
export const readSlice: CaseReader = (c) => {
  const [offset, length] = [c.number('offset'), c.number('length')];
  const [size, name, slice] = [c.number('size'), c.hex('name32'), c.data('slice')];
  const range = openSlice(slice, { size, name, offset, length });
  return () => {
    const blob = c.data('blob');
    expectBytes(range, blob.subarray(offset, offset + length));
    expectBytes(extractSlice(blob, offset, length), slice);
  };
};
