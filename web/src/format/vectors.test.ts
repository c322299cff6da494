import { describe, expect, test } from 'vitest';
import { type CaseReader, testCases, vectorFiles } from './vectors/case.kit.ts';
import { readBundle, readDescriptor, readLink, readLinkRecord, readPassword } from './vectors/links.kit.ts';
import { readEnvelope, readJurisdictions, readSigned } from './vectors/signed.kit.ts';
import { readBlob, readCbor, readContent, readId, readPad, readRecord, readSlice } from './vectors/streams.kit.ts';

// Every file of vectors, and what reads it: Go, TypeScript and Python must agree on all of them.
const READERS: ReadonlyMap<string, CaseReader> = new Map([
  ['blobs.json', readBlob],
  ['bundle.json', readBundle],
  ['cbor.json', readCbor],
  ['content.json', readContent],
  ['declaration-jurisdictions.json', readJurisdictions],
  ['declaration.json', readSigned('declaration')],
  ['descriptor.json', readDescriptor],
  ['envelope.json', readEnvelope],
  ['heartbeat.json', readSigned('heartbeat')],
  ['ids.json', readId],
  ['link.json', readLink],
  ['linkrecord.json', readLinkRecord],
  ['order.json', readSigned('order')],
  ['orderreceipt.json', readSigned('order-receipt')],
  ['pad.json', readPad],
  ['password.json', readPassword],
  ['receipt.json', readSigned('receipt')],
  ['records.json', readRecord],
  ['slices.json', readSlice],
  ['ticket-read.json', readSigned('read-ticket')],
  ['ticket-upload.json', readSigned('upload-ticket')],
]);

test('every file of vectors is read', () => {
  expect(vectorFiles()).toEqual([...READERS.keys()].sort());
});

for (const file of vectorFiles()) {
  const read = READERS.get(file);
  if (read !== undefined) describe(file, () => testCases(file, read));
}
