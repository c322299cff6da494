import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, Page } from './browser.ts';
import { makeFile, sha256 } from './files.ts';
import { Fleet } from './fleet.ts';
import { changeBlobs, changeJson, type Evil, flip } from './front.ts';
import { BROWSERS, open, problem, received, refused } from './steps.ts';

// A malicious server and malicious nodes against the share page: rows 8 to 12 and 25. In every case the page names the
// damage, the browser ends with no complete file, and where one honest copy is left, it is read.

interface Sent {
  readonly name: string;
  readonly link: string;
  readonly hash: string;
}

type Json = Record<string, unknown>;
interface Revisions {
  revisions: (Json & { id: string; length: number; extents: [number, number, number][]; extentCount: number })[];
  blobs: { name: string; size: number }[];
}
const revisionsOf = (json: Json): Revisions => json as unknown as Revisions;

/** Another value of the same length: what a server could have by mistake or malice. */
function other(text: unknown): string {
  const s = String(text);
  return (s[0] === 'A' ? 'B' : 'A') + s.slice(1);
}

function serverLies(change: (page: Revisions) => void): Evil {
  return changeJson('/revisions', (json) => change(revisionsOf(json)));
}

/** The server lies in the record of each revision. */
function recordLies(change: (revision: Revisions['revisions'][number]) => void): Evil {
  return serverLies((page) => {
    for (const revision of page.revisions) change(revision);
  });
}

const set = (name: string, value: (before: unknown) => unknown): Evil =>
  recordLies((revision) => {
    (revision as Json)[name] = value(revision[name]);
  });

/** Adds to one of the three numbers of each extent. */
const extents = (at: 0 | 1 | 2, by: number): Evil =>
  recordLies((revision) => {
    for (const extent of revision.extents) extent[at] += by;
  });

const lies: readonly (readonly [string, Evil])[] = [
  ['T12: another release key', set('releaseKey', other)],
  ['T08: another salt', set('salt', other)],
  ['T08: another nonce prefix', set('prefix', other)],
  ['T09: a length of the next size', set('length', (n) => Number(n) + 65_536)],
  ['T09: extents that are too short', extents(2, -1)],
  ['T09: extents that leave their blob', extents(1, 1)],
  ['T09: more extents than pieces', set('extentCount', (n) => Number(n) + 1)],
  ['T28: a salt cut short', set('salt', () => 'AAAA')],
  ['T28: a key that is no text of an id', set('releaseKey', () => '***')],
];

const damage: readonly (readonly [string, (body: Buffer, name: string) => Buffer])[] = [
  ['T08: a flipped bit of the header', (b) => flip(b, 3)],
  ['T08: a flipped bit of a segment', (b) => flip(b, Math.floor(b.length / 2))],
  ['T08: a flipped bit of the last tag', (b) => flip(b, b.length - 1)],
  ['T09: a truncated blob', (b) => b.subarray(0, b.length - 1)],
  ['T09: an empty answer', () => Buffer.alloc(0)],
  ['T09: a blob with bytes behind', (b) => Buffer.concat([b, b.subarray(0, 1)])],
  ['T09: a blob given twice', (b) => Buffer.concat([b, b])],
  ['T25: garbage of the right length', (b) => Buffer.alloc(b.length, 7)],
];

let fleet: Fleet;
const files = new Map<string, Sent>();

async function make(name: string, size: number): Promise<void> {
  const path = join(fleet.dir, 'files', name);
  const hash = await makeFile(path, size);
  files.set(name, { name, link: await fleet.send([path]), hash });
}

const file = (name: string): Sent => files.get(name) as Sent;

beforeAll(async () => {
  fleet = await Fleet.start();
  mkdirSync(join(fleet.dir, 'files'));
  await make('small.bin', 300_000);
  await make('large.bin', 18_000_000);
  await make('other.bin', 18_000_000);
});
afterAll(() => fleet?.stop());

describe.each(BROWSERS)('%s', (_, launch) => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch();
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());

  async function refuses(name: string, evil: () => void): Promise<void> {
    const { link, hash } = file(name);
    await open(page, link);
    evil();
    try {
      expect(await refused(browser, page, name, hash)).toBe('integrity');
    } finally {
      fleet.honest();
    }
  }

  async function reads(name: string, evil: () => void): Promise<void> {
    const { link, hash } = file(name);
    await open(page, link);
    evil();
    try {
      expect(await sha256(await received(browser, page, name))).toBe(hash);
    } finally {
      fleet.honest();
    }
  }

  it.each(lies)('%s from the server is refused', async (_, evil) => {
    await refuses('small.bin', () => (fleet.front.evil = evil));
  });

  it.each(damage)('%s at every node is refused', async (_, change) => {
    await refuses('small.bin', () => fleet.nodesLie(changeBlobs(change)));
  });

  it.each([
    ['small.bin', 'flipped bits', (b: Buffer) => flip(b, 1000)],
    ['large.bin', 'flipped bits', (b: Buffer) => flip(b, 1_000_000)],
    ['large.bin', 'truncated blobs', (b: Buffer) => b.subarray(0, b.length - 1)],
  ])('T25: %s is read although the node asked first gives %s', async (name, _, change) => {
    let told = (): number => 0;
    await reads(name, () => (told = fleet.firstLies(changeBlobs(change))));
    expect(told()).toBeGreaterThan(0);
  });

  it('T10: a blob that no ticket names is not given out, and its absence is told', async () => {
    const { link, hash } = file('small.bin');
    await open(page, link);
    fleet.front.evil = serverLies((p) => {
      for (const blob of p.blobs) blob.name = other(blob.name);
    });
    expect(await refused(browser, page, 'small.bin', hash)).toBe('nodes-away');
    fleet.honest();
  });

  it('T10: the blobs of another file under the names asked for are refused', async () => {
    const stolen: Buffer[] = [];
    await open(page, file('other.bin').link);
    fleet.nodesLie(
      changeBlobs((body) => {
        stolen.push(body);
        return body;
      }),
    );
    await received(browser, page, 'other.bin');
    await refuses('large.bin', () => {
      const same = (body: Buffer): Buffer => stolen.find((b) => b.length === body.length) ?? body;
      fleet.nodesLie(changeBlobs(same));
    });
  });

  it('T09: two blobs of a file exchanged by the server are refused, though each is what it is called', async () => {
    await refuses('large.bin', () => {
      fleet.front.evil = changeJson('/extents', (json) => {
        const { extents } = json as { extents: [number, number, number][] };
        const [first, second] = extents;
        if (first && second) [first[0], second[0]] = [second[0], first[0]];
      });
    });
  });

  it('T11: a last segment that is bad at every node is a failed download, not a shorter file', async () => {
    const lastOf = (body: Buffer): Buffer => (body.length < 8 << 20 ? flip(body, body.length - 100) : body);
    await refuses('large.bin', () => fleet.nodesLie(changeBlobs(lastOf)));
    expect(await page.eval<string>('document.body.innerText')).toContain('not complete');
  });

  it('T12: another sealed record, or another listing, opens nothing', async () => {
    fleet.front.evil = changeJson('/look', (json) => {
      const record = Buffer.from(String(json['record']), 'base64url');
      json['record'] = flip(record, record.length - 1).toString('base64url');
    });
    await open(page, file('small.bin').link);
    expect(await problem(page)).toBe('integrity');
    fleet.front.evil = changeJson('/look', (json) => {
      const record = Buffer.from(String(json['record']), 'base64url');
      json['record'] = flip(record, 40).toString('base64url');
    });
    await open(page, file('small.bin').link);
    expect(await problem(page)).toBe('integrity');
    fleet.honest();
  });

  it('T25: a ticket that no node takes says so and leaves nothing', async () => {
    const { link, hash } = file('small.bin');
    await open(page, link);
    fleet.front.evil = changeJson('/revisions', (json) => {
      for (const ticket of json['tickets'] as { ticket: string }[]) ticket.ticket = other(ticket.ticket);
    });
    expect(await refused(browser, page, 'small.bin', hash)).toBe('nodes-away');
    fleet.honest();
  });

  it('reads on after all that', async () => {
    await reads('large.bin', () => {});
  });
});
