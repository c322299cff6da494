import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Browser, fill, type Page, press, until } from './browser.ts';
import { makeFile, sha256 } from './files.ts';
import { holdfast, type Service, startService } from './service.ts';
import { BROWSERS, open, problem, received, seesProblem, send } from './steps.ts';

// From a dropped file to the same bytes elsewhere, in both browsers, against the built program.

let service: Service;
let work: string;

beforeAll(async () => {
  service = await startService();
  work = mkdtempSync(join(tmpdir(), 'holdfast-journeys-'));
});
afterAll(async () => {
  await service?.stop();
  rmSync(work, { recursive: true, force: true });
});

describe.each(BROWSERS)('%s', (name, launch) => {
  let browser: Browser;
  let page: Page;
  const home = (): string => join(work, `${name}-home`);
  beforeAll(async () => {
    browser = await launch();
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());

  it('sends a file and receives the same bytes', async () => {
    const path = join(work, name, 'holiday film.bin');
    const want = await makeFile(path, 20_000_000);
    const link = await send(page, service.url, [path]);
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/s\/[\w-]{22}#[\w-]{51}$/);
    const places = await page.eval<string>(`document.querySelector('[data-testid=places]').innerText`);
    expect(places).toMatch(/^Stored in (Germany|New Zealand|Iceland) and (Germany|New Zealand|Iceland)$/);
    await open(page, link);
    expect(await page.eval('location.hash')).toBe('');
    expect(await page.eval('document.querySelector("h1").innerText')).toBe('holiday film.bin');
    expect(await sha256(await received(browser, page, 'holiday film.bin'))).toBe(want);
  });

  it('opens with the command line what the page sent, and the other way round', async () => {
    const path = join(work, name, 'both ways.bin');
    const want = await makeFile(path, 3_000_001);
    const link = await send(page, service.url, [path]);
    const out = join(work, name, 'from page.bin');
    await holdfast(home(), ['receive', link, '-o', out]);
    expect(await sha256(out)).toBe(want);
    const back = await holdfast(home(), ['send', '--server', service.url, path]);
    await open(page, back);
    expect(await sha256(await received(browser, page, 'both ways.bin'))).toBe(want);
  });

  it('receives many files as one ZIP', async () => {
    const dir = join(work, name, 'tree');
    const sizes: Record<string, number> = {
      'a.txt': 0,
      'b/c.bin': 5,
      'b/grüße 🙂.bin': 300_000,
      'd/large.bin': 9_000_000,
    };
    const want = new Map<string, string>();
    for (const [path, size] of Object.entries(sizes)) want.set(path, await makeFile(join(dir, path), size));
    mkdirSync(join(dir, 'empty'), { recursive: true });
    const link = await holdfast(home(), ['send', '--server', service.url, dir]);
    await open(page, link);
    expect(await page.eval(`document.body.innerText.includes('grüße 🙂.bin')`)).toBe(true);
    const title = await page.eval<string>('document.querySelector("h1").innerText');
    const zip = await received(browser, page, `${title === '4 files' ? 'holdfast' : title}.zip`, 'Download all as ZIP');
    const into = join(work, name, 'unzipped');
    execFileSync('/usr/bin/python3', ['-m', 'zipfile', '-e', zip, into]);
    // The folder that was sent stands at the top, as on the sender's disk, and nothing beside it.
    const found = readdirSync(into, { recursive: true, encoding: 'utf8' }).sort();
    const tree = ['a.txt', 'b', 'b/c.bin', 'b/grüße 🙂.bin', 'd', 'd/large.bin', 'empty'].map((f) => `tree/${f}`);
    expect(found).toEqual(['tree', ...tree].sort());
    expect(statSync(join(into, 'tree/empty')).isDirectory()).toBe(true);
    for (const [path, hash] of want) expect(await sha256(join(into, 'tree', path)), path).toBe(hash);
  });

  it('sends several files as one link and receives one of them', async () => {
    const paths = ['one.bin', 'two.bin', 'three.bin'].map((f) => join(work, name, 'several', f));
    const hashes: string[] = [];
    for (const [i, path] of paths.entries()) hashes.push(await makeFile(path, 1000 * (i + 1)));
    const link = await send(page, service.url, paths);
    await open(page, link);
    await page.eval(`document.querySelector('[aria-label="Download two.bin"]').click()`);
    const done = await browser.waitDownload('two.bin');
    expect(done.state).toBe('completed');
    expect(await sha256(done.file)).toBe(hashes[1]);
  });

  it('asks for a password, refuses a wrong one, and opens with the right one', async () => {
    const path = join(work, name, 'secret.bin');
    const want = await makeFile(path, 1234);
    const link = await send(page, service.url, [path], { password: 'correct horse' });
    await open(page, link);
    expect(await page.eval(`Boolean(document.querySelector('[data-testid=ask-password]'))`)).toBe(true);
    await fill(page, 'input[type=password]', 'wrong');
    await press(page, 'Open');
    await until(page, `document.querySelector('[data-problem]')`);
    expect(await problem(page)).toBe('wrong-password');
    await fill(page, 'input[type=password]', 'correct horse');
    await press(page, 'Open');
    await until(page, `document.querySelector('[data-testid=opened]')`);
    expect(await page.eval('document.activeElement.tagName'), 'the reader is taken to it').toBe('H1');
    expect(await sha256(await received(browser, page, 'secret.bin'))).toBe(want);
  });

  it('says of each broken link what is wrong with it', async () => {
    const path = join(work, name, 'small.bin');
    await makeFile(path, 100);
    const link = await holdfast(home(), ['send', '--server', service.url, path]);
    const [address = '', key = ''] = link.split('#');
    const flip = (s: string, i: number): string => s.slice(0, i) + (s[i] === 'A' ? 'B' : 'A') + s.slice(i + 1);
    await seesProblem(page, link.slice(0, -5), 'cut');
    await seesProblem(page, `${address}#${flip(key, 20)}`, 'checksum');
    await seesProblem(page, `${address}#${flip(key, 0)}`, 'unknown-link');
    await page.eval('sessionStorage.clear()');
    await seesProblem(page, address, 'no-key');
    await fill(page, 'input', `#${key}`);
    await press(page, 'Open');
    await until(page, `document.querySelector('[data-testid=opened]')`);
    const stranger = await holdfast(home(), ['send', '--server', service.url, path]);
    await seesProblem(page, `${address}#${stranger.split('#')[1]}`, 'checksum');
    await holdfast(home(), ['unsend', link]);
    await seesProblem(page, link, 'revoked');
    await seesProblem(page, `${service.url}/s/AAAAAAAAAAAAAAAAAAAAAA#${key}`, 'checksum');
  });

  it('opens a link that is pasted over another one, where only the fragment changes', async () => {
    const path = join(work, name, 'pasted over.bin');
    await makeFile(path, 100);
    const link = await holdfast(home(), ['send', '--server', service.url, path]);
    await seesProblem(page, link.slice(0, -5), 'cut');
    await page.goto(link);
    await until(page, `document.querySelector('[data-testid=opened]')`);
    expect(await page.eval('location.hash')).toBe('');
    await received(browser, page, 'pasted over.bin');
    await page.goto(link.slice(0, -5));
    expect(await problem(page)).toBe('cut');
    await page.goto(link);
    await until(page, `document.querySelector('[data-testid=opened]')`);
    expect(await page.eval(`Boolean(document.querySelector('[data-testid=done]'))`), 'of the earlier link').toBe(false);
  });

  it('counts downloads and says when they are used up', async () => {
    const path = join(work, name, 'once.bin');
    await makeFile(path, 2000);
    const link = await send(page, service.url, [path], { downloads: 1 });
    await open(page, link);
    await received(browser, page, 'once.bin');
    const other = await browser.newPage();
    await seesProblem(other, link, 'used-up');
    await other.close();
  });

  it('lists what it sent and revokes it', async () => {
    const path = join(work, name, 'revocable.bin');
    await makeFile(path, 2000);
    const link = await send(page, service.url, [path]);
    await press(page, 'Revoke this link');
    await until(page, `document.querySelector('dialog[open]')`);
    await page.eval(`[...document.querySelectorAll('dialog button')].find((b) => b.innerText === 'Revoke').click()`);
    await until(page, `document.body.innerText.includes('opens nothing any more')`);
    await seesProblem(page, link, 'revoked');
  });

  it('tells no error to the console', () => {
    expect(page.log.filter((line) => !/HTTP|status of 4|beforeunload|Failed to load resource/.test(line))).toEqual([]);
  });
});
