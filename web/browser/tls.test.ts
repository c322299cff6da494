import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, makeAuthority } from './authority.ts';
import type { Browser, Page } from './browser.ts';
import { makeFile, sha256 } from './files.ts';
import { COUNTRIES, freePort, Running } from './fleet.ts';
import { holdfast } from './service.ts';
import { BROWSERS, open, problem, received, send } from './steps.ts';

// Server and nodes by TLS alone, as people meet them: pages over HTTP/2, blobs from other origins over HTTPS, and a
// service worker that starts only because the certificate is good.

let work: string;
let authority: Authority;
let url: string;
const running: Running[] = [];

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
  authority = makeAuthority(join(work, 'authority'));
  const tls = ['--tls-cert', authority.cert, '--tls-key', authority.key];
  const data = join(work, 'server');
  const server = await Running.start(['server', '--data', data, '--listen', `127.0.0.1:${await freePort()}`, ...tls]);
  running.push(server);
  url = server.url;
  for (const country of COUNTRIES) {
    const invite = join(work, `${country}.invite`);
    writeFileSync(invite, await holdfast(work, ['admin', 'invite', '--data', data]), { mode: 0o600 });
    running.push(
      await Running.start([
        ...['node', 'run', '--data', join(work, `node-${country}`), '--server', url, '--invite-file', invite],
        ...['--operator', `Operator ${country}`, '--jurisdiction', country, '--capacity', '20GB'],
        ...['--listen', `127.0.0.1:${await freePort()}`, '--ca', authority.ca, ...tls],
      ]),
    );
  }
});
afterAll(async () => {
  for (const process of running.reverse()) await process.end('SIGTERM');
  rmSync(work, { recursive: true, force: true });
});

describe.each(BROWSERS)('%s by TLS', (name, launch) => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch({ ca: authority.ca });
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());

  it('sends, receives through the service worker, and finds a revoked link revoked', async () => {
    const path = join(work, name, 'over tls.bin');
    const want = await makeFile(path, 20_000_000);
    const link = await send(page, url, [path]);
    expect(link).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/s\/[\w-]{22}#[\w-]{51}$/);
    await open(page, link);
    expect(await page.eval('isSecureContext')).toBe(true);
    expect(await page.eval('performance.getEntriesByType("navigation")[0].nextHopProtocol')).toBe('h2');
    expect(await sha256(await received(browser, page, 'over tls.bin'))).toBe(want);
    expect(await page.eval('navigator.serviceWorker.getRegistrations().then((all) => all.length)')).toBe(1);

    const home = join(work, `${name}-home`);
    const env = { HOLDFAST_CA: authority.ca };
    const back = await holdfast(home, ['send', '--server', url, path], env);
    await open(page, back);
    expect(await sha256(await received(browser, page, 'over tls.bin'))).toBe(want);
    await holdfast(home, ['unsend', back], env);
    await open(page, back);
    expect(await problem(page)).toBe('revoked');
    expect(page.log.filter((l) => /secur|certificate|mixed|refused/i.test(l))).toEqual([]);
  });
});

describe.each(BROWSERS)('%s without the authority', (_, launch) => {
  it('opens no page', async () => {
    const browser = await launch();
    try {
      const page = await browser.newPage();
      await expect(page.goto(url)).rejects.toThrow();
    } finally {
      await browser.close();
    }
  });
});
