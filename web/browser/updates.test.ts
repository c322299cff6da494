import { appendFileSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Browser, type Page, pause, press, until } from './browser.ts';
import { makeFile, sha256 } from './files.ts';
import { Fleet } from './fleet.ts';
import { BROWSERS, open, received } from './steps.ts';

// The service changes while a download runs: a storage server joins, a new version is released. Browsers replace service
// workers whose script changed, and Firefox calls what the old one had given a whole file.

const SIZE = 40_000_000;
const built = process.env['HOLDFAST_WEB'] ?? join(import.meta.dirname, '..', 'dist');

describe.each(BROWSERS)('%s', (_, launch) => {
  let fleet: Fleet;
  let browser: Browser;
  let first: Page;
  let second: Page;

  interface Sent {
    readonly name: string;
    readonly link: string;
    readonly hash: string;
  }
  async function make(name: string, size: number): Promise<Sent> {
    const path = join(fleet.dir, 'files', name);
    const hash = await makeFile(path, size);
    return { name, link: await fleet.send([path]), hash };
  }
  async function gets(page: Page, { name, link, hash }: Sent): Promise<void> {
    await open(page, link);
    expect(await sha256(await received(browser, page, name))).toBe(hash);
  }
  beforeAll(async () => {
    fleet = await Fleet.start(['DE', 'NZ']);
    mkdirSync(join(fleet.dir, 'files'));
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    await fleet?.stop();
  });
  beforeEach(async () => {
    first = await browser.newPage();
    second = await browser.newPage();
  });
  afterEach(async () => {
    fleet.honest();
    await first.close();
    await second.close();
  });

  const running = `/^[1-9]\\d?%/.test(document.title)`;
  /** The scopes below /sw/, and whether anything waits to replace a worker there. */
  const workers = (): Promise<{ scope: string; replaced: boolean }[]> =>
    first.eval(
      `navigator.serviceWorker.getRegistrations().then((all) => all.map((r) => ({ scope: new URL(r.scope).pathname, replaced: Boolean(r.waiting || r.installing) })))`,
    );

  async function survives(name: string, change: () => Promise<void>): Promise<void> {
    const [long, short, last] = [
      await make(`${name}-long`, SIZE),
      await make(`${name}-short`, 1000),
      await make(`${name}-last`, 9),
    ];
    for (const front of fleet.fronts) front.bytesPerSecond = 1_500_000;
    await open(first, long.link);
    await press(first, 'Download');
    await until(first, running);
    const before = await workers();
    await change();
    await open(second, short.link);
    await press(second, 'Download');
    expect(await sha256((await browser.waitDownload(short.name)).file)).toBe(short.hash);
    await until(second, `document.querySelector('[data-testid=done]')`);
    await pause(2000); // browsers look for a new script a second after a worker was used
    const after = await workers();
    expect(await first.eval(running), await first.eval<string>('document.body.innerText')).toBe(true);
    expect(after.map((w) => w.scope)).toEqual(expect.arrayContaining(before.map((w) => w.scope)));
    expect(after.length).toBe(before.length + 1);
    expect(after.filter((w) => w.replaced)).toEqual([]);
    const done = await browser.waitDownload(long.name, 90_000);
    expect(done.state).toBe('completed');
    expect(await sha256(done.file)).toBe(long.hash);
    await until(first, `document.querySelector('[data-testid=done]')`);
    // With the next download, what is not of now goes.
    fleet.honest();
    await gets(first, last);
    for (let left = 50; left > 0 && (await workers()).length > 1; left--) await pause(100);
    expect(await workers()).toHaveLength(1);
  }

  it('a storage server joins while a download runs, and another one begins', async () => {
    await survives('joins', () => fleet.join('IS'));
  });

  it('a new version is released while a download runs, and another one begins', async () => {
    await survives('released', async () => {
      const next = join(fleet.dir, 'web');
      cpSync(built, next, { recursive: true });
      appendFileSync(join(next, 'sw.js'), '\n// another one\n');
      await fleet.release(next);
    });
  });

  it('a page of the version before says that it is old, instead of speaking to a worker of another one', async () => {
    const file = await make('old', 1000);
    await open(first, file.link);
    const older = join(fleet.dir, 'web-older');
    cpSync(built, older, { recursive: true });
    appendFileSync(join(older, 'sw.js'), '\n// yet another one\n');
    await fleet.release(older);
    await press(first, 'Download');
    await until(first, `document.querySelector('[data-problem=out-of-date]')`);
    await gets(first, file);
  });
});
