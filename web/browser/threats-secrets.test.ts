import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Browser, fill, type Page, pause, press, until } from './browser.ts';
import { makeFile } from './files.ts';
import { Fleet } from './fleet.ts';
import type { Seen } from './front.ts';
import { BROWSERS, choose, open, problem, received, send } from './steps.ts';

// What leaves the browser (row 17), what guesses of a password meet (row 18), and files that change while they are
// sent (row 12).

const PASSWORD = 'Zebra-crossing 1967';
const NAME = 'quarterly-figures-topsecret.txt';
const MARKER = 'the-marker-in-the-middle-of-the-content';

/** The forms in which a secret could leave: as it is, hexadecimal, base64 at each of three offsets, percent-encoded. */
function forms(secret: Buffer): [string, string][] {
  const all: [string, string][] = [
    ['raw', secret.toString('latin1')],
    ['hex', secret.toString('hex')],
    ['HEX', secret.toString('hex').toUpperCase()],
    ['percent', [...secret].map((b) => `%${b.toString(16).padStart(2, '0')}`).join('')],
    ['encodeURIComponent', encodeURIComponent(secret.toString('utf8'))],
  ];
  for (const offset of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(offset), secret])
      .toString('base64')
      .replace(/=+$/, '');
    const inner = text.slice(offset === 0 ? 0 : offset + 1, -2);
    all.push([`base64+${offset}`, inner], [`base64url+${offset}`, inner.replaceAll('+', '-').replaceAll('/', '_')]);
  }
  return all;
}

function searched(seen: readonly Seen[], secrets: ReadonlyMap<string, Buffer>): string[] {
  const texts = seen.map(({ method, url, headers, body }) => ({
    where: `${method} ${url.split('?')[0]}`,
    text: `${url}\n${JSON.stringify(headers)}\n${body.toString('latin1')}`,
  }));
  const found: string[] = [];
  for (const [name, secret] of secrets) {
    for (const [form, needle] of forms(secret)) {
      for (const { where, text } of texts) if (text.includes(needle)) found.push(`${name} as ${form} in ${where}`);
    }
  }
  return found;
}

let fleet: Fleet;
let stranger: Server;
let visits = 0;
beforeAll(async () => {
  fleet = await Fleet.start();
  mkdirSync(join(fleet.dir, 'files'));
  stranger = createServer((_, res) => {
    visits++;
    res.setHeader('Access-Control-Allow-Origin', '*');
    res.end('hello');
  });
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  stranger?.close();
  await fleet?.stop();
});

/** What the page's own storages hold, as text. */
const STORED = `(async () => {
  const all = [...Object.entries(localStorage)].flat();
  for (const { name } of await indexedDB.databases()) {
    const db = await new Promise((r) => { const q = indexedDB.open(name); q.onsuccess = () => r(q.result); });
    for (const store of db.objectStoreNames) {
      const q = db.transaction(store).objectStore(store).getAll();
      await new Promise((r) => (q.onsuccess = r));
      all.push(JSON.stringify(q.result));
    }
    db.close();
  }
  for (const name of await caches.keys()) all.push(name);
  return all.join('\\n') + document.cookie;
})()`;

describe.each(BROWSERS)('%s', (browserName, launch) => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch();
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());

  it('T17: neither key, password, name nor content leaves, in any form', async () => {
    const path = join(fleet.dir, 'files', NAME);
    writeFileSync(path, `${'x'.repeat(50_000)}${MARKER}${'y'.repeat(50_000)}`);
    fleet.record();
    const link = await send(page, fleet.url, [path], { password: PASSWORD });
    const stored = await page.eval<string>(STORED);
    await open(page, link);
    expect(await page.eval('location.href')).toBe(link.split('#')[0]);
    await fill(page, 'input[type=password]', PASSWORD);
    await press(page, 'Open');
    await until(page, `document.querySelector('[data-testid=opened]')`);
    await received(browser, page, NAME);
    const seen = fleet.recorded();
    const fragment = link.split('#')[1] ?? '';
    const whole = Buffer.from(fragment, 'base64url');
    const secrets = new Map([
      ['fragment', Buffer.from(fragment)],
      ['link secret', whole.subarray(2, 34)],
      ['half of the secret', whole.subarray(2, 18)],
      ['password', Buffer.from(PASSWORD)],
      ['name', Buffer.from(NAME)],
      ['content', Buffer.from(MARKER)],
    ]);
    // The search finds what is there: all that was sent is in what was kept.
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.some(({ method, url, body }) => method === 'POST' && url === '/blobs' && body.length > 100_000)).toBe(
      true,
    );
    expect(searched(seen, new Map([['handle', Buffer.from(link.slice(-74, -52))]]))).not.toEqual([]);
    expect(searched(seen, secrets)).toEqual([]);
    expect(
      seen.filter(({ headers }) => (headers.referer ?? '').includes('/s/')),
      'Referer',
    ).toEqual([]);
    expect(
      seen.filter(({ headers }) => headers.cookie !== undefined),
      'cookies',
    ).toEqual([]);
    for (const text of [stored, await page.eval<string>(STORED)]) {
      expect(text).not.toContain(fragment);
      expect(text).not.toContain(PASSWORD);
    }
  });

  it('T17: the policy lets the page reach the service and its nodes, and nobody else', async () => {
    const { port } = stranger.address() as AddressInfo;
    visits = 0;
    await open(page, `${fleet.url}/s/AAAAAAAAAAAAAAAAAAAAAA#x`);
    for (const host of [`http://127.0.0.1:${port}`, `http://localhost:${port}`]) {
      const get = `fetch(${JSON.stringify(host)}).then(() => 'reached', () => 'refused')`;
      expect(await page.eval(get), host).toBe('refused');
      const image = `new Promise((r) => { const i = new Image(); i.onload = () => r('reached'); i.onerror = () => r('refused'); i.src = ${JSON.stringify(host)}; })`;
      expect(await page.eval(image), host).toBe('refused');
      await page.eval(`navigator.sendBeacon(${JSON.stringify(host)}, 'x')`);
    }
    await pause(200);
    expect(visits).toBe(0);
    expect(await page.eval(`fetch('/api/v1/info').then((r) => r.status)`)).not.toBe(0);
  });

  it('T18: wrong passwords are told, and too many of them bring a pause that is told too', async () => {
    const path = join(fleet.dir, 'files', 'guessed.bin');
    await makeFile(path, 1000);
    const link = await send(page, fleet.url, [path], { password: PASSWORD });
    await open(page, link);
    const codes: string[] = [];
    for (let i = 0; i < 12 && codes.at(-1) !== 'rate-limited'; i++) {
      await fill(page, 'input[type=password]', `guess ${i}`);
      await page.eval(`document.querySelector('[data-problem]')?.removeAttribute('data-problem')`);
      await press(page, 'Open');
      await until(
        page,
        `!document.querySelector('button[type=submit]').disabled && document.querySelector('[data-problem]')`,
      );
      codes.push(await problem(page));
    }
    expect(codes.slice(0, 9)).toEqual(Array.from({ length: 9 }, () => 'wrong-password'));
    expect(codes.at(-1)).toBe('rate-limited');
    expect(await page.eval<string>('document.body.innerText')).toMatch(/pause between tries now.*\(\d+ s\)/);
    // The right one has to wait like all others, or it could be told by that.
    await fill(page, 'input[type=password]', PASSWORD);
    await page.eval(`document.querySelector('[data-problem]')?.removeAttribute('data-problem')`);
    await press(page, 'Open');
    expect(await problem(page)).toBe('rate-limited');
  });

  const changes: [string, (path: string) => void][] = [['made shorter', (path) => truncateSync(path, 1_000_000)]];
  // Firefox opens a chosen file by its path whenever it is read, and tells neither of growth nor of other bytes.
  if (browserName === 'Chromium')
    changes.push(
      ['made longer', (path) => appendFileSync(path, 'more')],
      ['written anew', (path) => writeFileSync(path, 'x')],
    );

  it.each(changes)(
    'T12: a file %s between choosing and sending is told, and nothing is committed',
    async (_, change) => {
      const path = join(fleet.dir, 'files', 'changing.bin');
      await makeFile(path, 3_000_000);
      await choose(page, fleet.url, [path]);
      await pause(20); // so that the time of change differs
      change(path);
      fleet.record();
      await press(page, 'Encrypt and get a link');
      expect(['file-changed', 'file-unreadable']).toContain(await problem(page));
      expect(fleet.recorded().filter(({ url }) => url.endsWith('/commit'))).toEqual([]);
    },
  );

  it('T12: a file made shorter while it is sent is told, and nothing is committed', async () => {
    const path = join(fleet.dir, 'files', 'growing.log');
    await makeFile(path, 80_000_000);
    await choose(page, fleet.url, [path]);
    fleet.record();
    let bytes = 0;
    for (const front of fleet.fronts) {
      front.onBlobBytes = (n) => {
        bytes += n;
        if (bytes > 4_000_000 && bytes - n <= 4_000_000) truncateSync(path, 10_000_000);
      };
    }
    await press(page, 'Encrypt and get a link');
    const code = await problem(page, 60_000);
    fleet.honest();
    expect(['file-changed', 'file-unreadable']).toContain(code);
    expect(fleet.recorded().filter(({ url }) => url.endsWith('/commit'))).toEqual([]);
  });
});
