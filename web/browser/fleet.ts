// A server and its nodes as separate processes, each behind a front that tests can make lie.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Answer, type Evil, Front, type Seen } from './front.ts';
import { holdfast, program } from './service.ts';

const run = promisify(execFile);

/** One process of the program, until it is ended. */
export class Running {
  readonly child: ChildProcess;
  readonly url: string;
  private constructor(child: ChildProcess, url: string) {
    this.child = child;
    this.url = url;
  }

  static start(args: readonly string[]): Promise<Running> {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${args[0]} is not ready: ${output}`)), 30_000);
      child.once('exit', () => reject(new Error(`${args[0]} ended: ${output}`)));
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk: Buffer) => {
          output = (output + String(chunk)).slice(-10_000);
          const url = /^ready (http\S+)/m.exec(output)?.[1];
          if (url === undefined) return;
          clearTimeout(timer);
          resolve(new Running(child, url));
        });
      }
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await ended;
  }
}

export const COUNTRIES = ['DE', 'NZ', 'IS'] as const;
export type Country = (typeof COUNTRIES)[number];

export class Fleet {
  readonly dir = mkdtempSync(join(tmpdir(), 'holdfast-fleet-'));
  readonly front: Front;
  readonly #nodeFronts: Map<Country, Front>;
  readonly #nodes = new Map<Country, Running>();
  #server: Running | undefined;
  #port = '0';
  #web: readonly string[] = [];

  private constructor(front: Front, nodeFronts: Map<Country, Front>) {
    this.front = front;
    this.#nodeFronts = nodeFronts;
  }

  static async start(countries: readonly Country[] = COUNTRIES): Promise<Fleet> {
    const fronts = new Map<Country, Front>();
    for (const country of countries) fronts.set(country, await Front.open());
    const fleet = new Fleet(await Front.open(), fronts);
    await fleet.startServer();
    for (const country of countries) await fleet.startNode(country);
    return fleet;
  }

  /** The address that people use. */
  get url(): string {
    return this.front.url;
  }

  get database(): string {
    return join(this.dir, 'server');
  }

  get fronts(): Front[] {
    return [this.front, ...this.#nodeFronts.values()];
  }

  node(country: Country): Front {
    const front = this.#nodeFronts.get(country);
    if (!front) throw new RangeError(`no node in ${country}`);
    return front;
  }

  async startServer(): Promise<void> {
    const listen = `127.0.0.1:${this.#port}`;
    this.#server = await Running.start([
      ...['server', '--data', this.database, '--listen', listen, '--public-url', this.url],
      ...['--node-timeout', '1500ms', '--sweep-every', '300ms'],
      ...this.#web,
    ]);
    this.front.target = this.#server.url;
    this.#port = new URL(this.#server.url).port;
  }

  /** A new member: every page's policy changes. */
  async join(country: Country): Promise<void> {
    this.#nodeFronts.set(country, await Front.open());
    await this.startNode(country);
  }

  /** The same server with another web app. */
  async release(web: string): Promise<void> {
    this.#web = ['--web', web];
    await this.stopServer();
    await this.startServer();
  }

  async stopServer(): Promise<void> {
    await this.#server?.end('SIGTERM');
  }

  async startNode(country: Country): Promise<void> {
    const front = this.node(country);
    const invite = join(this.dir, `${country}.invite`);
    const { stdout } = await run(program, ['admin', 'invite', '--data', this.database]);
    writeFileSync(invite, stdout, { mode: 0o600 });
    if (front.target === '') front.target = `http://127.0.0.1:${await freePort()}`;
    const node = await Running.start([
      ...['node', 'run', '--data', join(this.dir, `node-${country}`), '--server', this.front.target],
      ...['--invite-file', invite, '--operator', `Operator ${country}`, '--jurisdiction', country],
      ...['--listen', new URL(front.target).host, '--public-url', front.url, '--capacity', '20GB'],
      ...['--heartbeat', '200ms'],
    ]);
    this.#nodes.set(country, node);
  }

  /** kill -9. */
  async kill(country: Country): Promise<void> {
    await this.#nodes.get(country)?.end('SIGKILL');
  }

  signal(country: Country, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#nodes.get(country)?.child.kill(signal);
  }

  /** Nodes that lie in the same way; without countries all do. */
  nodesLie(evil: Evil, countries: Iterable<Country> = this.#nodeFronts.keys()): void {
    for (const country of countries) this.node(country).evil = evil;
  }

  /** One node lies: the one that is asked first. Returns how often it did. */
  firstLies(evil: Evil): () => number {
    let liar: Country | undefined;
    let told = 0;
    for (const [country, front] of this.#nodeFronts) {
      front.evil = async (seen, answer) => {
        const lie = await evil(seen, answer);
        if (lie === undefined) return undefined;
        liar ??= country;
        if (liar !== country) return undefined;
        told++;
        return lie;
      };
    }
    return () => told;
  }

  /** All nodes lie, in ways that are dealt to them as they are asked first. Returns the ways in which they did. */
  allLie(...ways: readonly Evil[]): () => number {
    const dealt = new Map<Country, Evil>();
    for (const [country, front] of this.#nodeFronts) {
      front.evil = async (seen, answer): Promise<Answer | undefined> => {
        const way = dealt.get(country) ?? ways[dealt.size % ways.length];
        const lie = await way?.(seen, answer);
        if (way && lie) dealt.set(country, way);
        return lie;
      };
    }
    return () => new Set(dealt.values()).size;
  }

  honest(): void {
    for (const front of this.fronts) {
      front.evil = undefined;
      front.onBlobBytes = undefined;
      front.bytesPerSecond = undefined;
    }
  }

  record(): void {
    for (const front of this.fronts) {
      front.seen.length = 0;
      front.recording = true;
    }
  }

  recorded(): Seen[] {
    for (const front of this.fronts) front.recording = false;
    return this.fronts.flatMap((front) => front.seen);
  }

  /** The seed of the key that a node signs with. */
  seed(country: Country): Buffer {
    return readFileSync(join(this.dir, `node-${country}`, 'node.key')).subarray('holdfast node key 1\n'.length);
  }

  /** The files of all blobs that nodes hold, by their names' text. */
  blobs(): Map<string, string> {
    const found = new Map<string, string>();
    for (const country of this.#nodeFronts.keys()) {
      const root = join(this.dir, `node-${country}`, 'store', 'blobs');
      for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
        const [, hex] = /\/([0-9a-f]{64})$/.exec(path) ?? [];
        if (hex !== undefined) found.set(Buffer.from(hex, 'hex').toString('base64url'), join(root, path));
      }
    }
    return found;
  }

  /** Sends from the command line; returns the link. */
  send(paths: readonly string[], more: readonly string[] = []): Promise<string> {
    return holdfast(join(this.dir, 'home'), ['send', '--server', this.url, ...more, ...paths]);
  }

  unsend(link: string): Promise<string> {
    return holdfast(join(this.dir, 'home'), ['unsend', link]);
  }

  /** Changes the database behind the server's back; the server is stopped meanwhile. */
  async rewrite(sql: string): Promise<void> {
    await this.stopServer();
    const script =
      'import glob, sqlite3, sys\nfor f in glob.glob(sys.argv[1] + "/*.db"):\n  c = sqlite3.connect(f); c.execute(sys.argv[2]); c.commit()';
    await run('/usr/bin/python3', ['-c', script, this.database, sql]);
    await this.startServer();
  }

  async stop(): Promise<void> {
    for (const node of this.#nodes.values()) {
      node.child.kill('SIGCONT');
      await node.end('SIGKILL');
    }
    await this.#server?.end('SIGTERM');
    for (const front of this.fronts) front.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export async function freePort(): Promise<number> {
  const front = await Front.open();
  front.close();
  return Number(new URL(front.url).port);
}
