// Chromium over a bare pipe (CDP). Of its domains only Browser, Target, Page, Runtime, DOM, Input and Emulation are used.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve as absolute, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { trust } from './authority.ts';
import { type Browser, type Finished, type LaunchOptions, type Page, pause, settle } from './browser.ts';

type Json = Record<string, unknown>;
interface Message {
  id?: number;
  method?: string;
  sessionId?: string;
  params?: Json;
  result?: Json;
  error?: { message: string };
}

/** Frames are JSON texts that end in a zero byte. */
class Pipe {
  readonly #out: Writable;
  readonly listeners = new Set<(m: Message) => void>();
  readonly #waiting = new Map<number, { method: string; resolve: (r: Json) => void; reject: (e: Error) => void }>();
  #sequence = 0;
  #parts: Buffer[] = [];

  constructor(child: ChildProcess) {
    this.#out = child.stdio[3] as Writable;
    this.#out.on('error', () => {}); // the browser ended; every waiting call is told below
    (child.stdio[4] as Readable).on('data', (chunk: Buffer) => this.#take(chunk));
    child.once('exit', () => {
      for (const call of this.#waiting.values()) call.reject(new Error(`${call.method}: chromium ended`));
    });
  }

  #take(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
      this.#parts.push(rest.subarray(0, end));
      this.#message(JSON.parse(Buffer.concat(this.#parts).toString()) as Message);
      this.#parts = [];
      rest = rest.subarray(end + 1);
    }
    if (rest.length > 0) this.#parts.push(rest);
  }

  #message(m: Message): void {
    if (m.id === undefined) {
      for (const listen of this.listeners) listen(m);
      return;
    }
    const call = this.#waiting.get(m.id);
    this.#waiting.delete(m.id);
    if (m.error) call?.reject(new Error(`${call.method}: ${m.error.message}`));
    else call?.resolve(m.result ?? {});
  }

  send(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    const id = ++this.#sequence;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { method, resolve, reject });
      this.#out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }
}

export class ChromiumPage implements Page {
  readonly log: string[] = [];
  readonly dialogs: string[] = [];
  readonly #pipe: Pipe;
  readonly #session: string;
  readonly #target: string;

  constructor(pipe: Pipe, session: string, target: string) {
    this.#pipe = pipe;
    this.#session = session;
    this.#target = target;
    pipe.listeners.add((m) => this.#listen(m));
  }

  #listen({ sessionId, method, params = {} }: Message): void {
    if (sessionId !== this.#session) return;
    if (method === 'Runtime.consoleAPICalled') {
      this.log.push(
        (params['args'] as { value?: unknown; description?: string }[])
          .map((a) => String(a.value ?? a.description))
          .join(' '),
      );
    } else if (method === 'Runtime.exceptionThrown') {
      const details = params['exceptionDetails'] as { text: string; exception?: { description?: string } };
      this.log.push(`uncaught: ${details.exception?.description ?? details.text}`);
    } else if (method === 'Log.entryAdded') {
      const { level, text } = params['entry'] as { level: string; text: string };
      // Hints for developers come when the machine has time for them.
      if (level !== 'verbose') this.log.push(`log: ${text}`);
    } else if (method === 'Page.javascriptDialogOpening') {
      this.dialogs.push(params['type'] as string);
      void this.call('Page.handleJavaScriptDialog', { accept: true });
    }
  }

  call(method: string, params: Json = {}): Promise<Json> {
    return this.#pipe.send(method, params, this.#session);
  }

  async goto(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      const listen = (m: Message): void => {
        if (m.sessionId !== this.#session || m.method !== 'Page.loadEventFired') return;
        this.#pipe.listeners.delete(listen);
        resolve();
      };
      this.#pipe.listeners.add(listen);
    });
    const { errorText, loaderId } = await this.call('Page.navigate', { url });
    if (errorText) throw new Error(`${url}: ${String(errorText)}`);
    // Where only the fragment differs nothing is loaded, and no event says so.
    if (loaderId !== undefined) await loaded;
  }

  async eval<T>(expression: string): Promise<T> {
    const answer = await this.call('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    });
    const details = answer['exceptionDetails'] as { text: string; exception?: { description?: string } } | undefined;
    if (details) throw new Error(details.exception?.description ?? details.text);
    return (answer['result'] as { value: T }).value;
  }

  async setFiles(selector: string, files: readonly string[]): Promise<void> {
    const found = await this.call('Runtime.evaluate', {
      expression: `document.querySelector(${JSON.stringify(selector)})`,
    });
    const { objectId } = found['result'] as { objectId: string };
    // Paths must be absolute: Chromium takes a relative one silently as an empty file.
    await this.call('DOM.setFileInputFiles', { objectId, files: files.map((f) => absolute(f)) });
  }

  async key(key: 'Tab' | 'Enter' | 'Escape'): Promise<void> {
    const windowsVirtualKeyCode = { Tab: 9, Enter: 13, Escape: 27 }[key];
    const text = key === 'Enter' ? { text: '\r' } : {};
    await this.call('Input.dispatchKeyEvent', { type: 'keyDown', key, code: key, windowsVirtualKeyCode, ...text });
    await this.call('Input.dispatchKeyEvent', { type: 'keyUp', key, code: key, windowsVirtualKeyCode });
  }

  /** Drops files and folders of this machine at the middle of the page, as a file manager does. */
  async drop(paths: readonly string[]): Promise<void> {
    const data = { items: [], files: paths.map((p) => absolute(p)), dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop'])
      await this.call('Input.dispatchDragEvent', { type, x: 400, y: 300, data });
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: false });
    return Buffer.from(data as string, 'base64');
  }

  async viewport(width: number, height: number): Promise<void> {
    await this.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 500 });
  }

  async freeze(): Promise<void> {
    await this.call('Page.setWebLifecycleState', { state: 'frozen' });
  }

  async close(): Promise<void> {
    await this.#pipe.send('Target.closeTarget', { targetId: this.#target });
  }
}

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
  '--password-store=basic',
  '--remote-debugging-pipe',
];

export async function launchChromium({ dark = false, args = [], ca }: LaunchOptions = {}): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'holdfast-chromium-'));
  const downloads = mkdtempSync(join(tmpdir(), 'holdfast-downloads-'));
  if (ca !== undefined) trust(join(profile, '.pki', 'nssdb'), ca);
  const child = spawn('/usr/bin/chromium', [...FLAGS, `--user-data-dir=${profile}`, ...args, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    env: ca === undefined ? process.env : { ...process.env, HOME: profile },
  });
  const pipe = new Pipe(child);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const known = new Map<string, { name: string; state: string; file?: string }>();
  pipe.listeners.add(({ method, params = {} }) => {
    const guid = params['guid'] as string;
    if (method === 'Browser.downloadWillBegin')
      known.set(guid, { name: params['suggestedFilename'] as string, state: 'inProgress' });
    if (method === 'Browser.downloadProgress') {
      const d = known.get(guid);
      if (d)
        known.set(guid, {
          ...d,
          state: params['state'] as string,
          ...(params['filePath'] ? { file: params['filePath'] as string } : {}),
        });
    }
  });
  await pipe.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: downloads, eventsEnabled: true });
  return {
    kind: 'chromium',
    pid: child.pid as number,
    downloads,
    newPage: (url) => newPage(pipe, url, dark),
    async cancelDownload(name) {
      const [guid] = [...known].find(([, d]) => d.name === name && d.state === 'inProgress') ?? [];
      if (guid === undefined) throw new Error(`no download of ${name} runs`);
      await pipe.send('Browser.cancelDownload', { guid });
    },
    async settledDownloads(name, graceMs) {
      const mine = (): [string, { name: string; state: string }][] => [...known].filter(([, d]) => d.name === name);
      await settle(() => mine().map(([, d]) => d.state), graceMs);
      const ended = mine();
      for (const [guid] of ended) known.delete(guid);
      return ended.map(([, d]) => d.state);
    },
    async waitDownload(name, timeoutMs = 60_000) {
      for (const end = Date.now() + timeoutMs; Date.now() < end; await pause(20)) {
        const entry = [...known].find(([, d]) => d.name === name && d.state !== 'inProgress');
        if (!entry) continue;
        known.delete(entry[0]);
        const file = entry[1].file ?? join(downloads, name);
        return { name, state: entry[1].state as Finished['state'], file };
      }
      throw new Error(`no download of ${name}: ${JSON.stringify([...known.values()])}`);
    },
    async close() {
      const politely = pipe.send('Browser.close').catch(() => {});
      await Promise.race([politely.then(() => ended), pause(5000).then(() => child.kill('SIGKILL'))]);
      await ended;
      for (const dir of [profile, downloads]) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function newPage(pipe: Pipe, url: string | undefined, dark: boolean): Promise<Page> {
  const { targetId } = await pipe.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await pipe.send('Target.attachToTarget', { targetId, flatten: true });
  const page = new ChromiumPage(pipe, sessionId as string, targetId as string);
  for (const domain of ['Page.enable', 'Runtime.enable', 'Log.enable']) await page.call(domain);
  await page.call('Emulation.setEmulatedMedia', {
    features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }],
  });
  if (url !== undefined) await page.goto(url);
  return page;
}
