import { ed25519 } from '@noble/curves/ed25519.js';
import { decode as decodeCbor, encode as encodeCbor } from 'cborg';
import { expect } from 'vitest';
import type { Bytes } from '../bytes.ts';
import { envelopeFromText, openEnvelope, payloadDigest, signedBytes } from '../envelope.ts';
import { FormatError } from '../errors.ts';
import { keyId, toText } from '../id.ts';
import { JURISDICTIONS } from '../jurisdiction.ts';
import {
  checkReadTicket,
  checkUploadTicket,
  encodePayload,
  openDeclaration,
  openSigned,
  type Payloads,
  type ReadTicket,
  type UploadTicket,
} from '../ticket.ts';
import { asValue, type Case, type CaseReader, expectBytes, type Fields, toHex } from './case.kit.ts';

/** Signs a payload, as servers and nodes do. */
export async function signEnvelope(type: string, seed: Bytes, payload: Bytes): Promise<Bytes> {
  const publicKey = new Uint8Array(ed25519.getPublicKey(seed));
  const signature = new Uint8Array(ed25519.sign(signedBytes(type, payload), seed));
  const fields: [number, string | Bytes][] = [
    [1, type],
    [2, await keyId(publicKey)],
    [3, payload],
    [4, signature],
  ];
  return new Uint8Array(encodeCbor(new Map(fields)));
}

/** The encoded map as the field `value` holds it. */
export function jsonOf(encoded: Bytes): unknown {
  return asValue(decodeCbor(encoded, { useMaps: true }));
}

/** envelope.json */
export const readEnvelope: CaseReader = async (c) => {
  const [type, publicKey, envelope] = [c.text('type'), c.hex('publicKey'), c.data('envelope')];
  const opened = await openEnvelope(type, [publicKey], envelope);
  return async () => {
    const payload = c.data('payload');
    expectBytes(opened.payload, payload);
    expect(opened.publicKey).toEqual(publicKey);
    expect(await keyId(publicKey)).toEqual(c.hex('keyId'));
    const again = toHex(await signEnvelope(type, c.hex('seed'), payload)) === toHex(envelope);
    expect(again).toBe(c.boolean('again'));
  };
};

function codeOf(check: () => void): string | undefined {
  try {
    check();
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
  return undefined;
}

function checkAllows(fields: Fields, check: (node: Bytes, now: number) => void): void {
  const [node, now] = [fields.hex('node'), fields.number('now')];
  expect(codeOf(() => check(node, now))).toBe(fields.maybe('fail', fields.text));
  fields.done();
}

function readAllows(c: Case, ticket: Payloads[keyof Payloads]): void {
  for (const fields of c.maybe('allows', c.objects) ?? []) {
    if (fields.has('upload')) {
      const wanted = {
        upload: fields.hex('upload'),
        blob: fields.hex('blob'),
        offset: fields.number('offset'),
        length: fields.number('length'),
      };
      checkAllows(fields, (node, now) => checkReadTicket(ticket as ReadTicket, node, wanted, now));
    } else {
      checkAllows(fields, (node, now) => checkUploadTicket(ticket as UploadTicket, node, now));
    }
  }
}

/** The files of one type of envelope. */
export function readSigned<K extends keyof Payloads>(type: K): CaseReader {
  return async (c) => {
    expect(c.text('type')).toBe(type);
    const [publicKey, envelope] = [c.hex('publicKey'), c.data('envelope')];
    const opened = await openSigned(type, [publicKey], envelope);
    return () => checkSigned(c, type, opened);
  };
}

async function checkSigned<K extends keyof Payloads>(c: Case, type: K, opened: Payloads[K]): Promise<void> {
  const [publicKey, envelope] = [c.hex('publicKey'), c.data('envelope')];
  const encoded = encodePayload(type, opened);
  if (c.has('value')) expect(jsonOf(encoded)).toEqual(c.raw('value'));
  const again = toHex(await signEnvelope(type, c.hex('seed'), encoded)) === toHex(envelope);
  expect(again).toBe(c.boolean('again'));
  if (c.has('text')) {
    expect(toText(envelope)).toBe(c.text('text'));
    expectBytes(envelopeFromText(c.text('text')), envelope);
  }
  expect(await payloadDigest(envelope)).toEqual(c.hex('digest'));
  if (type === 'declaration') {
    expect(await openDeclaration(envelope)).toEqual({ node: await keyId(publicKey), declaration: opened });
  }
  readAllows(c, opened);
}

/** declaration-jurisdictions.json */
export const readJurisdictions: CaseReader = (c) => {
  const assigned = c.texts('codes').filter((code) => JURISDICTIONS.has(code));
  if (c.fail !== undefined && assigned.length === 0) throw new FormatError('encoding', 'none of them is assigned');
  return () => expect(assigned).toEqual(c.texts('codes'));
};
