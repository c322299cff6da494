// What a hostile sender, node or server makes itself: records, receipts, declarations and tickets, sealed and signed with
// the keys that each of them has.
import { ed25519 } from '@noble/curves/ed25519.js';
import { decode, encode } from 'cborg';
import type { Bytes } from '../src/format/bytes.ts';
import { envelopeFromText, parseEnvelope } from '../src/format/envelope.ts';
import { fromText, keyId, type NodeId, toText, type UploadId } from '../src/format/id.ts';
import { deriveLinkKeys, handleIn, parseFragment } from '../src/format/link.ts';
import { openRecord, sealRecord } from '../src/format/record.ts';
import { decodePayload, encodePayload, type Receipt } from '../src/format/ticket.ts';
import { signEnvelope } from '../src/format/vectors/signed.kit.ts';
import type { Country, Fleet } from './fleet.ts';
import { changeJson, type Evil, type Sending } from './front.ts';

/** A map of the format, by its keys. */
export type Fields = Map<number, unknown>;

function changed(encoded: Bytes, change: (fields: Fields) => void): Bytes {
  const fields = decode(encoded, { useMaps: true }) as Fields;
  change(fields);
  return new Uint8Array(encode(fields));
}

/** The sender put something else into the link's record, under the right keys. */
export function sealedOtherwise(link: string, change: (record: Fields) => void): Evil {
  return changeJson('/look', async (json) => {
    const { pathname, hash } = new URL(link);
    const handle = handleIn(pathname);
    const { recordKey } = await deriveLinkKeys(await parseFragment(handle, hash.slice(1)));
    const under = { purposeKey: recordKey, type: 'link', aad: handle };
    const plain = await openRecord(under, fromText(String(json['record'])) as Bytes);
    json['record'] = toText(await sealRecord(under, changed(plain, change)));
  });
}

/** An envelope with another payload under the same signature: nobody but its signer can know. */
export function unsigned(text: string, change: (payload: Fields) => void): string {
  const { type, keyId, payload, signature } = parseEnvelope(envelopeFromText(text));
  const fields: [number, string | Bytes][] = [
    [1, type],
    [2, keyId],
    [3, changed(payload, change)],
    [4, signature],
  ];
  return toText(new Uint8Array(encode(new Map(fields))));
}

/** A declaration that its node has signed anew, with what its country's node says now. */
export async function redeclared(
  fleet: Fleet,
  text: string,
  change: (declaration: Fields, country: Country) => void,
): Promise<string> {
  const { payload } = parseEnvelope(envelopeFromText(text));
  const country = decodePayload('declaration', payload).jurisdiction as Country;
  const said = changed(payload, (fields) => change(fields, country));
  return toText(await signEnvelope('declaration', new Uint8Array(fleet.seed(country)), said));
}

/** The id of the node that signs with that key. */
export const nodeOf = (seed: Uint8Array): Promise<NodeId> => keyId<'node'>(new Uint8Array(ed25519.getPublicKey(seed)));

const uploadOf = ({ ticket }: Sending): UploadId =>
  decodePayload('upload-ticket', parseEnvelope(envelopeFromText(ticket)).payload).upload;

/** A receipt for what is being sent, signed with that key, that says something else besides. */
export async function receipt(sending: Sending, seed: Uint8Array, lie: Partial<Receipt> = {}): Promise<string> {
  const blobs: Receipt['blobs'] = [[fromText(sending.name) as Bytes, sending.size]];
  const honest: Receipt = {
    upload: uploadOf(sending),
    node: await nodeOf(seed),
    day: Math.floor(Date.now() / 86_400_000),
    blobs,
  };
  return toText(await signEnvelope('receipt', new Uint8Array(seed), encodePayload('receipt', { ...honest, ...lie })));
}

/** The fragment of a link with other bytes before its checksum, which fits. */
export async function fragment(link: string, change: (raw: Bytes) => void): Promise<string> {
  const { pathname, hash } = new URL(link);
  const raw = fromText(hash.slice(1)) as Bytes;
  change(raw);
  const body = raw.subarray(0, raw.length - 4);
  const label = new TextEncoder().encode('holdfast/v1/link-checksum\0');
  const summed = Buffer.concat([label, handleIn(pathname), body]);
  raw.set(new Uint8Array(await crypto.subtle.digest('SHA-256', summed)).subarray(0, 4), body.length);
  return toText(raw);
}
