import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, it } from 'vitest';
import { keyId, newKey, toText } from '../format/id.ts';
import { type Declaration, encodePayload } from '../format/ticket.ts';
import { signEnvelope } from '../format/vectors/signed.kit.ts';
import { checkNode, independent, type KnownNode } from './calls.ts';

type Said = Partial<Pick<Declaration, 'operator' | 'jurisdiction' | 'parent' | 'storage' | 'site'>>;

async function node(said: Said, url = 'https://n.test'): Promise<{ id: string; url: string; declaration: string }> {
  const seed = newKey();
  const publicKey = new Uint8Array(ed25519.getPublicKey(seed));
  const declared = {
    publicKey,
    operator: 'One',
    jurisdiction: 'DE',
    url: 'https://n.test',
    capacity: 1,
    day: 20_000,
    ...said,
  };
  const declaration = toText(await signEnvelope('declaration', seed, encodePayload('declaration', declared)));
  return { id: toText(await keyId<'node'>(publicKey)), url, declaration };
}
const known = async (said: Said): Promise<KnownNode> => checkNode(await node(said));

describe('T24: two nodes are independent', () => {
  const other = { operator: 'Two', jurisdiction: 'NZ' };
  it.each<[string, Said, Said, boolean]>([
    ['when law and company differ', {}, other, true],
    ['not under one law', {}, { operator: 'Two' }, false],
    ['not of one company', {}, { jurisdiction: 'NZ' }, false],
    ['not of one company in other letters', { operator: 'STRASSE' }, { ...other, operator: 'Straße' }, false],
    [
      'not of one company with other spaces',
      { operator: 'Acme  GmbH' },
      { ...other, operator: ' Acme\u00a0GmbH' },
      false,
    ],
    ['not of one company in wide letters', { operator: 'Acme' }, { ...other, operator: 'Ａｃｍｅ' }, false],
    ['not with one parent', { parent: 'Big' }, { ...other, parent: 'BIG' }, false],
    ['not when one is the parent of the other', {}, { ...other, parent: 'one' }, false],
    ['not with one storage provider', { storage: 'Cloud' }, { ...other, storage: 'cloud' }, false],
    ['not when one stores at the other', { operator: 'Cloud' }, { ...other, storage: 'Cloud' }, false],
    ['not with one site', { site: 'IS' }, { ...other, site: 'IS' }, false],
    ['not when one stands where the other is at home', {}, { ...other, site: 'DE' }, false],
    [
      'with different parents, sites and providers',
      { parent: 'A', site: 'IS', storage: 'C' },
      { ...other, parent: 'B', site: 'NO', storage: 'D' },
      true,
    ],
  ])('%s', async (_, a, b, want) => {
    const [one, two] = [await known(a), await known(b)];
    expect(independent(one, two)).toBe(want);
    expect(independent(two, one)).toBe(want);
  });
});

describe('a node’s declaration', () => {
  it('is refused under another node’s id, or for another address', async () => {
    const [a, b] = [await node({}), await node({})];
    await expect(checkNode({ ...a, id: b.id })).rejects.toMatchObject({ code: 'integrity' });
    await expect(checkNode(await node({}, 'https://evil.test'))).rejects.toMatchObject({ code: 'integrity' });
  });
});
