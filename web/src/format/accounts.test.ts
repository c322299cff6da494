import { describe, expect, test } from 'vitest';
import { parseCrockford, toCrockford } from './crockford.ts';
import { signer, signerInScript, verify } from './ed25519.ts';
import { contactCode, contactOf, identityOf, parseContact, parseIdentity } from './identity.ts';
import { byPasskey, byPassword, byPhrase, newRoot, nextRoot, unwrapRoot, WRAP_SIZE, wrapRoot } from './keys.ts';
import { MAX_MESSAGE, receiveMessage, sendMessage } from './message.ts';
import { newPhrase, parsePhrase, WordError, wordsOf } from './phrase.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';
import { findWork, MAX_BITS } from './work.ts';

const random = new Random(31);

describe('a root key', () => {
  test('is drawn anew for each account and epoch', () => {
    const [a, b] = [newRoot(), newRoot()];
    const next = nextRoot(a);
    expect(a.key).not.toEqual(b.key);
    expect(a.account).not.toEqual(b.account);
    expect(next).toMatchObject({ account: a.account, epoch: 2 });
    expect(next.key).not.toEqual(a.key);
    expect(() => nextRoot({ ...a, epoch: 2 ** 32 - 1 })).toThrow(RangeError);
  });

  test('T1: whatever a server does to a wrap, it fails alike', async () => {
    const root = newRoot();
    const ways = [
      await byPassword(root.account, random.bytes(64)),
      await byPhrase(root.account, random.bytes(32)),
      await byPasskey(root.account, random.bytes(32), random.bytes(20)),
    ];
    for (const way of ways) {
      const wrap = await wrapRoot(way, root);
      expect(wrap.length).toBe(WRAP_SIZE);
      expect(await unwrapRoot(way, root.epoch, wrap)).toEqual(root);
      for (let at = 0; at < wrap.length; at++) {
        expect(await failure(() => unwrapRoot(way, root.epoch, flip(wrap, at)))).toBe('wrap');
      }
      for (const epoch of [0, 2, -1, 1.5, 2 ** 32]) {
        expect(await failure(() => unwrapRoot(way, epoch, wrap)), `epoch ${epoch}`).toBe('wrap');
      }
      for (const other of ways.filter((w) => w !== way)) {
        expect(await failure(() => unwrapRoot(other, root.epoch, wrap))).toBe('wrap');
      }
    }
  });
});

describe('a recovery phrase', () => {
  test('comes back', async () => {
    const entropy = newPhrase();
    const words = await wordsOf(entropy);
    expect(words).toHaveLength(24);
    expect(await parsePhrase(` ${words.join('\n').toUpperCase()} `)).toEqual(entropy);
  });

  test('names the word that was mistyped', async () => {
    const words = await wordsOf(random.bytes(32));
    words[9] = 'gorila';
    const error = await parsePhrase(words.join(' ')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(WordError);
    expect(error).toMatchObject({ code: 'word', position: 10, nearest: ['gorilla'] });
  });

  test('without end is not looked at', async () => {
    expect(await failure(() => parsePhrase('zoo '.repeat(100_000)))).toBe('words');
    await expect(wordsOf(random.bytes(16))).rejects.toThrow(RangeError);
  });
});

describe('an identity', () => {
  test('T5: no letter of a contact code may be another one', async () => {
    const code = (await contactCode(contactOf(await identityOf(newRoot())))).replaceAll('-', '');
    for (let at = 0; at < code.length; at++) {
      const other = code[at] === '7' ? '8' : '7';
      const wrong = await failure(() => parseContact(code.slice(0, at) + other + code.slice(at + 1)));
      expect(['checksum', 'unknown'], `letter ${at}`).toContain(wrong);
    }
    expect(await failure(() => parseContact(' '.repeat(2000) + code))).toBe('cut');
  });

  test('T6: no byte of it may be another one', async () => {
    const { envelope } = await identityOf(newRoot());
    for (let at = 0; at < envelope.length; at += 7) {
      const code = await failure(() => parseIdentity(flip(envelope, at)));
      expect(['encoding', 'envelope', 'signature'], `byte ${at}`).toContain(code);
    }
  });
});

describe('a message', () => {
  test('reaches the one it is for', async () => {
    const [from, to] = [newRoot(), newRoot()];
    const [a, b] = [await identityOf(from), await identityOf(to)];
    const message = await sendMessage(from, b, 'invitation', random.bytes(500));
    expect(await receiveMessage(to, a, 'invitation', message)).toHaveLength(500);
    expect(await failure(() => receiveMessage(to, b, 'invitation', message))).toBe('envelope');
    expect(await failure(() => receiveMessage(from, a, 'invitation', message))).toBe('recipient');
    expect(await failure(() => receiveMessage(to, a, 'grant', message))).toBe('purpose');
  });

  test('T6: with any byte changed is refused', async () => {
    const [from, to] = [newRoot(), newRoot()];
    const a = await identityOf(from);
    const message = await sendMessage(from, await identityOf(to), 'invitation', random.bytes(5));
    for (let at = 0; at < message.length; at += 11) {
      expect(await failure(() => receiveMessage(to, a, 'invitation', flip(message, at))), `byte ${at}`).toBeDefined();
    }
  });

  test('that is too large is not made', async () => {
    const root = newRoot();
    const to = await identityOf(root);
    await expect(sendMessage(root, to, 'p', new Uint8Array(MAX_MESSAGE + 1))).rejects.toThrow(RangeError);
    expect(await failure(() => sendMessage(root, to, '', new Uint8Array(1)))).toBe('encoding');
    expect(await failure(() => sendMessage(root, to, 'p'.repeat(65), new Uint8Array(1)))).toBe('encoding');
  });
});

test('both ways to sign give one signature', async () => {
  const [seed, message] = [random.bytes(32), random.bytes(99)];
  const [engine, script] = [await signer(seed), await signerInScript(seed)];
  expect(engine.publicKey).toEqual(script.publicKey);
  const signature = await engine.sign(message);
  expect(await script.sign(message)).toEqual(signature);
  expect(await verify(engine.publicKey, signature, message)).toBe(true);
  await expect(signer(random.bytes(31))).rejects.toThrow(RangeError);
});

test('base 32 comes back, and nothing else does', () => {
  for (const size of [0, 5, 40]) {
    const bytes = random.bytes(size);
    expect(parseCrockford(toCrockford(bytes))).toEqual(bytes);
    expect(parseCrockford(toCrockford(bytes).toLowerCase())).toEqual(bytes);
  }
  for (const text of ['0', '0000000U', '00000000 ', '0000000ſ', '0000-000'])
    expect(parseCrockford(text)).toBeUndefined();
  expect(parseCrockford('oOiIlL00')).toEqual(parseCrockford('00111100'));
});

test('work ends when it is stopped, and is not done for a server that asks for too much', async () => {
  const stop = new AbortController();
  const working = findWork(random.bytes(20), MAX_BITS, stop.signal);
  stop.abort(new Error('enough'));
  await expect(working).rejects.toThrow('enough');
  await expect(findWork(random.bytes(20), MAX_BITS + 1)).rejects.toThrow(RangeError);
});
