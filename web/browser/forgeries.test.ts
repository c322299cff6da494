import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GROUP_SIZE, sliceLength } from '../src/format/bao.ts';
import { newId, newKey, parseName, toText } from '../src/format/id.ts';
import { extractSlice } from '../src/format/vectors/slice.kit.ts';
import { type Browser, fill, type Page, press, until } from './browser.ts';
import { makeFile, sha256, unzipped } from './files.ts';
import { type Country, Fleet } from './fleet.ts';
import { type Fields, fragment, nodeOf, receipt, redeclared, sealedOtherwise, unsigned } from './forge.ts';
import {
  type BlobLie,
  breakBlobs,
  changeBlobs,
  changeJson,
  changeReceipts,
  type Evil,
  flip,
  refuse,
  type Seen,
  type Sending,
} from './front.ts';
import { BROWSERS, choose, open, problem, received, refused, sent } from './steps.ts';

// Rows 7, 9, 10 and 24 in the browsers: versions and terms that nobody knows, nodes that lie about parts of blobs, and
// receipts for what nobody stores.

const PASSWORD = 'Zebra-crossing 1967';
const ZIP = 'Download all as ZIP';
const PART = 'Download a.bin';
const DAMAGED = 'The files arrived damaged';

let fleet: Fleet;
let single: string;
let locked: string;
let bundle: string;
let outgoing: string;
let hashes: Record<string, string>;
/** Of the whole archive, which is the same each time. */
let archive: string | undefined;

beforeAll(async () => {
  fleet = await Fleet.start();
  const dir = join(fleet.dir, 'files');
  mkdirSync(dir);
  const make = async (name: string, size: number): Promise<[string, string]> => [
    name,
    await makeFile(join(dir, name), size),
  ];
  const sizes: [string, number][] = [
    ['a.bin', 100_000],
    ['b.bin', 100_000],
    ['c.bin', 60_000],
    ['film.bin', 9_000_000],
    ['single.bin', 9_000_000],
  ];
  hashes = Object.fromEntries(await Promise.all(sizes.map(([name, size]) => make(name, size))));
  outgoing = join(dir, 'a.bin');
  writeFileSync(join(dir, 'password'), PASSWORD);
  single = await fleet.send([join(dir, 'single.bin')]);
  locked = await fleet.send([join(dir, 'c.bin')], ['--password-file', join(dir, 'password')]);
  const several = ['a.bin', 'b.bin', 'c.bin', 'film.bin'].map((name) => join(dir, name));
  bundle = await fleet.send(several, ['--name', 'several']);
});
afterAll(() => fleet?.stop());
afterEach(() => fleet.honest());

/** What a client asked for, without the pages themselves. */
const calls = (seen: readonly Seen[]): string[] =>
  seen
    .filter(({ method, url }) => method !== 'OPTIONS' && /^\/(api|blobs)\b/.test(url) && url !== '/api/v1/info')
    .map(({ method, url }) => `${method} /${url.split('?')[0]?.split('/').at(-1)}`);

const stored = new Map<string, Buffer>();
function blob(name: string): Buffer {
  const known = stored.get(name) ?? readFileSync(fleet.blobs().get(name) as string);
  stored.set(name, known);
  return known;
}

const range = (query: URLSearchParams): [number, number] => [Number(query.get('offset')), Number(query.get('length'))];

/** Bytes of another blob of the fleet, of the same length, and with a proof of their own where one is due. */
const ofAnother: BlobLie = (_, name, query) => {
  const { length } = blob(name);
  const [other] = [...fleet.blobs()].find(([n, path]) => n !== name && statSync(path).size >= length) ?? [];
  const bytes = blob(other as string).subarray(0, length);
  return query.has('offset') ? Buffer.from(extractSlice(new Uint8Array(bytes), ...range(query))) : Buffer.from(bytes);
};

/** The proof of another range of the same blob, as long as the one that was asked for. */
const elsewhere: BlobLie = (body, name, query) => {
  const bytes = new Uint8Array(blob(name));
  const [offset, length] = range(query);
  for (let from = 0; from + length <= bytes.length; from += GROUP_SIZE) {
    const there = { size: bytes.length, name: parseName(name), offset: from, length };
    if (Math.abs(from - offset) > GROUP_SIZE && sliceLength(there) === body.length)
      return Buffer.from(extractSlice(bytes, from, length));
  }
  throw new RangeError(`no other range of ${length} bytes`);
};

const oneByte: BlobLie = (body) => flip(body, Math.floor(body.length * 0.7));
const less: BlobLie = (body) => body.subarray(0, body.length - 1);
const more: BlobLie = (body) => Buffer.concat([body, body.subarray(0, 1)]);
/** The chaining value at the top of the proof, and the size before it. */
const proof: BlobLie = (body) => flip(body, 8 + 5);
const size: BlobLie = (body) => flip(body, 1);

describe.each(BROWSERS)('%s', (_, launch) => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch();
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());

  /** The page says this, and what was asked until then is returned. */
  async function shows(link: string, code: string, heading: string): Promise<string[]> {
    fleet.record();
    await open(page, link);
    expect(await page.eval('document.querySelector("[data-problem]")?.dataset.problem')).toBe(code);
    expect(await page.eval('document.querySelector("h1").innerText')).toBe(heading);
    return calls(fleet.recorded());
  }

  describe('T07: what nobody knows', () => {
    const OLD = 'This page is older than the service';
    const UNTRUSTED = 'The service gave an answer that does not hold';

    it('in the link itself is told before anything is asked', async () => {
      const [address] = single.split('#');
      const newer = `${address}#${await fragment(single, (raw) => (raw[0] = 2))}`;
      expect(await shows(newer, 'unknown-link', 'This link was made by a newer Holdfast')).toEqual([]);
      const flags = `${address}#${await fragment(single, (raw) => (raw[1] = 2))}`;
      expect(await shows(flags, 'unknown-link', 'This link was made by a newer Holdfast')).toEqual([]);
      // The key of a link with a password, as if it had none: nothing is asked without it.
      const [place, key = ''] = locked.split('#');
      const raw = Buffer.from(key, 'base64url');
      raw[1] = 0;
      expect(
        await shows(`${place}#${raw.toString('base64url')}`, 'checksum', 'The key in this link does not fit'),
      ).toEqual([]);
    });

    const versioned = (version: number): Evil =>
      changeJson('/look', (json) => {
        const record = Buffer.from(String(json['record']), 'base64url');
        record[0] = version;
        json['record'] = record.toString('base64url');
      });
    it.each<[string, string, () => Evil]>([
      ['version 0', 'version', () => versioned(0)],
      ['version 2', 'version', () => versioned(2)],
      ['a kind', 'encoding', () => sealedOtherwise(single, (record) => record.set(1, 3))],
      ['a field', 'encoding', () => sealedOtherwise(single, (record) => record.set(9, 1))],
    ])('%s in the record opens nothing, and nothing more is asked', async (_, detail, evil) => {
      fleet.front.evil = evil();
      expect(await shows(single, 'integrity', DAMAGED)).toEqual(['POST /look']);
      expect(await page.eval('document.querySelector(".problem .break").innerText')).toBe(detail);
    });

    it('and what is weaker, from the server, makes no guess of a password cheaper', async () => {
      const weak = { kdf: { name: 'argon2id', t: 1, m: 8, p: 1 }, t: 1, m: 8, p: 1, iterations: 1, salt: 'AAAA' };
      /** What the page made of the password and sent, in one request. */
      const auth = async (): Promise<unknown> => {
        fleet.record();
        await open(page, locked);
        await fill(page, 'input[type=password]', PASSWORD);
        await press(page, 'Open');
        await until(page, `document.querySelector('[data-testid=opened], [data-problem]')`);
        const seen = fleet.recorded();
        for (const { url, headers, body } of seen)
          expect(`${url} ${JSON.stringify(headers)} ${body}`).not.toContain(PASSWORD);
        expect(calls(seen)).toEqual(['POST /look']);
        return JSON.parse(String(seen.find(({ url }) => url.endsWith('/look'))?.body))['auth'];
      };
      const told = changeJson('', (json) => void Object.assign(json, weak));
      fleet.front.evil = (seen, answer) => (seen.url.startsWith('/api/') ? told(seen, answer) : undefined);
      const first = await auth();
      // It is what the command line made of the password when it sent.
      expect(await page.eval('document.querySelector("h1").innerText')).toBe('c.bin');
      fleet.front.evil = refuse('/look', 'unknown-version', 400, weak);
      expect(await auth()).toBe(first);
      expect(await problem(page)).toBe('out-of-date');
      expect(await page.eval('document.querySelector("h1").innerText')).toBe(OLD);
    });

    const grant = (change: (grant: { ticket: string; nodes: { declaration: string }[] }) => unknown): Evil =>
      changeJson('/uploads', async (json) => void (await change(json as Parameters<typeof change>[0])));
    const unknown = (fields: Fields): unknown => fields.set(10, 1);
    it.each<[string, string, () => void, string[]]>([
      ['the server’s protocol', OLD, () => (fleet.front.evil = refuse('/uploads', 'unknown-version', 400)), []],
      ['the nodes’ protocol', OLD, () => fleet.allLie(refuse('/blobs', 'unknown-version', 400)), ['POST /blobs']],
      [
        'a term of the ticket',
        UNTRUSTED,
        () => (fleet.front.evil = grant((g) => (g.ticket = unsigned(g.ticket, unknown)))),
        [],
      ],
      [
        'a term of a node',
        UNTRUSTED,
        () => {
          fleet.front.evil = grant(async ({ nodes }) => {
            for (const node of nodes) node.declaration = await redeclared(fleet, node.declaration, unknown);
          });
        },
        [],
      ],
    ])('%s ends a send, of which nothing stays', async (_, heading, lie, posts) => {
      lie();
      await choose(page, fleet.url, [outgoing]);
      fleet.record();
      await press(page, 'Encrypt and get a link');
      await until(page, `document.querySelector('[data-problem], [data-testid=sent]')`);
      expect(await page.eval('document.querySelector("h1").innerText')).toBe(heading);
      const asked = calls(fleet.recorded());
      expect(new Set(asked.filter((call) => /blobs/.test(call)))).toEqual(new Set(posts));
      expect(asked.filter((call) => /commit/.test(call))).toEqual([]);
    });
  });

  describe('T09, T10: a node that lies about what it holds', () => {
    const hash = (name: string): string => hashes[name] as string;
    const lying = (...lies: readonly BlobLie[]): Evil[] => lies.map((lie) => changeBlobs(lie));
    /** Only where the node was asked for a part. */
    const ofParts =
      (lie: BlobLie): BlobLie =>
      (body, name, query) => {
        if (!query.has('offset')) throw new RangeError('asked for the whole');
        return lie(body, name, query);
      };

    async function archived(): Promise<void> {
      const zip = await received(browser, page, 'several.zip', ZIP);
      const { 'single.bin': _, ...want } = hashes;
      expect(unzipped(zip)).toEqual(want);
      archive = await sha256(zip);
    }

    it('is left in the middle of a file', async () => {
      await open(page, single);
      for (const evil of [...lying(ofAnother, more), breakBlobs]) {
        const told = fleet.firstLies(evil);
        expect(await sha256(await received(browser, page, 'single.bin'))).toBe(hash('single.bin'));
        expect(told()).toBeGreaterThan(0);
      }
    });

    it('is left in a part of a pack', async () => {
      await open(page, bundle);
      for (const evil of [
        ...lying(...[oneByte, proof, size, less, more, ofAnother, elsewhere].map(ofParts)),
        breakBlobs,
      ]) {
        const told = fleet.firstLies(evil);
        expect(await sha256(await received(browser, page, 'a.bin', PART))).toBe(hash('a.bin'));
        expect(told()).toBeGreaterThan(0);
      }
    });

    it('is left in an archive, and in the list of its files', async () => {
      for (const evil of [...lying(oneByte, ofAnother), breakBlobs]) {
        const told = fleet.firstLies(evil);
        await open(page, bundle);
        const first = told();
        expect(first).toBeGreaterThan(0);
        await archived();
        expect(told()).toBeGreaterThan(first);
      }
    });

    const pairs: [string, BlobLie, BlobLie][] = [
      ['one byte, or the proof', oneByte, proof],
      ['less, or more', less, more],
      ['another blob, or another range', ofAnother, elsewhere],
    ];
    it.each(pairs)('and is not the only one ends a download of a part: %s', async (_, ...lies) => {
      await open(page, bundle);
      const ways = fleet.allLie(...lying(...lies.map(ofParts)));
      expect(await refused(browser, page, 'a.bin', hash('a.bin'), PART)).toBe('integrity');
      expect(ways()).toBe(2);
    });

    it('and is not the only one ends a download of a file', async () => {
      await open(page, single);
      const ways = fleet.allLie(...lying(ofAnother, more));
      expect(await refused(browser, page, 'single.bin', hash('single.bin'))).toBe('integrity');
      expect(ways()).toBe(2);
    });

    it('and is not the only one ends an archive, also behind good files', async () => {
      await open(page, bundle);
      if (archive === undefined) await archived();
      const ways = fleet.allLie(...lying(oneByte, ofAnother));
      expect(await refused(browser, page, 'several.zip', archive as string, ZIP)).toBe('integrity');
      expect(ways()).toBe(2);
      let late = 0;
      fleet.allLie(
        changeBlobs((body, name) => {
          // The pack and the first piece are good, the last piece is not.
          if (blob(name).length === 8 << 20 || blob(name).length < 1 << 19) return body;
          late++;
          return flip(body, body.length - 1);
        }),
      );
      expect(await refused(browser, page, 'several.zip', archive as string, ZIP)).toBe('integrity');
      expect(late).toBeGreaterThan(1);
      expect(await page.eval<string>('document.body.innerText')).toContain('not complete');
    });

    it('and is not the only one opens no list of files', async () => {
      const ways = fleet.allLie(...lying(oneByte, ofAnother));
      expect(await shows(bundle, 'integrity', DAMAGED)).not.toContain('POST /sessions');
      expect(ways()).toBe(2);
    });

    const content = (record: Fields): Fields => (record.get(2) as Fields).get(3) as Fields;
    it.each<[string, (record: Fields) => unknown]>([
      ['T22: bytes where padding must be', (record) => content(record).set(6, 8_999_999)],
      ['T11: another root', (record) => content(record).set(5, newKey())],
    ])('%s, from the sender, are no whole file', async (_, change) => {
      fleet.front.evil = sealedOtherwise(single, change);
      await open(page, single);
      expect(await refused(browser, page, 'single.bin', hash('single.bin'))).toBe('integrity');
    });
  });

  describe('T24: receipts', () => {
    type Seeds = readonly [Uint8Array, Uint8Array, ...Uint8Array[]];
    type Lie = (sending: Sending, seeds: Seeds) => Promise<string[]>;
    const by =
      (...lie: Parameters<typeof receipt>[2][]): Lie =>
      async (sending, seeds) =>
        Promise.all(seeds.map((seed) => receipt(sending, seed, ...lie)));
    const spoilt = (text: string): string =>
      flip(Buffer.from(text, 'base64url'), text.length >> 1).toString('base64url');
    const cut = (sending: Sending): Sending => ({ ...sending, size: sending.size - 1 });
    const lies: [string, Lie][] = [
      ['of another upload', (s, seeds) => by({ upload: newId<'upload'>() })(s, seeds)],
      ['for another blob', (s, seeds) => by()({ ...s, name: toText(newKey()) }, seeds)],
      ['for another size', (s, seeds) => by()(cut(s), seeds)],
      ['of nodes that no ticket names', (s) => by()(s, [newKey(), newKey()])],
      [
        'that others signed',
        async (s, [a, b]) => [
          await receipt(s, a, { node: await nodeOf(b) }),
          await receipt(s, b, { node: await nodeOf(a) }),
        ],
      ],
      ['that nobody signed', async (s, seeds) => (await by()(s, seeds)).map(spoilt)],
      ['of one node twice', (s, [a]) => by()(s, [a, a])],
    ];
    const giving = (lie: Lie): Evil => changeReceipts((sending) => lie(sending, [fleet.seed('DE'), fleet.seed('NZ')]));

    /** Watches what the page says of copies; leaving does not end it. */
    const watch = (): Promise<unknown> =>
      page.eval(`(() => { window.said = new Set(); new MutationObserver(() => {
        for (const dt of document.querySelectorAll('dt')) window.said.add(dt.innerText + ': ' + dt.nextElementSibling.innerText); }).observe(document.body, { subtree: true, childList: true, characterData: true }); })()`);

    /** The page goes on trying, says nothing of two copies, and gives no link. */
    async function storesNothing(once: number): Promise<void> {
      await choose(page, fleet.url, [outgoing]);
      await watch();
      fleet.record();
      await press(page, 'Encrypt and get a link');
      await until(
        page,
        `document.body.innerText.includes('trying again') || document.querySelector('[data-problem], [data-testid=sent]')`,
      );
      expect(await page.eval('document.querySelector("[data-problem], [data-testid=sent]")?.innerText ?? ""')).toBe('');
      await press(page, 'Cancel');
      await until(page, `!document.querySelector('[aria-busy=true]')`);
      const said = await page.eval<string[]>('[...window.said]');
      const stood = (n: number): string[] =>
        said.filter((s) => s.startsWith(`Stored ${n} of 2`) && !s.includes(': 0 B of'));
      expect(stood(2)).toEqual([]);
      expect(stood(1)).toHaveLength(once);
      expect(said.length).toBeGreaterThan(3);
      expect(calls(fleet.recorded()).filter((call) => /commit/.test(call))).toEqual([]);
    }

    it.each(lies)('%s, from the node asked first: another one stores it', async (_, lie) => {
      await choose(page, fleet.url, [outgoing]);
      const told = fleet.firstLies(giving(lie));
      await press(page, 'Encrypt and get a link');
      await sent(page);
      expect(told()).toBeGreaterThan(0);
    });

    it('that do not hold, from all nodes, are no copy', async () => {
      for (const from of [0, 2]) {
        const ways = fleet.allLie(...lies.slice(from, from + 3).map(([, lie]) => giving(lie)));
        await storesNothing(0);
        expect(ways()).toBe(3);
      }
    });

    it('of one node twice, from all nodes, are one copy', async () => {
      fleet.allLie(giving((s, [a]) => by()(s, [a, a])));
      await storesNothing(1);
    });

    const names = { DE: 'Straße & Co', NZ: 'STRASSE & CO', IS: ' strasse  &  co ' };
    it.each<[string, number, Record<Country, string>]>([
      ['law', 3, { DE: 'DE', NZ: 'DE', IS: 'DE' }],
      ['company', 2, names],
    ])('of nodes under one %s, which server and nodes hid, are one copy', async (_, key, declared) => {
      fleet.front.evil = changeJson('/uploads', async (json) => {
        for (const node of json['nodes'] as { declaration: string }[])
          node.declaration = await redeclared(fleet, node.declaration, (d, country) => d.set(key, declared[country]));
      });
      await storesNothing(1);
    });
  });
});
