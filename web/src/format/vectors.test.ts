import { describe, expect, test } from 'vitest';
import {
  readAccount,
  readContact,
  readIdentity,
  readInvite,
  readMessage,
  readName,
  readPhrase,
  readSafety,
  readWork,
  readWrap,
} from './vectors/accounts.kit.ts';
import { type CaseReader, testCases, vectorFiles } from './vectors/case.kit.ts';
import { readCheckpoint, readChild, readGrantCase, readPins, readRebase, readReplay } from './vectors/journal.kit.ts';
import { readBundle, readDescriptor, readLink, readLinkRecord, readPassword } from './vectors/links.kit.ts';
import { readEnvelope, readJurisdictions, readSigned } from './vectors/signed.kit.ts';
import { readBlob, readCbor, readContent, readId, readPad, readRecord, readSlice } from './vectors/streams.kit.ts';

// Every file of vectors, and what reads it: Go, TypeScript and Python must agree on all of them.
const READERS: ReadonlyMap<string, CaseReader> = new Map([
  ['account.json', readAccount],
  ['accountname.json', readName],
  ['blobs.json', readBlob],
  ['bundle.json', readBundle],
  ['cbor.json', readCbor],
  ['contact.json', readContact],
  ['content.json', readContent],
  ['declaration-jurisdictions.json', readJurisdictions],
  ['declaration.json', readSigned('declaration')],
  ['descriptor.json', readDescriptor],
  ['envelope.json', readEnvelope],
  ['heartbeat.json', readSigned('heartbeat')],
  ['identity.json', readIdentity],
  ['ids.json', readId],
  ['invite.json', readInvite],
  ['journal-checkpoint.json', readCheckpoint],
  ['journal-child.json', readChild],
  ['journal-grant.json', readGrantCase],
  ['journal-pins.json', readPins],
  ['journal-rebase.json', readRebase],
  ['journal-replay.json', readReplay],
  ['link.json', readLink],
  ['linkfolder.json', readLinkRecord],
  ['linkrecord.json', readLinkRecord],
  ['message.json', readMessage],
  ['order.json', readSigned('order')],
  ['orderreceipt.json', readSigned('order-receipt')],
  ['pad.json', readPad],
  ['password.json', readPassword],
  ['phrase.json', readPhrase],
  ['receipt.json', readSigned('receipt')],
  ['records.json', readRecord],
  ['safety.json', readSafety],
  ['slices.json', readSlice],
  ['ticket-read.json', readSigned('read-ticket')],
  ['ticket-upload.json', readSigned('upload-ticket')],
  ['work.json', readWork],
  ['wrap.json', readWrap],
]);

test('every file of vectors is read', () => {
  expect(vectorFiles()).toEqual([...READERS.keys()].sort());
});

for (const file of vectorFiles()) {
  const read = READERS.get(file);
  if (read !== undefined) describe(file, () => testCases(file, read));
}
