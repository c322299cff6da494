import { beforeAll, describe, expect, it } from 'vitest';
import { newId, newKey, toText } from '../format/id.ts';
import { independent } from './calls.ts';
import { ReceiptBook } from './receipts.ts';
import { makeNode, receipt, type TestNode } from './world.kit.ts';

// Row 24, the sender's side: nothing counts as stored but for receipts of nodes that differ in law and company.

const upload = newId<'upload'>();
const blob = { name: newKey(), size: 1000 };
let nodes: Record<'de' | 'nz' | 'deToo' | 'same' | 'stranger', TestNode>;
const book = (): ReceiptBook =>
  new ReceiptBook(
    toText(upload),
    new Map([nodes.de, nodes.nz, nodes.deToo, nodes.same].map((n) => [toText(n.id), n.known])),
  );

beforeAll(async () => {
  nodes = {
    de: await makeNode('DE', 'One'),
    nz: await makeNode('NZ', 'Two'),
    deToo: await makeNode('DE', 'Three'),
    same: await makeNode('IS', ' ONE '),
    stranger: await makeNode('IS', 'Four'),
  };
});

describe('T24: receipts', () => {
  it('of two independent nodes are two copies', async () => {
    const b = book();
    expect(b.copies(blob.name)).toBe(0);
    await b.add(await receipt(nodes.de, upload, [[blob.name, blob.size]]), blob);
    expect(b.copies(blob.name)).toBe(1);
    await b.add(await receipt(nodes.nz, upload, [[blob.name, blob.size]]), blob);
    expect(b.copies(blob.name)).toBe(2);
    expect(b.texts(blob.name)).toHaveLength(2);
    expect(b.holders(blob.name).map((n) => n.place.jurisdiction)).toEqual(['DE', 'NZ']);
  });

  it.each(['deToo', 'same'] as const)('of one law or one company are one copy (%s)', async (other) => {
    const b = book();
    await b.add(await receipt(nodes.de, upload, [[blob.name, blob.size]]), blob);
    await b.add(await receipt(nodes[other], upload, [[blob.name, blob.size]]), blob);
    expect(b.copies(blob.name)).toBe(1);
    expect(independent(nodes.de.known, nodes[other].known)).toBe(false);
  });

  it('of one node twice are one copy', async () => {
    const b = book();
    for (let i = 0; i < 2; i++) await b.add(await receipt(nodes.de, upload, [[blob.name, blob.size]]), blob);
    expect(b.copies(blob.name)).toBe(1);
    expect(b.texts(blob.name)).toHaveLength(1);
  });

  it.each<[string, () => Promise<string>]>([
    ['of another upload', () => receipt(nodes.de, newId<'upload'>(), [[blob.name, blob.size]])],
    ['of another blob', () => receipt(nodes.de, upload, [[newKey(), blob.size]])],
    ['of another size', () => receipt(nodes.de, upload, [[blob.name, blob.size + 1]])],
    ['of a node that the upload does not know', () => receipt(nodes.stranger, upload, [[blob.name, blob.size]])],
    ['signed by another node', () => receipt(nodes.de, upload, [[blob.name, blob.size]], nodes.nz.seed)],
    ['signed by nobody', () => receipt(nodes.de, upload, [[blob.name, blob.size]], newKey())],
    ['with a flipped signature', async () => flipLast(await receipt(nodes.de, upload, [[blob.name, blob.size]]))],
    ['that is no envelope', () => Promise.resolve('AAAA')],
    ['that is no text of bytes', () => Promise.resolve('***')],
  ])('%s are refused and count for nothing', async (_, forge) => {
    const b = book();
    await expect(b.add(await forge(), blob)).rejects.toThrow(expect.objectContaining({ name: 'FormatError' }));
    expect(b.copies(blob.name)).toBe(0);
  });
});

function flipLast(text: string): string {
  const bytes = Buffer.from(text, 'base64url');
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  return bytes.toString('base64url');
}
