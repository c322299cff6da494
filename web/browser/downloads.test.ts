import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Browser, type Page, pause, press, until } from './browser.ts';
import { makeFile, sha256 } from './files.ts';
import { COUNTRIES, Fleet } from './fleet.ts';
import { BROWSERS, clear, open, problem, received } from './steps.ts';

// A download on a line that is slow, or away, and what becomes of it without its page, its browser's consent or its worker.

const SIZE = 30_000_000;
const RATE = 2_000_000;

let fleet: Fleet;
let link: string;
let hash: string;
const name = 'film.bin';
beforeAll(async () => {
  fleet = await Fleet.start();
  mkdirSync(join(fleet.dir, 'files'));
  const path = join(fleet.dir, 'files', name);
  hash = await makeFile(path, SIZE);
  link = await fleet.send([path]);
});
afterAll(() => fleet?.stop());

const slow = (rate = RATE): void => {
  for (const front of fleet.fronts) front.bytesPerSecond = rate;
};
const begun = `/^[1-9]\\d?%/.test(document.title)`;

describe.each(BROWSERS)('%s', (kind, launch) => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    clear(browser);
    page = await browser.newPage();
    await open(page, link);
  });
  afterEach(() => fleet.honest());

  /** What changes at a place of the page, each text once. */
  const watch = (as: string, selector: string): Promise<unknown> =>
    page.eval(`(() => { window.${as} = []; const look = () => { for (const n of document.querySelectorAll(${JSON.stringify(selector)}))
      if (window.${as}.at(-1) !== n.innerText) window.${as}.push(n.innerText); };
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true }); look(); })()`);

  /** No file of this name is whole, nor called so. */
  async function nothingWhole(): Promise<void> {
    const states = await browser.settledDownloads(name, 300);
    expect(states).not.toContain('completed');
    for (const file of readdirSync(browser.downloads)) {
      if (file === name) expect(statSync(join(browser.downloads, file)).size, `${file} looks like the file`).toBe(0);
    }
  }

  it('says what share came, but not at every step', async () => {
    await watch('spoken', '[data-testid=spoken]');
    slow(8_000_000);
    expect(await sha256(await received(browser, page, name))).toBe(hash);
    const spoken = await page.eval<string[]>('window.spoken');
    expect(spoken.at(-1)).toBe('Downloaded and checked.');
    expect(spoken.length).toBeGreaterThan(4);
    expect(spoken.length).toBeLessThan(15);
    expect(spoken.slice(2, -1).every((text) => /^\d*0 % downloaded$/.test(text))).toBe(true);
  });

  it('waits for nodes that are all away, says so, and goes on', async () => {
    await watch('notes', '.notice');
    let passed = 0;
    let away: Promise<unknown> | undefined;
    for (const country of COUNTRIES) {
      fleet.node(country).onBlobBytes = (n) => {
        passed += n;
        if (passed > SIZE / 2) away ??= Promise.all(COUNTRIES.map((c) => fleet.kill(c)));
      };
    }
    await press(page, 'Download');
    await until(page, `window.notes.some((n) => n.includes('trying again'))`);
    await away;
    for (const country of COUNTRIES) await fleet.startNode(country);
    const done = await browser.waitDownload(name);
    expect(done.state).toBe('completed');
    expect(await sha256(done.file)).toBe(hash);
    await until(page, `document.querySelector('[data-testid=done]')`);
  });

  it('is cancelled on the page', async () => {
    slow();
    await press(page, 'Download');
    await until(page, begun);
    await press(page, 'Cancel');
    await until(page, `!document.querySelector('[role=progressbar]')`);
    await nothingWhole();
  });

  if (kind === 'Chromium') {
    it('is cancelled in the browser’s list, and the page says so', async () => {
      slow();
      await press(page, 'Download');
      await until(page, begun);
      await browser.cancelDownload?.(name);
      expect(await problem(page)).toBe('stopped');
      await nothingWhole();
    });

    it('goes on while its page is frozen', async () => {
      slow(900_000);
      await press(page, 'Download');
      await until(page, begun);
      await page.freeze?.();
      const done = await browser.waitDownload(name, 90_000);
      expect(done.state).toBe('completed');
      expect(await sha256(done.file)).toBe(hash);
    });

    it('goes on when its page is closed', async () => {
      slow();
      await press(page, 'Download');
      await until(page, begun);
      await page.close();
      const done = await browser.waitDownload(name, 60_000);
      expect(done.state).toBe('completed');
      expect(await sha256(done.file)).toBe(hash);
    });
  } else {
    it('fails when its page is closed: a worker without a page is ended, and the part would look whole', async () => {
      slow(600_000);
      await press(page, 'Download');
      await until(page, begun);
      await page.close();
      await pause(35_000); // longer than Firefox lets an idle worker live
      await nothingWhole();
    });
  }

  it('whose worker ends is called failed by the page', async () => {
    slow();
    await press(page, 'Download');
    await until(page, begun);
    await page.eval(
      `navigator.serviceWorker.getRegistrations().then((all) => Promise.all(all.map((r) => r.unregister())))`,
    );
    // Firefox ends it at once; Chromium lets it finish.
    await until(page, `document.querySelector('[data-problem=stopped], [data-testid=done]')`, 60_000);
    const whole = await page.eval<boolean>(`Boolean(document.querySelector('[data-testid=done]'))`);
    if (!whole) expect(await page.eval<string>('document.body.innerText')).toContain('not complete');
    else expect(await sha256((await browser.waitDownload(name)).file)).toBe(hash);
  });
});
