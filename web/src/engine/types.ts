// What the pages may ask of the engine. The engine runs in workers, holds keys
// and talks to server and nodes; it knows no DOM. Pages show, and decide nothing
// about keys.

/** A file to send, or an empty folder that should survive. Paths use "/". */
export type SendItem = { readonly path: string; readonly file: File } | { readonly path: string; readonly dir: true };

export interface SendOptions {
  /** Lifetime of the link in days. */
  readonly days: number;
  /** Greatest number of downloads, 0 for no limit. */
  readonly downloads: number;
  readonly password?: string;
  /** Shown to receivers as the name of what was sent; for several files only. */
  readonly title?: string;
}

export type Stage = 'preparing' | 'encrypting' | 'sending' | 'stored1' | 'stored2' | 'committing' | 'done';

/** Something that people should know while they wait. */
export interface ProgressNote {
  readonly kind: 'failover' | 'retrying' | 'offline';
  /** Until the next try, where one is planned. */
  readonly seconds?: number;
}

/** Bytes are bytes of ciphertext, so that all of them end at totalBytes. */
export interface SendProgress {
  readonly stage: Stage;
  readonly totalBytes: number;
  readonly encryptedBytes: number;
  readonly sentBytes: number;
  /** Bytes with one checked receipt, and with two of independent nodes. */
  readonly stored1Bytes: number;
  readonly stored2Bytes: number;
  readonly bytesPerSecond: number;
  readonly secondsLeft: number | null;
  readonly files: number;
  readonly filesDone: number;
  readonly note?: ProgressNote;
}

/** Where a copy stands, as the node signed it. */
export interface Place {
  readonly node: string;
  readonly operator: string;
  /** ISO 3166-1 alpha-2. */
  readonly jurisdiction: string;
}

export interface SendResult {
  /** The whole link, with its key. */
  readonly link: string;
  /** The link without its key, and the key alone, to be sent by two ways. */
  readonly linkWithoutKey: string;
  readonly key: string;
  readonly handle: string;
  readonly manageSecret: string;
  /** Unix seconds. */
  readonly expires: number;
  readonly downloads: number;
  readonly password: boolean;
  readonly places: readonly Place[];
  /** Not every place holds every part: a storage server was left on the way. */
  readonly spread: boolean;
  readonly title: string;
  readonly files: number;
  /** True sizes, added up. */
  readonly bytes: number;
}

export interface ServiceLimits {
  readonly maxUploadBytes: number;
  readonly freeBytes: number;
  readonly defaultDays: number;
  readonly maxDays: number;
  readonly maxDownloads: number;
  /** Whether enough independent nodes are there to store anything now. */
  readonly accepting: boolean;
  readonly places: readonly Place[];
}

/** A running transfer. Cancel leaves nothing behind; done then rejects with code "cancelled". */
export interface Task<T> {
  readonly done: Promise<T>;
  cancel(): void;
}

export interface LinkEntry {
  readonly path: string;
  readonly kind: 'file' | 'folder';
  readonly size: number;
  /** The sender's word, a hint for icons only; empty where unknown. */
  readonly type: string;
  /** Unix milliseconds, or null. */
  readonly mtime: number | null;
}

/** An opened link. The engine keeps the keys; id names them there. */
export interface LinkView {
  readonly id: string;
  readonly kind: 'file' | 'bundle';
  readonly title: string;
  readonly entries: readonly LinkEntry[];
  readonly bytes: number;
  readonly expires: number;
  /** null where there is no limit. */
  readonly downloadsLeft: number | null;
  readonly places: readonly Place[];
}

export interface DownloadProgress {
  readonly totalBytes: number;
  readonly doneBytes: number;
  readonly bytesPerSecond: number;
  readonly secondsLeft: number | null;
  readonly note?: ProgressNote;
}

/** What a link's text says before anything is asked. */
export interface LinkParts {
  readonly handle: string;
  readonly password: boolean;
}

export interface Engine {
  info(): Promise<ServiceLimits>;
  send(items: readonly SendItem[], options: SendOptions, onProgress: (p: SendProgress) => void): Task<SendResult>;
  revoke(handle: string, manageSecret: string): Promise<void>;
  /** Throws EngineError with no-key, cut, unknown-link or checksum. */
  parse(handle: string, fragment: string): Promise<LinkParts>;
  look(handle: string, fragment: string, password?: string): Promise<LinkView>;
  /** Streams one entry, or all as a ZIP, to disk. Starting counts as a download, once for each link, tab and day. */
  download(view: LinkView, what: number | 'all', onProgress: (p: DownloadProgress) => void): Task<void>;
}

/** Codes of EngineError: what people are told depends on these and on nothing else. */
export type EngineErrorCode =
  | 'no-key'
  | 'cut'
  | 'unknown-link'
  | 'folder-link'
  | 'checksum'
  | 'not-found'
  | 'wrong-key'
  | 'wrong-password'
  | 'password-unusable'
  | 'expired'
  | 'used-up'
  | 'revoked'
  | 'rate-limited'
  | 'unreachable'
  | 'no-placement'
  | 'no-capacity'
  | 'over-limit'
  | 'nodes-away'
  | 'integrity'
  | 'file-changed'
  | 'file-unreadable'
  | 'bad-name'
  | 'untrusted'
  | 'cancelled'
  | 'stopped'
  | 'session-ended'
  | 'unsupported'
  | 'out-of-date'
  | 'internal';

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  /** What it was about: a file's name, a node; never a secret. */
  readonly detail: string;
  /** Seconds after which trying again can help. */
  readonly retryAfter: number | undefined;

  constructor(code: EngineErrorCode, detail = '', retryAfter?: number) {
    super(detail === '' ? code : `${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}
