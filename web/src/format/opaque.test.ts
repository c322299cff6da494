import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { client, ready, server } from '@serenity-kit/opaque';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bytes } from './bytes.ts';
import { fromText, toText } from './id.ts';
import { logIn, register } from './opaque.ts';
import { failure, flip } from './vectors/random.kit.ts';

// Both halves of OPAQUE in both languages: the browser's client with Go's server, and Go's client with another server.

const PASSWORD = 'correct horse ‹battery› staple';

interface Line {
  readonly do: string;
  readonly password?: string;
  readonly credential?: string;
  readonly message?: string;
  readonly record?: string;
}

interface Answer {
  readonly message: Bytes;
  readonly export: Bytes;
}

const base64 = (bytes: Bytes): string => Buffer.from(bytes).toString('base64');
const fromBase64 = (text: string | undefined): Bytes => new Uint8Array(Buffer.from(text ?? '', 'base64'));
const bytesOf = (text: string): Bytes => fromText(text) ?? new Uint8Array(0);

let go: ChildProcessByStdio<Writable, Readable, null>;
let lines: AsyncIterator<string>;
beforeAll(async () => {
  await ready;
  go = spawn('go', ['run', './format/opaque/internal/peer'], { cwd: '..', stdio: ['pipe', 'pipe', 'inherit'] });
  lines = createInterface(go.stdout)[Symbol.asyncIterator]();
}, 120_000);
afterAll(() => {
  go.stdin.end();
});

async function ask(line: Line): Promise<Answer> {
  go.stdin.write(`${JSON.stringify(line)}\n`);
  const { value, done } = await lines.next();
  if (done) throw new Error('the Go half ended');
  const answer = JSON.parse(value) as { message?: string; export?: string; error?: string };
  if (answer.error !== undefined) throw new Error(answer.error);
  return { message: fromBase64(answer.message), export: fromBase64(answer.export) };
}

describe("this client and Go's server", { timeout: 120_000 }, () => {
  let record: Bytes;
  let exportKey: Bytes;
  beforeAll(async () => {
    const step = await register(PASSWORD);
    const { message } = await ask({ do: 'server: register', credential: '1', message: base64(step.message) });
    ({ record, exportKey } = step.finish(message));
  }, 120_000);

  async function begin(
    password: string,
    stored: Bytes | undefined = record,
  ): Promise<[Awaited<ReturnType<typeof logIn>>, Bytes]> {
    const step = await logIn(password);
    const sent = { do: 'server: begin', credential: '1', message: base64(step.message) };
    const { message } = await ask(stored ? { ...sent, record: base64(stored) } : sent);
    return [step, message];
  }

  test('agree on the export key', async () => {
    expect(record).toHaveLength(192);
    expect(exportKey).toHaveLength(64);
    const [step, ke2] = await begin(PASSWORD);
    const done = step.finish(ke2);
    expect(done.exportKey).toEqual(exportKey);
    await ask({ do: 'server: finish', message: base64(done.message) });
  });

  test('refuse a KE3 that was changed', async () => {
    const [step, ke2] = await begin(PASSWORD);
    const { message } = step.finish(ke2);
    await expect(ask({ do: 'server: finish', message: base64(flip(message, 9)) })).rejects.toThrow(
      'wrong name or password',
    );
  });

  test('T2: whatever is wrong is one error', async () => {
    const [wrong, answer] = await begin('another password');
    expect(await failure(() => wrong.finish(answer))).toBe('login');
    for (const at of [0, 31, 32, 63, 64, 191, 192, 223, 224, 255, 256, 319]) {
      const [step, ke2] = await begin(PASSWORD);
      expect(await failure(() => step.finish(flip(ke2, at))), `byte ${at}`).toBe('login');
    }
    for (const none of [new Uint8Array(0), new Uint8Array(320), new Uint8Array(319)]) {
      const [step] = await begin(PASSWORD);
      expect(await failure(() => step.finish(none)), `${none.length} bytes`).toBe('login');
    }
  });

  test('T19: nobody’s name fails as a wrong password does', async () => {
    const step = await logIn(PASSWORD);
    const { message } = await ask({ do: 'server: begin', credential: 'nobody', message: base64(step.message) });
    expect(message).toHaveLength(320);
    expect(await failure(() => step.finish(message))).toBe('login');
  });

  test('refuse an answer to a registration that is none', async () => {
    const step = await register(PASSWORD);
    expect(await failure(() => step.finish(new Uint8Array(64)))).toBe('login');
  });
});

describe("Go's client and another server", { timeout: 120_000 }, () => {
  const userIdentifier = 'somebody';

  test('agree on the export key', async () => {
    const serverSetup = server.createSetup();
    const request = await ask({ do: 'client: register', password: PASSWORD });
    const { registrationResponse } = server.createRegistrationResponse({
      serverSetup,
      userIdentifier,
      registrationRequest: toText(request.message),
    });
    const registered = await ask({ do: 'client: registered', message: base64(bytesOf(registrationResponse)) });
    const ke1 = await ask({ do: 'client: begin', password: PASSWORD });
    const { serverLoginState, loginResponse } = server.startLogin({
      serverSetup,
      userIdentifier,
      registrationRecord: toText(registered.message),
      startLoginRequest: toText(ke1.message),
    });
    const done = await ask({ do: 'client: finish', message: base64(bytesOf(loginResponse)) });
    expect(done.export).toEqual(registered.export);
    const { sessionKey } = server.finishLogin({ serverLoginState, finishLoginRequest: toText(done.message) });
    expect(bytesOf(sessionKey)).toHaveLength(64);
  });

  test('what this client registers, Go’s client opens', async () => {
    const serverSetup = server.createSetup();
    const { clientRegistrationState, registrationRequest } = client.startRegistration({ password: PASSWORD });
    const { registrationResponse } = server.createRegistrationResponse({
      serverSetup,
      userIdentifier,
      registrationRequest,
    });
    const registered = client.finishRegistration({
      password: PASSWORD,
      clientRegistrationState,
      registrationResponse,
      keyStretching: { 'argon2id-custom': { iterations: 3, memory: 65_536, parallelism: 4 } },
    });
    const ke1 = await ask({ do: 'client: begin', password: PASSWORD });
    const { loginResponse } = server.startLogin({
      serverSetup,
      userIdentifier,
      registrationRecord: registered.registrationRecord,
      startLoginRequest: toText(ke1.message),
    });
    const done = await ask({ do: 'client: finish', message: base64(bytesOf(loginResponse)) });
    expect(done.export).toEqual(bytesOf(registered.exportKey));
  });
});
