import type { PlainError } from './errors.ts';
import type { SendJob } from './send.ts';
import type { DownloadProgress, LinkView, SendProgress, SendResult } from './types.ts';

// What pages, workers and the service worker say to each other.

export type ToSend = { kind: 'start'; job: SendJob } | { kind: 'cancel' };
export type FromSend =
  | { kind: 'progress'; progress: SendProgress }
  | { kind: 'result'; result: SendResult }
  | { kind: 'error'; error: PlainError };

/** Questions to the worker that opens links; each has a number, by which its answer is known. */
export type ToLink = { id: number } & (
  | { kind: 'look'; handle: string; fragment: string; password: string | null; session: string }
  /** With renew the session is asked for again, because the server does not know it any more. */
  | { kind: 'prepare'; view: string; what: number | 'all'; renew: boolean }
);
export type FromLink =
  | { kind: 'tick' }
  | { id: number; kind: 'view'; view: LinkView }
  | { id: number; kind: 'prepared'; job: DownloadJob }
  | { id: number; kind: 'error'; error: PlainError };

/** One file as the service worker needs it: where to read, and what opens it. */
export interface DownloadFile {
  /** The name to write, safe on any system; with folders in a ZIP. */
  readonly name: string;
  readonly size: number;
  readonly mtime: number | null;
  readonly executable?: boolean;
  readonly fileId: Uint8Array<ArrayBuffer>;
  readonly revisionId: Uint8Array<ArrayBuffer>;
  readonly key: Uint8Array<ArrayBuffer>;
  readonly commitment: Uint8Array<ArrayBuffer>;
  readonly root: Uint8Array<ArrayBuffer>;
}

export interface DownloadJob {
  readonly handle: string;
  readonly session: string;
  /** The name of the file on disk. */
  readonly name: string;
  /** With zip, all files and these empty folders go into one archive; otherwise there is one file. */
  readonly zip: boolean;
  readonly folders: readonly string[];
  readonly files: readonly DownloadFile[];
}

export type ToService =
  | { kind: 'register'; id: string; job: DownloadJob }
  | { kind: 'ping'; id: string }
  | { kind: 'cancel'; id: string }
  /** To versions that are not the one of now: end when nothing runs. */
  | { kind: 'retire' };
export type FromService =
  /** The job is known; its address can be opened. */
  | { kind: 'ready' }
  /** The browser asked for the file. */
  | { kind: 'started' }
  /** The answer to a ping. */
  | { kind: 'alive' }
  /** This version takes no job any more. */
  | { kind: 'retired' }
  | { kind: 'progress'; progress: DownloadProgress }
  | { kind: 'done' }
  | { kind: 'error'; error: PlainError };
