// Firefox over bare WebDriver BiDi. It never subscribes to network events.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve as absolute, join } from 'node:path';
import WebSocket from 'ws';
import { trust } from './authority.ts';
import { type Browser, type Finished, type LaunchOptions, type Page, pause, settle } from './browser.ts';

type Json = Record<string, unknown>;

function preferences(downloads: string, dark: boolean): Record<string, string | number | boolean> {
  return {
    'browser.download.folderList': 2,
    'browser.download.dir': downloads,
    'browser.download.useDownloadDir': true,
    'browser.download.always_ask_before_handling_new_types': false,
    'browser.download.alwaysOpenPanel': false,
    'browser.download.start_downloads_in_tmp_dir': false,
    'browser.helperApps.neverAsk.saveToDisk': 'application/octet-stream',
    'ui.systemUsesDarkTheme': dark ? 1 : 0,
    'layout.css.prefers-color-scheme.content-override': dark ? 0 : 1,
    'app.update.disabledForTesting': true,
    'app.normandy.enabled': false,
    'browser.safebrowsing.downloads.enabled': false,
    'browser.safebrowsing.malware.enabled': false,
    'browser.safebrowsing.phishing.enabled': false,
    'browser.newtabpage.enabled': false,
    'browser.startup.page': 0,
    'browser.startup.homepage_override.mstone': 'ignore',
    'browser.shell.checkDefaultBrowser': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    'toolkit.telemetry.server': '',
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'services.settings.server': 'data:,#remote-settings-dummy/v1',
    'dom.push.connection.enabled': false,
    'media.gmp-manager.updateEnabled': false,
    'dom.ipc.processPrelaunch.enabled': false, // or memory jitters by a spare content process
    'dom.disable_beforeunload': true,
    'remote.active-protocols': 1,
  };
}

class Session {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { method: string; resolve: (r: Json) => void; reject: (e: Error) => void }>();
  readonly listeners = new Set<(method: string, params: Json) => void>();
  #sequence = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#take(JSON.parse(String(data)) as Json));
    socket.on('close', () => {
      for (const call of this.#waiting.values()) call.reject(new Error(`${call.method}: firefox ended`));
    });
  }

  #take(m: Json): void {
    if (m['id'] === undefined || m['id'] === null) {
      for (const listen of this.listeners) listen(String(m['method']), (m['params'] ?? {}) as Json);
      return;
    }
    const call = this.#waiting.get(m['id'] as number);
    this.#waiting.delete(m['id'] as number);
    if (m['type'] === 'error') call?.reject(new Error(`${call.method}: ${String(m['error'])} ${String(m['message'])}`));
    else call?.resolve((m['result'] ?? {}) as Json);
  }

  send(method: string, params: Json = {}): Promise<Json> {
    const id = ++this.#sequence;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { method, resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }
}

class FirefoxPage implements Page {
  readonly log: string[] = [];
  readonly dialogs: string[] = [];
  readonly #session: Session;
  readonly #context: string;

  constructor(session: Session, context: string) {
    this.#session = session;
    this.#context = context;
    session.listeners.add((method, params) => {
      const source = params['source'] as { context?: string } | undefined;
      if (method === 'log.entryAdded' && source?.context === context) this.log.push(String(params['text']));
    });
  }

  async goto(url: string): Promise<void> {
    await this.#session.send('browsingContext.navigate', { context: this.#context, url, wait: 'complete' });
  }

  async eval<T>(expression: string): Promise<T> {
    // The value travels as JSON text: BiDi's own form of values is clumsy.
    const answer = await this.#session.send('script.evaluate', {
      target: { context: this.#context },
      awaitPromise: true,
      userActivation: true,
      expression: `(async () => JSON.stringify(await (${expression})))()`,
    });
    if (answer['type'] === 'exception') throw new Error((answer['exceptionDetails'] as { text: string }).text);
    const { value } = answer['result'] as { value?: string };
    return (value === undefined ? undefined : JSON.parse(value)) as T;
  }

  async setFiles(selector: string, files: readonly string[]): Promise<void> {
    const found = await this.#session.send('browsingContext.locateNodes', {
      context: this.#context,
      locator: { type: 'css', value: selector },
    });
    const [node] = found['nodes'] as { sharedId: string }[];
    if (!node) throw new Error(`${selector} is not there`);
    await this.#session.send('input.setFiles', {
      context: this.#context,
      element: { sharedId: node.sharedId },
      files: files.map((f) => absolute(f)),
    });
  }

  async key(key: 'Tab' | 'Enter' | 'Escape'): Promise<void> {
    const value = { Tab: '\uE004', Enter: '\uE007', Escape: '\uE00C' }[key];
    await this.#session.send('input.performActions', {
      context: this.#context,
      actions: [
        {
          type: 'key',
          id: 'keyboard',
          actions: [
            { type: 'keyDown', value },
            { type: 'keyUp', value },
          ],
        },
      ],
    });
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.#session.send('browsingContext.captureScreenshot', { context: this.#context });
    return Buffer.from(data as string, 'base64');
  }

  async viewport(width: number, height: number): Promise<void> {
    await this.#session.send('browsingContext.setViewport', { context: this.#context, viewport: { width, height } });
  }

  async close(): Promise<void> {
    await this.#session.send('browsingContext.close', { context: this.#context });
  }
}

interface Known {
  readonly id: string;
  readonly name: string;
  state: string;
  file?: string;
}

export async function launchFirefox({ dark = false, args = [], ca }: LaunchOptions = {}): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'holdfast-firefox-'));
  const downloads = mkdtempSync(join(tmpdir(), 'holdfast-downloads-'));
  const lines = Object.entries(preferences(downloads, dark)).map(
    ([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});\n`,
  );
  writeFileSync(join(profile, 'user.js'), lines.join(''));
  if (ca !== undefined) trust(profile, ca);
  const child = spawn(
    '/usr/bin/firefox-esr',
    ['--headless', '--no-remote', '--new-instance', '--profile', profile, '--remote-debugging-port', '0', ...args],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1', MOZ_DISABLE_CONTENT_SANDBOX: '1' },
    },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const socket = new WebSocket(`${await listening(child.stderr)}/session`, {
    perMessageDeflate: false,
    maxPayload: 1 << 28,
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const session = new Session(socket);
  await session.send('session.new', { capabilities: {} });
  await session.send('session.subscribe', {
    events: ['log.entryAdded', 'browsingContext.downloadWillBegin', 'browsingContext.downloadEnd'],
  });
  const known: Known[] = [];
  session.listeners.add((method, params) => noteDownload(known, method, params));
  return {
    kind: 'firefox',
    pid: child.pid as number,
    downloads,
    newPage: async (url) => {
      const { context } = await session.send('browsingContext.create', { type: 'tab' });
      const page = new FirefoxPage(session, context as string);
      if (url !== undefined) await page.goto(url);
      return page;
    },
    async settledDownloads(name, graceMs) {
      const mine = (): Known[] => known.filter((d) => d.name === name);
      await settle(() => mine().map((d) => d.state), graceMs);
      const over = mine();
      for (const d of over) known.splice(known.indexOf(d), 1);
      return over.map((d) => d.state);
    },
    async waitDownload(name, timeoutMs = 60_000) {
      for (const end = Date.now() + timeoutMs; Date.now() < end; await pause(20)) {
        const index = known.findIndex((d) => d.name === name && d.state !== 'inProgress');
        const [done] = index < 0 ? [] : known.splice(index, 1);
        if (done) return { name, state: done.state as Finished['state'], file: done.file ?? join(downloads, name) };
      }
      throw new Error(`no download of ${name}: ${JSON.stringify(known)}`);
    },
    async close() {
      const politely = session.send('browser.close').catch(() => {});
      await Promise.race([politely.then(() => ended), pause(5000).then(() => child.kill('SIGKILL'))]);
      socket.terminate();
      await ended;
      for (const dir of [profile, downloads]) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function noteDownload(known: Known[], method: string, params: Json): void {
  const id = String(params['download'] ?? params['navigation']);
  if (method === 'browsingContext.downloadWillBegin')
    known.push({ id, name: String(params['suggestedFilename']), state: 'inProgress' });
  if (method !== 'browsingContext.downloadEnd') return;
  const entry = known.find((d) => d.id === id && d.state === 'inProgress');
  if (!entry) return;
  entry.state = params['status'] === 'complete' ? 'completed' : 'canceled';
  if (params['filepath']) entry.file = String(params['filepath']);
}

/** The address of the remote agent, which Firefox prints. */
function listening(stderr: NodeJS.ReadableStream | null): Promise<string> {
  return new Promise((resolve, reject) => {
    let out = '';
    const timer = setTimeout(() => reject(new Error(`firefox does not listen: ${out}`)), 60_000);
    stderr?.on('data', (chunk: Buffer) => {
      out = (out + String(chunk)).slice(-10_000);
      const found = /WebDriver BiDi listening on (ws:\/\/\S+)/.exec(out)?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    });
  });
}
