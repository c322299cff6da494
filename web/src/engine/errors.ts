import type { Code, Problem } from '../api/types.gen.ts';
import { FormatError, type FormatErrorCode } from '../format/errors.ts';
import { EngineError, type EngineErrorCode } from './types.ts';

// One table from what the server, the format and the browser report to what people are told.

const fromCode: Partial<Record<Code, EngineErrorCode>> = {
  'not-found': 'not-found',
  'wrong-key': 'wrong-key',
  'link-expired': 'expired',
  'link-used-up': 'used-up',
  'link-revoked': 'revoked',
  'session-invalid': 'session-ended',
  'rate-limited': 'rate-limited',
  'over-limit': 'over-limit',
  'no-capacity': 'no-capacity',
  'no-placement': 'no-placement',
  unavailable: 'unreachable',
  'unknown-version': 'out-of-date',
};

export function fromProblem(problem: Problem): EngineError {
  return new EngineError(fromCode[problem.code] ?? 'internal', problem.code, problem.retryAfter);
}

/** What a link's own text may be wrong in. The same codes in what server and nodes say are damage. */
const fromLink: Partial<Record<FormatErrorCode, EngineErrorCode>> = {
  cut: 'cut',
  id: 'cut',
  unknown: 'unknown-link',
  checksum: 'checksum',
};

/** Every error as an EngineError; damage of any kind is "integrity". */
export function toEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (error instanceof FormatError)
    return new EngineError(error.code === 'password' ? 'wrong-password' : 'integrity', error.code);
  if (error instanceof DOMException && error.name === 'AbortError') return new EngineError('cancelled');
  return new EngineError('internal', error instanceof Error ? `${error.name}: ${error.message}` : '');
}

/**
 * An error of a send. What was chosen is checked before byte 1, so that a format error is what a server or a node said:
 * nothing of the sender's is damaged.
 */
export function sendError(error: unknown): EngineError {
  if (!(error instanceof FormatError)) return toEngineError(error);
  if (error.code === 'password') return new EngineError('password-unusable', error.message.replace(/^password: /, ''));
  return new EngineError('untrusted', error.code);
}

/** An error of reading a link's text. */
export function linkError(error: unknown): EngineError {
  const code = error instanceof FormatError ? fromLink[error.code] : undefined;
  return code === undefined ? toEngineError(error) : new EngineError(code);
}

/** How an EngineError crosses to another thread: the structured clone drops its class. */
export interface PlainError {
  readonly code: EngineErrorCode;
  readonly detail: string;
  readonly retryAfter: number | null;
}

export function toPlain(error: unknown): PlainError {
  const { code, detail, retryAfter } = toEngineError(error);
  return { code, detail, retryAfter: retryAfter ?? null };
}

export function fromPlain({ code, detail, retryAfter }: PlainError): EngineError {
  return new EngineError(code, detail, retryAfter ?? undefined);
}
