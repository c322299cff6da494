import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Bare, startBare, TRANSFER_PAGE } from './bare.ts';
import type { Browser, Page } from './browser.ts';
import { makeFile, sha256 } from './files.ts';
import { alternate, MEASURED_BYTES, secondsTo } from './rounds.ts';
import { type Service, startService } from './service.ts';
import { BROWSERS, choose, open, sent } from './steps.ts';

// Rows C1 and C2: how fast a file goes up and comes down, against what the same browser does without encryption. The
// product's side has server and three nodes as processes on the same machine, and stores two fsynced copies; the other side
// is the bare server of bare.mjs, which stores nothing. Times run from the click until the page says that it is done, and
// where something goes to the disk until the browser says so, too.

let work: string;
let path: string;
let hash: string;
let bare: Bare;
beforeAll(async () => {
  work = mkdtempSync(join(process.env['HOLDFAST_MEASURE_DIR'] ?? tmpdir(), 'holdfast-speed-'));
  path = join(work, 'large.bin');
  hash = await makeFile(path, MEASURED_BYTES);
  bare = await startBare({ 'transfer.html': TRANSFER_PAGE }, path);
}, 600_000);
afterAll(async () => {
  await bare?.stop();
  rmSync(work, { recursive: true, force: true });
});

/** Does something in a page of its own. */
async function inPage<T>(browser: Browser, url: string, run: (page: Page) => Promise<T>): Promise<T> {
  const page = await browser.newPage(url);
  try {
    return await run(page);
  } finally {
    await page.close();
  }
}

const onBare = (browser: Browser, run: (page: Page) => Promise<number>): Promise<number> =>
  inPage(browser, `${bare.url}/transfer.html`, run);

const upload = (browser: Browser, service: Service): Promise<number> =>
  inPage(browser, 'about:blank', async (page) => {
    await choose(page, service.url, [path]);
    return secondsTo(page, 'Encrypt and get a link', '[data-testid=sent]');
  });

const plainUpload = (browser: Browser): Promise<number> =>
  onBare(browser, async (page) => {
    await page.setFiles('input', [path]);
    return page.eval<number>('uploaded()');
  });

const rawFetch = (browser: Browser): Promise<number> =>
  onBare(browser, (page) => page.eval<number>(`fetched(${MEASURED_BYTES})`));

/** Seconds until a download has both been reported by whoever started it, and stands on disk; the file is removed. */
async function saved(browser: Browser, name: string, start: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  const [done] = await Promise.all([browser.waitDownload(name, 900_000), start()]);
  const seconds = (performance.now() - begin) / 1000;
  expect(done.state).toBe('completed');
  expect(statSync(done.file).size).toBe(MEASURED_BYTES);
  if (!checked.has(browser)) expect(await sha256(done.file)).toBe(hash); // in the round that does not count
  checked.add(browser);
  rmSync(done.file);
  return seconds;
}
const checked = new Set<Browser>();

const download = (browser: Browser, page: Page, link: string): Promise<number> =>
  open(page, link).then(() => saved(browser, 'large.bin', () => secondsTo(page, 'Download', '[data-testid=done]')));

const nativeDownload = (browser: Browser): Promise<number> =>
  onBare(browser, (page) => saved(browser, 'saved.bin', () => page.eval(`document.querySelector('a').click()`)));

it.each(BROWSERS)('%s', { timeout: 3_600_000 }, async (_, launch) => {
  const service = await startService();
  try {
    let browser = await launch();
    await alternate('C1', browser, {
      holdfast: () => upload(browser, service),
      'plain upload': () => plainUpload(browser),
    });
    const sender = await browser.newPage();
    await choose(sender, service.url, [path]);
    await secondsTo(sender, 'Encrypt and get a link', '[data-testid=sent]');
    const link = await sent(sender);
    await browser.close();
    browser = await launch();
    const receiver = await browser.newPage();
    await alternate('C2', browser, {
      holdfast: () => download(browser, receiver, link),
      'raw fetch': () => rawFetch(browser),
      'native download': () => nativeDownload(browser),
    });
    await browser.close();
  } finally {
    await service.stop();
  }
});
