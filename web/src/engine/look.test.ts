import { afterEach, describe, expect, it, vi } from 'vitest';
import { newId, newKey } from '../format/id.ts';
import { LINK_KIND } from '../format/link.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { tell } from '../pages/problems.ts';
import { linkError, toEngineError } from './errors.ts';
import { lookAt, prepare } from './look.ts';
import { EngineError } from './types.ts';
import { problemAnswer, World } from './world.kit.ts';

async function look(world: World, password: string | null = null): ReturnType<typeof lookAt> {
  vi.stubGlobal('fetch', world.fetch);
  try {
    return await lookAt(world.handle, world.fragment, password, 'session');
  } catch (error) {
    throw toEngineError(error);
  }
}
afterEach(() => vi.unstubAllGlobals());

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

const files = [
  ['b/two.txt', pattern(20)],
  ['b/../one.txt', pattern(10)],
] as const;

describe('looking at a link', () => {
  it('shows one file', async () => {
    const { view } = await look(await World.make([['note.txt', pattern(10)]]));
    expect(view).toMatchObject({ kind: 'file', title: 'note.txt', bytes: 10, downloadsLeft: null });
    expect(view.places.map((p) => p.jurisdiction)).toEqual(['DE', 'NZ']);
  });

  it('shows a bundle, whose names come from the sealed listing', async () => {
    const opened = await look(await World.make([['a.txt', pattern(10)], files[0]]));
    expect(opened.view).toMatchObject({ kind: 'bundle', title: 'several', bytes: 30 });
    expect(opened.view.entries.map((e) => e.path)).toEqual(['a.txt', 'b/two.txt']);
    expect(prepare(opened, 'all')).toMatchObject({ name: 'several.zip', zip: true });
    expect(prepare(opened, 1)).toMatchObject({ name: 'two.txt', zip: false });
    expect(() => prepare(opened, 7)).toThrow(RangeError);
  });

  it('T12: a listing that is damaged, or another’s, opens nothing', async () => {
    const world = await World.make([['a.txt', pattern(10)], files[0]]);
    world.evil = (_, __, bytes) => bytes.fill(3);
    await expect(look(world)).rejects.toMatchObject({ code: 'integrity' });
    world.evil = undefined;
    world.answers.set('look', () => Response.json({ ...world.look, listing: world.page }));
    await expect(look(world)).rejects.toMatchObject({ code: 'integrity' });
    world.answers.set('look', () => Response.json({ ...world.look, listing: undefined }));
    await expect(look(world)).rejects.toMatchObject({ code: 'integrity' });
  });

  it.each([{ count: 3 }, { bytes: 31 }])(
    'T12: a listing of another sum than the record states is refused: %j',
    async (stated) => {
      const world = await World.make([['a.txt', pattern(10)], files[0]], undefined, stated);
      await expect(look(world)).rejects.toMatchObject({ code: 'integrity', detail: 'listing' });
    },
  );

  it.each<[string, (record: Buffer) => Buffer]>([
    ['flipped', (r) => flipped(r, r.length - 1)],
    ['with another commitment', (r) => flipped(r, 40)],
    ['with another salt', (r) => flipped(r, 5)],
    ['of another version', (r) => r.fill(2, 0, 1)],
    ['cut short', (r) => r.subarray(0, 60)],
    ['empty', () => Buffer.alloc(0)],
  ])('T08: a record %s opens nothing and asks no node', async (_, change) => {
    const world = await World.make([['note.txt', pattern(10)]]);
    const record = change(Buffer.from(world.look.record, 'base64url')).toString('base64url');
    world.answers.set('look', () => Response.json({ ...world.look, record }));
    await expect(look(world)).rejects.toMatchObject({ code: 'integrity' });
    expect(world.requests).toHaveLength(1);
  });

  it('T24: a node that is not the one it is said to be is not shown', async () => {
    const world = await World.make([['note.txt', pattern(10)]]);
    const [a, b] = world.look.copies;
    if (!a || !b) throw new RangeError('two nodes');
    world.answers.set('look', () => Response.json({ ...world.look, copies: [{ ...a, declaration: b.declaration }] }));
    await expect(look(world)).rejects.toMatchObject({ code: 'integrity' });
  });

  it('T18: tells a wrong password from a wrong key, and passes a pause on', async () => {
    const world = await World.make([['note.txt', pattern(10)]], 'right');
    expect((await look(world, 'right')).view.title).toBe('note.txt');
    world.answers.set('look', () => problemAnswer('wrong-key', 403));
    await expect(look(world, 'wrong')).rejects.toMatchObject({ code: 'wrong-password' });
    world.answers.set('look', () => problemAnswer('rate-limited', 429, 10));
    await expect(look(world, 'wrong')).rejects.toMatchObject({ code: 'rate-limited', retryAfter: 10 });
    const open = await World.make([['note.txt', pattern(10)]]);
    open.answers.set('look', () => problemAnswer('wrong-key', 403));
    await expect(look(open)).rejects.toMatchObject({ code: 'wrong-key' });
  });

  it('T18: what is asked for holds neither fragment nor password', async () => {
    const world = await World.make([['note.txt', pattern(10)]], 'right');
    const bodies: unknown[] = [];
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      bodies.push(url, init.body, init.headers);
      return world.fetch(url);
    });
    await lookAt(world.handle, world.fragment, 'right', 'session');
    const said = JSON.stringify(bodies);
    expect(said).not.toContain('right');
    expect(said).not.toContain(world.fragment.slice(4, 40));
  });

  it('says of a folder’s link that it cannot open it, and counts no download', async () => {
    const world = await World.make([['note.txt', pattern(10)]]);
    vi.stubGlobal('fetch', world.fetch);
    await world.seal({
      kind: LINK_KIND.folder,
      folder: newId<'folder'>(),
      epoch: 1,
      readKey: newKey(),
      writeKey: newKey(),
      adminKey: newKey(),
      name: 'album',
      seq: 1,
      hash: newKey(),
    });
    await expect(lookAt(world.handle, world.fragment, null, 'session')).rejects.toMatchObject({ code: 'folder-link' });
    expect(world.requests.length).toBe(1);
    expect(tell(new EngineError('folder-link')).title).toContain('cannot show folders yet');
  });

  it('tells what is wrong with a link’s text before anything is asked', async () => {
    const world = await World.make([['note.txt', pattern(10)]]);
    vi.stubGlobal('fetch', world.fetch);
    const { handle, fragment } = world;
    const cases = [
      [handle, fragment.slice(1), 'cut'],
      ['AAAA', fragment, 'cut'],
      [handle, `B${fragment.slice(1)}`, 'unknown-link'],
      ['A'.repeat(22), fragment, 'checksum'],
    ] as const;
    for (const [h, f, code] of cases) await expect(lookAt(h, f, null, 'session')).rejects.toMatchObject({ code });
    expect(world.requests).toEqual([]);
    expect(linkError(new TypeError('x')).code).toBe('internal');
  });
});
