import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Browser, fill, type Page, press, until } from './browser.ts';
import { makeFile, sha256, unzipped } from './files.ts';
import { holdfast, type Service, startService } from './service.ts';
import { open, received, seesProblem, send } from './steps.ts';
import { launchWebKit } from './webkit.ts';

// A smoke test in a third engine, the one that Safari and every browser on an iPhone have.

let service: Service;
let work: string;
let browser: Browser;
let page: Page;
beforeAll(async () => {
  service = await startService();
  work = mkdtempSync(join(tmpdir(), 'holdfast-webkit-'));
  browser = await launchWebKit();
  page = await browser.newPage();
});
afterAll(async () => {
  await browser?.close();
  await service?.stop();
  rmSync(work, { recursive: true, force: true });
});

it('sends a file and receives the same bytes', async () => {
  const path = join(work, 'holiday film.bin');
  const want = await makeFile(path, 20_000_000);
  const link = await send(page, service.url, [path]);
  const places = await page.eval<string>(`document.querySelector('[data-testid=places]').innerText`);
  expect(places).toMatch(/^Stored in (Germany|New Zealand|Iceland) and (Germany|New Zealand|Iceland)$/);
  await open(page, link);
  expect(await page.eval('location.hash')).toBe('');
  expect(await sha256(await received(browser, page, 'holiday film.bin'))).toBe(want);
  const out = join(work, 'from page.bin');
  await holdfast(join(work, 'home'), ['receive', link, '-o', out]);
  expect(await sha256(out)).toBe(want);
});

it('opens what the command line sent', async () => {
  const path = join(work, 'small.txt');
  const want = await makeFile(path, 1000);
  const link = await holdfast(join(work, 'home'), ['send', '--server', service.url, path]);
  await open(page, link);
  expect(await sha256(await received(browser, page, 'small.txt'))).toBe(want);
});

it('receives several files behind a password as one ZIP', async () => {
  const files = ['one.bin', 'two.bin'].map((name) => join(work, name));
  const hashes = await Promise.all(files.map((file) => makeFile(file, 300_000)));
  const link = await send(page, service.url, files, { password: 'correct horse' });
  await open(page, link);
  await fill(page, 'input[type=password]', 'correct horse');
  await press(page, 'Open');
  await until(page, `document.querySelector('[data-testid=opened]')`);
  const zip = await received(browser, page, 'holdfast.zip', 'Download all as ZIP');
  expect(unzipped(zip)).toEqual({ 'one.bin': hashes[0], 'two.bin': hashes[1] });
});

it('says what is wrong with a link that was cut short', async () => {
  const path = join(work, 'other.txt');
  await makeFile(path, 1000);
  const link = await holdfast(join(work, 'home'), ['send', '--server', service.url, path]);
  await seesProblem(page, link.slice(0, -5), 'cut');
});
