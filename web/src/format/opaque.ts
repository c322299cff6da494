import type * as Library from '@serenity-kit/opaque';
import type { Bytes } from './bytes.ts';
import { FormatError } from './errors.ts';
import { fromText, toText } from './id.ts';

// The client's half of OPAQUE (RFC 9807, docs/format.md §16), by a library that is fetched when it is wanted. Nothing is
// negotiated: how passwords are stretched stands here and in format/opaque alone.

/** Argon2id with t = 3, 64 MiB, p = 4 (RFC 9106, second recommended option). */
const STRETCHING = { 'argon2id-custom': { iterations: 3, memory: 65_536, parallelism: 4 } };

let loading: Promise<typeof Library> | undefined;

async function load(): Promise<typeof Library> {
  const library = await import('@serenity-kit/opaque');
  await library.ready;
  return library;
}

function opaque(): Promise<typeof Library> {
  loading ??= load().catch((cause: unknown) => {
    loading = undefined; // a fetch that failed is tried again
    throw cause;
  });
  return loading;
}

function bytesOf(text: string): Bytes {
  const bytes = fromText(text);
  if (!bytes) throw new TypeError('the library gave what is no base64url');
  return bytes;
}

/** What a server stores, and the key that only this password and that server's help give again (64 bytes). */
export interface Registered {
  readonly record: Bytes;
  readonly exportKey: Bytes;
}

/** A message for the server, and what to do with its answer, once. */
export interface Step<T> {
  readonly message: Bytes;
  finish(answer: Bytes): T;
}

/** Registers a password, which was prepared before (docs/format.md §11). An answer that is none is refused (`login`). */
export async function register(password: string): Promise<Step<Registered>> {
  const { client } = await opaque();
  const { clientRegistrationState, registrationRequest } = client.startRegistration({ password });
  return {
    message: bytesOf(registrationRequest),
    finish: (answer) => {
      const done = orRefused(() =>
        client.finishRegistration({
          password,
          clientRegistrationState,
          registrationResponse: toText(answer),
          keyStretching: STRETCHING,
        }),
      );
      return { record: bytesOf(done.registrationRecord), exportKey: bytesOf(done.exportKey) };
    },
  };
}

/** The last message for the server, and the key that registering gave. */
export interface LoggedIn {
  readonly message: Bytes;
  readonly exportKey: Bytes;
}

/** Logs in. Whatever is wrong with the answer is one error (`login`): password, name, or a message that was changed. */
export async function logIn(password: string): Promise<Step<LoggedIn>> {
  const { client } = await opaque();
  const { clientLoginState, startLoginRequest } = client.startLogin({ password });
  return {
    message: bytesOf(startLoginRequest),
    finish: (answer) => {
      const done = orRefused(() =>
        client.finishLogin({
          password,
          clientLoginState,
          loginResponse: toText(answer),
          keyStretching: STRETCHING,
        }),
      );
      return { message: bytesOf(done.finishLoginRequest), exportKey: bytesOf(done.exportKey) };
    },
  };
}

function orRefused<T>(run: () => T | undefined): T {
  let done: T | undefined;
  try {
    done = run();
  } catch {
    // the library's words would tell what was wrong
  }
  if (done === undefined) throw new FormatError('login', 'wrong name or password');
  return done;
}
