import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Browser, fill, type Page, press, until } from './browser.ts';
import { makeFile, sha256 } from './files.ts';
import { Fleet } from './fleet.ts';
import { BROWSERS, choose, open, problem, received } from './steps.ts';

// Each way in which a link does not open has a page of its own, with a heading, what to do, and a code.

let fleet: Fleet;
let path: string;
let hash: string;
beforeAll(async () => {
  fleet = await Fleet.start();
  mkdirSync(join(fleet.dir, 'files'));
  path = join(fleet.dir, 'files', 'state.bin');
  hash = await makeFile(path, 4000);
});
afterAll(() => fleet?.stop());

const flipped = (s: string, i: number): string => s.slice(0, i) + (s[i] === 'A' ? 'B' : 'A') + s.slice(i + 1);

describe.each(BROWSERS)('%s', (_, launch) => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch();
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());

  async function shows(link: string, code: string, heading: string, tab = page): Promise<void> {
    await open(tab, link);
    expect(await problem(tab)).toBe(code);
    expect(await tab.eval('document.querySelector("h1").innerText')).toBe(heading);
    expect(await tab.eval('document.activeElement.tagName'), 'the reader is taken to it').toBe('H1');
    expect(await tab.eval<string>('document.body.innerText')).toContain(`Code: ${code}`);
    expect(await tab.eval('location.hash'), 'the key left the address').toBe('');
  }

  it('cut, mistyped, unknown, missing', async () => {
    const link = await fleet.send([path]);
    const [address = '', key = ''] = link.split('#');
    await shows(link.slice(0, -1), 'cut', 'This link was cut off');
    await shows(`${address}#${flipped(key, 25)}`, 'checksum', 'The key in this link does not fit');
    await shows(`${address}#${flipped(key, 0)}`, 'unknown-link', 'This link was made by a newer Holdfast');
    await shows(`${fleet.url}/s/AAAA#${key}`, 'cut', 'This link was cut off');
  });

  it('a link without its key asks for it, and keeps it over a reload', async () => {
    const link = await fleet.send([path]);
    const [address = '', key = ''] = link.split('#');
    await shows(address, 'no-key', 'This link comes without its key');
    await fill(page, 'input', 'nonsense');
    await press(page, 'Open');
    await until(page, `document.querySelector('[data-problem=cut]')`);
    await fill(page, 'input', key);
    await press(page, 'Open');
    await until(page, `document.querySelector('[data-testid=opened]')`);
    expect(await page.eval('location.hash')).toBe('');
    await page.goto(address);
    await until(page, `document.querySelector('[data-testid=opened]')`);
    expect(await sha256(await received(browser, page, 'state.bin'))).toBe(hash);
  });

  it('another tab knows no key', async () => {
    const link = await fleet.send([path]);
    await open(page, link);
    const tab = await browser.newPage();
    await open(tab, link.split('#')[0] ?? '');
    expect(await problem(tab)).toBe('no-key');
    await tab.close();
  });

  it('revoked, also while it is open', async () => {
    const link = await fleet.send([path]);
    await open(page, link);
    await fleet.unsend(link);
    await press(page, 'Download');
    expect(await problem(page)).toBe('revoked');
    await shows(link, 'revoked', 'The sender has revoked this link');
  });

  it('used up, but not for the tab whose download was the last, reloads included', async () => {
    const link = await fleet.send([path], ['--downloads', '1']);
    await open(page, link);
    expect(await sha256(await received(browser, page, 'state.bin'))).toBe(hash);
    const tab = await browser.newPage();
    await shows(link, 'used-up', 'This link has been used up', tab);
    await tab.close();
    await open(page, link);
    expect(await sha256(await received(browser, page, 'state.bin'))).toBe(hash);
  });

  it('expired', async () => {
    const link = await fleet.send([path]);
    await fleet.rewrite('UPDATE link SET expires = 1000 WHERE state = 1');
    await shows(link, 'expired', 'This link has expired');
  });

  it('nothing there', async () => {
    const link = await fleet.send([path]);
    await fleet.rewrite(
      `UPDATE link SET handle = zeroblob(15) || x'0${browser.kind === 'firefox' ? 1 : 2}' WHERE num = (SELECT max(num) FROM link)`,
    );
    await shows(link, 'not-found', 'There is nothing at this link');
  });

  it('the service away', async () => {
    const link = await fleet.send([path]);
    await open(page, link);
    await fleet.stopServer();
    try {
      await press(page, 'Download');
      expect(await problem(page)).toBe('unreachable');
    } finally {
      await fleet.startServer();
    }
    expect(await sha256(await received(browser, page, 'state.bin'))).toBe(hash);
  });

  it('the service away while sending is prepared', async () => {
    await choose(page, fleet.url, [path]);
    await fleet.stopServer();
    try {
      await press(page, 'Encrypt and get a link');
      expect(await problem(page)).toBe('unreachable');
      expect(await page.eval('document.querySelector("h1").innerText')).toBe('The service does not answer');
    } finally {
      await fleet.startServer();
    }
    await press(page, 'Back to my files');
    await press(page, 'Encrypt and get a link');
    await until(page, `document.querySelector('[data-testid=sent]')`);
  });
});
