import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Browser, type Page, pause, press, until } from './browser.ts';
import { makeFile, sha256 } from './files.ts';
import { COUNTRIES, type Country, Fleet } from './fleet.ts';
import { BROWSERS, choose, open, problem, received, sent } from './steps.ts';

// Nodes that end or hang in the middle: sends and downloads finish, with the same bytes, and people are told.

const SIZE = 40_000_000;
let fleet: Fleet;
let path: string;
let hash: string;
beforeAll(async () => {
  fleet = await Fleet.start();
  mkdirSync(join(fleet.dir, 'files'));
  path = join(fleet.dir, 'files', 'long.bin');
  hash = await makeFile(path, SIZE);
});
afterAll(() => fleet?.stop());

/** Calls once, with the node over which they went, when so many bytes of blobs have passed. */
function once(bytes: number, strike: (country: Country) => void): () => Country | undefined {
  let passed = 0;
  let struck: Country | undefined;
  for (const country of COUNTRIES) {
    fleet.node(country).onBlobBytes = (n) => {
      passed += n;
      if (passed < bytes || struck !== undefined) return;
      struck = country;
      strike(country);
    };
  }
  return () => struck;
}

describe.each(BROWSERS)('%s', (_, launch) => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    page = await browser.newPage();
  });
  afterEach(async () => {
    await page.close();
    fleet.honest();
  });

  /** Notes stand on the page for moments only: an observer keeps them. */
  const watchNotes = (): Promise<unknown> =>
    page.eval(`(() => { window.notes = new Set(); new MutationObserver(() => {
      for (const n of document.querySelectorAll('.notice')) window.notes.add(n.innerText); }).observe(document.body, { subtree: true, childList: true, characterData: true }); })()`);
  const notes = (): Promise<string> => page.eval<string>('[...window.notes].join("\\n")');

  it('a node is killed in the middle of a send, and in the middle of the download', async () => {
    await choose(page, fleet.url, [path]);
    await watchNotes();
    const killed = once(SIZE / 4, (country) => void fleet.kill(country));
    await press(page, 'Encrypt and get a link');
    const link = await sent(page);
    const first = killed();
    expect(first).toBeDefined();
    expect(await notes()).toMatch(/another one takes over|trying again/);
    await fleet.startNode(first as Country);
    await open(page, link);
    await watchNotes();
    const second = once(SIZE / 3, (country) => void fleet.kill(country));
    expect(await sha256(await received(browser, page, 'long.bin'))).toBe(hash);
    expect(second()).toBeDefined();
    expect(await notes()).toContain('another one goes on');
    await fleet.startNode(second() as Country);
  });

  it('a node hangs in the middle of a download', async () => {
    const link = await fleet.send([path]);
    await open(page, link);
    const stopped = once(SIZE / 3, (country) => fleet.signal(country, 'SIGSTOP'));
    expect(await sha256(await received(browser, page, 'long.bin'))).toBe(hash);
    const country = stopped();
    expect(country).toBeDefined();
    fleet.signal(country as Country, 'SIGCONT');
    await pause(600); // a heartbeat, so that the node counts again
  });

  it('a node hangs in the middle of a send', async () => {
    await choose(page, fleet.url, [path]);
    const stopped = once(SIZE / 4, (country) => fleet.signal(country, 'SIGSTOP'));
    await press(page, 'Encrypt and get a link');
    const link = await sent(page);
    fleet.signal(stopped() as Country, 'SIGCONT');
    fleet.honest();
    await open(page, link);
    expect(await sha256(await received(browser, page, 'long.bin'))).toBe(hash);
  });

  it('too few nodes are told before anything is sent', async () => {
    await choose(page, fleet.url, [path]);
    await fleet.kill('DE');
    await fleet.kill('NZ');
    try {
      await pause(2500); // until the server knows: the node time-out of this fleet and a sweep
      await press(page, 'Encrypt and get a link');
      expect(await problem(page)).toBe('no-placement');
      await page.goto(fleet.url);
      await until(page, `document.body.innerText.includes('Too few independent storage servers')`);
    } finally {
      await fleet.startNode('DE');
      await fleet.startNode('NZ');
    }
  });
});
