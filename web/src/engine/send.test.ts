import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Bytes } from '../format/bytes.ts';
import { KIND } from '../format/descriptor.ts';
import { fromText, parseId, toText } from '../format/id.ts';
import { LINK_KIND, manageHash } from '../format/link.ts';
import { streamLengthOf } from '../format/stream.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { pass, until } from './clock.kit.ts';
import { brought, checkCommit, Opened } from './opened.kit.ts';
import { Send } from './send.ts';
import type { SendItem, SendOptions, SendProgress, SendResult } from './types.ts';
import { honest, nameOf, refuses, silent, UploadWorld } from './upload.kit.ts';

// A send from the chosen files to the link, opened again by whoever has the link.

let world: UploadWorld;
let abort: AbortController;
let progress: SendProgress[];
beforeEach(async () => {
  vi.useFakeTimers();
  await renew();
});
/** Another server, without memory of the last send. */
async function renew(): Promise<void> {
  world = await UploadWorld.make();
  world.install();
  abort = new AbortController();
  progress = [];
}
afterEach(async () => {
  await until(() => world.posts.every(({ post }) => post.state !== 'open'));
  await pass(0);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const MTIME = 1_700_000_000_123;
function file(path: string, bytes: Bytes, type = ''): SendItem & { file: File } {
  return { path, file: new File([bytes], 'another name', { lastModified: MTIME, type }) };
}
const folder = (path: string): SendItem => ({ path, dir: true });

function send(items: readonly SendItem[], options: Partial<SendOptions> = {}): Promise<SendResult> {
  const job = { origin: 'https://holdfast.test', items, options: { days: 7, downloads: 0, ...options } };
  return new Send(job, abort.signal, (p) => progress.push(p)).run();
}

const same = (a: Bytes, b: Bytes): boolean => Buffer.from(a).equals(b);

describe('one file', () => {
  it.each([0, 1, 300_000, 9_000_000])('of %d bytes comes out of its link', async (size) => {
    const result = await send([file('folder/note.txt', pattern(size), 'text/plain')]);
    await checkCommit(world);
    const opened = await Opened.of(world, result.link);
    const { content, ...rest } = opened.file;
    expect(rest).toEqual({
      path: 'note.txt',
      kind: KIND.file,
      mediaType: 'text/plain',
      mtime: 1_700_000_000,
      mtimeNanos: 123_000_000,
    });
    expect(content?.trueSize).toBe(size);
    expect(same(await opened.bytes(content), pattern(size))).toBe(true);
    expect(world.commit?.link.listing).toBeUndefined();
    expect(brought(world).revisions).toHaveLength(1);
    expect(world.count('abandonUpload')).toBe(0);
  });

  it('opens an upload of just its stream, for its days', async () => {
    await send([file('a', pattern(5000))], { days: 3 });
    expect(JSON.parse(world.calls[0]?.body ?? '')).toEqual({ bytes: streamLengthOf(5000), days: 3 });
  });

  it('is told about with all that its sender needs', async () => {
    const result = await send([file('folder/note.txt', pattern(5000))], { downloads: 5 });
    const { link, linkWithoutKey, key, handle, manageSecret, expires, places, ...rest } = result;
    expect(link).toBe(`${linkWithoutKey}#${key}`);
    expect(linkWithoutKey).toBe(`https://holdfast.test/s/${handle}`);
    const spec = world.commit?.link;
    expect(spec?.downloads).toBe(5);
    expect(spec?.expires).toBe(Math.floor(Date.now() / 1000) + 7 * 86_400);
    expect(expires).toBe((spec?.expires ?? 0) + 1800); // as the server rounds
    const secret = fromText(manageSecret) ?? new Uint8Array();
    expect(spec?.manageHash).toBe(toText(await manageHash(parseId<'handle'>(handle), secret)));
    expect(places.map((p) => p.jurisdiction)).toEqual(['DE', 'NZ']);
    expect(rest).toEqual({ downloads: 5, password: false, spread: false, title: 'note.txt', files: 1, bytes: 5000 });
  });

  it('has no media type where the browser’s is none', async () => {
    const item = file('a', pattern(5));
    Object.defineProperty(item.file, 'type', { value: 'text/ünknown' });
    const opened = await Opened.of(world, (await send([item])).link);
    expect(opened.file.mediaType).toBeUndefined();
  });

  it('with a password opens with it only', async () => {
    const { link, password } = await send([file('a', pattern(5))], { password: 'correct horse' });
    expect(password).toBe(true);
    expect((await Opened.of(world, link, 'correct horse')).file.path).toBe('a');
    await expect(Opened.of(world, link, 'correct house')).rejects.toThrow('would not open');
    await expect(Opened.of(world, link)).rejects.toMatchObject({ code: 'password' });
  });
});

describe('several files', () => {
  const items = [
    file('photos/b.jpg', pattern(5000), 'image/jpeg'),
    folder('photos/nothing'),
    file('photos/2024/a.jpg', pattern(0)),
    file('photos/film.bin', pattern(9_000_000)),
    file('photos/a.txt', pattern(70)),
  ];

  it('are listed with paths, folders, sizes and times, and come out of the link', async () => {
    const result = await send(items);
    await checkCommit(world);
    const opened = await Opened.of(world, result.link);
    const { entries, title } = await opened.bundle();
    expect(title).toBe('photos');
    expect(entries.map((e) => [e.path, e.kind, e.content?.trueSize, e.mtime, e.mtimeNanos, e.mediaType])).toEqual([
      ['photos/2024/a.jpg', KIND.file, 0, 1_700_000_000, 123_000_000, undefined],
      ['photos/a.txt', KIND.file, 70, 1_700_000_000, 123_000_000, undefined],
      ['photos/b.jpg', KIND.file, 5000, 1_700_000_000, 123_000_000, 'image/jpeg'],
      ['photos/film.bin', KIND.file, 9_000_000, 1_700_000_000, 123_000_000, undefined],
      ['photos/nothing', KIND.folder, undefined, undefined, undefined, undefined],
    ]);
    for (const { content } of entries) {
      if (content) expect(same(await opened.bytes(content), pattern(content.trueSize))).toBe(true);
    }
    expect(opened.record).toMatchObject({ kind: LINK_KIND.bundle, count: 4, bytes: 9_005_070 });
    expect(result).toMatchObject({ title: 'photos', files: 4, bytes: 9_005_070, places: [{}, {}], spread: false });
  });

  it.each<[string, readonly SendItem[], string | undefined, string | undefined, string]>([
    ['a title of their own', items, 'Summer', 'Summer', 'Summer'],
    ['no title without a folder', [file('a', pattern(1)), file('b', pattern(2))], undefined, undefined, '2 files'],
    ['no title in two folders', [file('a/x', pattern(1)), file('ab/x', pattern(2))], undefined, undefined, '2 files'],
    ['their folder’s title, alone in it', [folder('a/b')], undefined, 'a', 'b'],
  ])('have %s', async (_, chosen, title, listed, told) => {
    const result = await send(chosen, title === undefined ? {} : { title });
    await checkCommit(world);
    expect((await (await Opened.of(world, result.link)).bundle()).title).toBe(listed);
    expect(result.title).toBe(told);
  });

  it('that are small share one blob with the listing, one behind the other', async () => {
    await send([1, 2, 3, 4, 5].map((n) => file(`f${n}`, pattern(10_000 * n))));
    await checkCommit(world);
    const { blobs, revisions } = brought(world);
    expect(blobs).toHaveLength(1);
    expect(world.posts).toHaveLength(1);
    expect(revisions.map((r) => r.extents.length)).toEqual(Array(6).fill(1));
  });

  it('keep a large one’s blobs for itself', async () => {
    await send(items);
    const large = brought(world).revisions.filter((r) => r.length > 8_000_000);
    expect(large.map((r) => r.extents.map(([, offset]) => offset))).toEqual([[0, 0]]);
    const blobs = large[0]?.extents.map(([blob]) => blob) ?? [];
    const shared = brought(world).revisions.filter((r) => r.extents.some(([blob]) => blobs.includes(blob)));
    expect(shared).toHaveLength(1);
  });

  it('of any number are committed in pages of at most 4 MiB', async () => {
    await send(Array.from({ length: 9000 }, (_, i) => file(`f${i}`, new Uint8Array())));
    await checkCommit(world);
    expect(world.count('stagePage')).toBe(1);
    expect(brought(world).revisions).toHaveLength(9001);
  });
});

describe('T12: the same file sent again', () => {
  it('has nothing in common with the first', async () => {
    const seen: string[][] = [];
    for (let i = 0; i < 2; i++) {
      await renew();
      const { key, handle, manageSecret, link } = await send([file('a', pattern(5000))]);
      const { blobs, revisions } = brought(world);
      const { content } = (await Opened.of(world, link)).file;
      const { id = '', releaseKey = '', commitment = '', root = '', salt = '', prefix = '' } = revisions[0] ?? {};
      const { record = '', authHash = '', manageHash: manage = '' } = world.commit?.link ?? {};
      const own = [content?.key, content?.fileId].map((b) => toText(b ?? new Uint8Array()));
      const drawn = [key, handle, manageSecret, id, releaseKey, commitment, root, salt, prefix, ...own];
      seen.push([...drawn, record, authHash, manage, blobs[0]?.name ?? '']);
    }
    const all = seen.flat();
    expect(all).toHaveLength(30);
    expect(all).not.toContain('');
    expect(new Set(all).size).toBe(30);
  });
});

describe('T17: what leaves the browser', () => {
  it('holds no key, no password, no name and no text', async () => {
    const text = new TextEncoder().encode('The last will of Ada Lovelace. '.repeat(9));
    const options = { password: 'correct horse', title: 'Last wishes' };
    const result = await send([file('papers/testament.txt', text, 'text/plain'), folder('papers/secret')], options);
    const said = [
      ...world.calls.map((c) => `${c.url} ${c.body} ${c.authorization}`),
      ...world.posts.map(({ post }) => `${post.url} ${JSON.stringify([...post.headers])}`),
      ...world.posts.map(({ post }) => Buffer.from(post.body).toString('latin1')),
    ].join('\n');
    const opened = await Opened.of(world, result.link, options.password);
    const { entries } = await opened.bundle();
    const key = entries.find((e) => e.kind === KIND.file)?.content?.key ?? new Uint8Array();
    expect(said).toContain(result.handle);
    // Long enough that none stands by chance in so much ciphertext and base64.
    const secrets = [
      'testament',
      'papers',
      'text/plain',
      'Lovelace',
      'Last wishes',
      'correct horse',
      result.manageSecret,
    ];
    secrets.push(result.key.slice(4, 40), toText(key), Buffer.from(key).toString('latin1'));
    for (const secret of secrets) expect(said.indexOf(secret), secret).toBe(-1);
  });
});

describe('before anything is sent', () => {
  it.each<[string, readonly SendItem[], Partial<SendOptions>, string]>([
    ['a name that is a way up', [file('../a', pattern(1))], {}, 'bad-name'],
    ['a file where a folder is', [file('a', pattern(1)), file('a/b', pattern(1))], {}, 'bad-name'],
    ['a title that is no name', [file('a', pattern(1)), folder('b')], { title: 'x/y' }, 'bad-name'],
    ['a password that cannot be used', [file('a', pattern(1))], { password: 'tab\t' }, 'password'],
  ])('%s is refused', async (_, chosen, options, code) => {
    const refused = async (): Promise<SendResult> => send(chosen, options);
    await expect(refused()).rejects.toMatchObject({ code });
    expect(world.calls).toEqual([]);
    expect(progress).toEqual([]);
  });
});

describe('what goes wrong', () => {
  const shorter = (item: SendItem & { file: File }, from: number): SendItem => {
    const { file: whole } = item;
    const slice = whole.slice.bind(whole);
    const changed = (a = 0, b = 0): Blob => slice(a, a >= from ? b - 1 : b);
    return { path: item.path, file: Object.assign(whole, { slice: changed }) };
  };
  const unreadable = (item: SendItem & { file: File }): SendItem => {
    const pull = (c: ReadableByteStreamController): void => c.error(new DOMException('', 'NotReadableError'));
    const stream = (): ReadableStream<Bytes> => new ReadableStream({ type: 'bytes', pull });
    return { path: item.path, file: Object.assign(item.file, { slice: () => ({ stream }) }) };
  };
  const expectGivenUp = (): void => {
    expect(world.count('abandonUpload')).toBe(1);
    expect(world.calls.at(-1)?.what).toBe('abandonUpload');
    expect(world.commit).toBeUndefined();
  };

  it.each<[string, SendItem[], string, string]>([
    ['a file that became shorter', [shorter(file('a', pattern(5000)), 0)], 'file-changed', 'a'],
    ['a file whose end is gone', [shorter(file('a', pattern(9_000_000)), 8_000_000)], 'file-changed', 'a'],
    ['one of several', [file('a', pattern(9)), shorter(file('b/c', pattern(9)), 0)], 'file-changed', 'b/c'],
    ['a file that cannot be read', [unreadable(file('a', pattern(9)))], 'file-unreadable', 'a'],
  ])('%s ends the send, and the upload is given up', async (_, chosen, code, detail) => {
    await expect(send(chosen)).rejects.toMatchObject({ name: 'EngineError', code, detail });
    expectGivenUp();
  });

  it('a send that the server refuses has no upload to give up', async () => {
    const body = { type: '', title: '', status: 507, code: 'no-capacity' };
    const headers = { 'Content-Type': 'application/problem+json' };
    world.answers.set('openUpload', () => new Response(JSON.stringify(body), { status: 507, headers }));
    await expect(send([file('a', pattern(1))])).rejects.toMatchObject({ code: 'no-capacity' });
    expect(world.calls.map((c) => c.what)).toEqual(['openUpload']);
  });

  it('what ended it is told even when the upload cannot be given up', async () => {
    world.answers.set('abandonUpload', () => {
      throw new TypeError('network');
    });
    await expect(send([shorter(file('a', pattern(9)), 0)])).rejects.toMatchObject({ code: 'file-changed' });
  });

  /** The third blob cannot be stored anywhere; the others go on for ever. */
  const thirdRefused = (): void => {
    const names = new Set<string>();
    world.all((post, ...rest) => {
      names.add(nameOf(post));
      return ([...names][2] === nameOf(post) ? refuses('upload-closed') : silent)(post, ...rest);
    });
  };
  it.each<[string, (item: SendItem & { file: File }) => SendItem, () => void, string, number]>([
    ['a file changes', (item) => shorter(item, 16_000_000), () => world.all(silent), 'file-changed', 2],
    ['one cannot be stored', (item) => item, thirdRefused, 'internal', 5],
  ])('blobs on their way end before the upload is given up when %s', async (_, damaged, arrange, code, posts) => {
    arrange();
    let left: string[] | undefined;
    world.answers.set('abandonUpload', () => {
      left = world.posts.map(({ post }) => post.state).filter((state) => state === 'open');
      return new Response(null, { status: 204 });
    });
    await expect(send([damaged(file('a', new Uint8Array(34_000_000)))])).rejects.toMatchObject({ code });
    expect(left).toEqual([]);
    expectGivenUp();
    await pass(60_000);
    expect(world.posts).toHaveLength(posts);
    expect(progress.some((p) => p.stage === 'committing')).toBe(false);
  });

  it('the first failure is told, not what followed from it', async () => {
    const item = file('a', new Uint8Array(34_000_000));
    const slice = item.file.slice.bind(item.file);
    world.all(refuses('unknown-version'));
    // The file changes, too, but later: while its second blob is read the first one has failed.
    const late = (from = 0, to = 0): object => {
      const stream = (): ReadableStream<Uint8Array> =>
        new ReadableStream({
          async start(controller) {
            const second = from > 8_000_000;
            if (second) await until(() => world.posts.length >= 3 && settled());
            controller.enqueue(new Uint8Array(await slice(from, second ? to - 1 : to).arrayBuffer()));
            controller.close();
          },
        });
      return { stream };
    };
    const settled = (): boolean => world.posts.every(({ post }) => post.state !== 'open');
    Object.assign(item.file, { slice: late });
    await expect(send([item])).rejects.toMatchObject({ code: 'out-of-date' });
    expectGivenUp();
  });

  it.each<[string, () => void]>([
    ['while blobs go out', () => world.all((post, ...rest) => stop(() => silent(post, ...rest)))],
    ['when it is about to be committed', () => world.answers.set('commitUpload', () => stop(lost))],
  ])('cancelled %s it gives the upload up', async (_, arrange) => {
    arrange();
    await expect(send([file('a', new Uint8Array(30_000_000))])).rejects.toMatchObject({ code: 'cancelled' });
    expectGivenUp();
    const states = new Set(world.posts.map(({ post }) => post.state));
    expect(states.has('open')).toBe(false);
  });
  const stop = <T>(then: () => T): T => {
    abort.abort();
    return then();
  };
  const lost = (): never => {
    throw new TypeError('network');
  };

  it('cancelled while a file is read it sends nothing of it', async () => {
    const item = file('a', pattern(5000));
    const slice = item.file.slice.bind(item.file);
    Object.assign(item.file, { slice: (a: number, b: number) => stop(() => slice(a, b)) });
    await expect(send([item])).rejects.toMatchObject({ code: 'cancelled' });
    expect(world.posts).toEqual([]);
    expectGivenUp();
  });

  it('cancelled before the upload is open there is none to give up', async () => {
    abort.abort();
    await expect(send([file('a', pattern(1))])).rejects.toMatchObject({ code: 'cancelled' });
    expect(world.count('abandonUpload')).toBe(0);
  });

  it('a commit whose answer is lost is sent again as it was', async () => {
    world.answers.set('commitUpload', () => {
      world.answers.clear();
      return lost();
    });
    const sending = send([file('a', pattern(5000))]);
    await until(() => world.count('commitUpload') === 1);
    await pass(1000);
    const { link } = await sending;
    const [one, two] = world.calls.filter((c) => c.what === 'commitUpload');
    expect(two).toEqual(one);
    expect((await Opened.of(world, link)).file.path).toBe('a');
    expect(world.count('abandonUpload')).toBe(0);
  });
});

describe('on its way', () => {
  it('at most three blobs are out at once, and none changes before it stands twice', async () => {
    const held: (() => void)[] = [];
    world.conduct.set(world.nodes[0], (post, node, w) =>
      new Promise<void>((go) => held.push(go)).then(() => honest(post, node, w)),
    );
    const item = file('a', new Uint8Array(34_000_000));
    const reads = vi.spyOn(item.file, 'slice');
    const sending = send([item]);
    for (const [out, next] of [
      [3, 2],
      [4, 0],
      [5, 1],
    ] as const) {
      await until(() => held.length === out);
      const before = reads.mock.calls.length;
      for (let i = 0; i < 20; i++) await pass(0);
      expect(held).toHaveLength(out);
      expect(reads.mock.calls).toHaveLength(before);
      held[next]?.();
    }
    for (const go of held) go();
    const { link } = await sending;
    expect(world.posts).toHaveLength(5);
    const opened = await Opened.of(world, link);
    expect(same(await opened.bytes(opened.file.content), new Uint8Array(34_000_000))).toBe(true);
  });

  it('progress ends with all bytes and all files', async () => {
    await send([file('a', pattern(9_000_000)), file('b', pattern(5000))]);
    const total = world.budget;
    expect(progress[0]).toMatchObject({ stage: 'preparing', totalBytes: total, stored2Bytes: 0, files: 2 });
    expect(progress.at(-1)).toMatchObject({
      stage: 'done',
      totalBytes: total,
      encryptedBytes: total,
      sentBytes: total,
      stored1Bytes: total,
      stored2Bytes: total,
      secondsLeft: 0,
      files: 2,
      filesDone: 2,
    });
    const stages = [...new Set(progress.map((p) => p.stage))];
    expect(stages.slice(-3)).toEqual(['stored2', 'committing', 'done']);
  });

  it('progress goes on every second while nothing happens', async () => {
    world.all(silent);
    const sending = send([file('a', pattern(5))]);
    await until(() => world.posts.length === 1);
    const before = progress.length;
    await pass(5000);
    expect(progress.length).toBe(before + 5);
    abort.abort();
    await expect(sending).rejects.toMatchObject({ code: 'cancelled' });
  });
});
