import { type Bytes, utf8 } from '../bytes.ts';
import type { Content, Descriptor } from '../descriptor.ts';
import type { EntryId, FolderId, RevisionId } from '../id.ts';
import type { Opener } from '../journal-entry.ts';
import { type Anchor, type Keys, type Place, publicOf } from '../journal-keys.ts';
import type { Operation } from '../journal-operation.ts';
import { type Intent, noted } from '../journal-rebase.ts';
import { applyEntry } from '../journal-replay.ts';
import { State } from '../journal-state.ts';
import { foundFolder, type Pen, writeEntry, writeEpoch } from '../journal-write.ts';

// Folders for tests: ids and keys follow from numbers, as in the Go tests that made the vectors.

async function made(text: string): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(text)));
}

export const folderId = async (n: number): Promise<FolderId> => (await made(`folder${n}`)).slice(0, 16);
export const entryId = async (n: number): Promise<EntryId> => (await made(`entry${n}`)).slice(0, 16);
export const revisionId = async (n: number): Promise<RevisionId> => (await made(`revision${n}`)).slice(0, 16);

/** The keys of folder n in an epoch. */
export async function keysFor(n: number, epoch: number): Promise<Required<Keys>> {
  const of = (kind: string) => made(`${kind} ${n} ${epoch}`);
  return { read: await of('read'), write: await of('write'), admin: await of('admin') };
}

export async function anchorFor(n: number, epoch: number): Promise<Anchor> {
  const { write, admin } = await keysFor(n, epoch);
  return { folder: await folderId(n), epoch, keys: { write: await publicOf(write), admin: await publicOf(admin) } };
}

export async function placeFor(n: number, epoch: number): Promise<Place> {
  return { folder: await folderId(n), epoch, keys: await keysFor(n, epoch) };
}

export async function contentOf(n: number): Promise<Content> {
  return {
    fileId: (await made(`file${n}`)).slice(0, 16),
    revisionId: await revisionId(n),
    key: await made(`key ${n}`),
    commitment: await made(`commitment ${n}`),
    root: await made(`root ${n}`),
    trueSize: n,
  };
}

export async function fileOf(path: string, revision: number): Promise<Descriptor> {
  return { path, kind: 1, content: await contentOf(revision) };
}

export async function put(entry: number, path: string, revision: number): Promise<Operation> {
  return { what: 1, entry: await entryId(entry), descriptor: await fileOf(path, revision) };
}

/** A folder with its journal, as a server keeps it, and the state of a client that follows. */
export class Folder {
  readonly n: number;
  readonly raws: Bytes[] = [];
  readonly state: State;
  readonly opener: Opener = { reads: new Map() };
  intent: Intent;

  constructor(n: number, anchor: Anchor) {
    this.n = n;
    this.state = new State(anchor);
    this.intent = noted(this.state, []);
  }

  async pen(): Promise<Pen> {
    return { keys: await keysFor(this.n, Math.max(1, this.state.chain.epoch)) };
  }

  async take(raw: Bytes): Promise<void> {
    await applyEntry(this.state, raw, this.opener);
    this.raws.push(raw);
  }

  async write(...operations: Operation[]): Promise<this> {
    await this.take(await writeEntry(this.state, await this.pen(), ...operations));
    return this;
  }

  async epoch(...operations: Operation[]): Promise<this> {
    const next = await keysFor(this.n, this.state.chain.epoch + 1);
    const raw = await writeEpoch(this.state, await this.pen(), next, ...operations);
    this.opener.reads.set(this.state.chain.epoch + 1, next.read);
    await this.take(raw);
    return this;
  }

  /** The state of a client that saw nothing before. */
  async replay(upTo = this.raws.length): Promise<State> {
    const state = new State(await anchorFor(this.n, 1));
    for (const raw of this.raws.slice(0, upTo)) await applyEntry(state, raw, this.opener);
    return state;
  }
}

/** Folder n with its first entry. */
export async function folderFor(n: number): Promise<Folder> {
  const anchor = await anchorFor(n, 1);
  const folder = new Folder(n, anchor);
  folder.opener.reads.set(1, (await keysFor(n, 1)).read);
  await folder.take(await foundFolder(anchor, await folder.pen()));
  return folder;
}
