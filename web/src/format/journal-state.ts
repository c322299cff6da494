import { type Bytes, equal } from './bytes.ts';
import { comparePaths, type Descriptor, KIND } from './descriptor.ts';
import type { EntryId, FolderId, RevisionId } from './id.ts';
import { type Chain, compareBytes, emptyChain, type Head, type Start } from './journal-entry.ts';
import { Alarm, type Anchor, type Child, samePublic } from './journal-keys.ts';
import { foldedName, numberedName } from './names.ts';

// A folder after some entry of its journal, verified (docs/format.md §21).

/** A file or folder in a folder. It never changes: what changes it makes another. */
export interface Item {
  readonly id: EntryId;
  /** Its path is the name; versions are the newest first. */
  readonly descriptor: Descriptor;
  readonly child?: Child;
  /** Since when it is in the trash, in days since 1970-01-01 UTC. */
  readonly day?: number;
}

export const isTrashed = (item: Item): boolean => item.day !== undefined;
export const isFolder = (item: Item): boolean => item.descriptor.kind === KIND.folder;
export const nameOf = (item: Item): string => item.descriptor.path;

/** The revisions that an item holds. */
export function revisionsOf({ descriptor: { content, versions, thumbnail } }: Item): RevisionId[] {
  const all = [content, ...(versions ?? []).map((version) => version.content), thumbnail];
  return all.flatMap((one) => (one === undefined ? [] : [one.revisionId]));
}

/** An id as the key of a Map: one character a byte. */
export function keyOf(id: Uint8Array): string {
  return String.fromCharCode(...id);
}

function bytesOf(key: string): Bytes {
  return Uint8Array.from(key, (c) => c.charCodeAt(0));
}

/** The entry that began an epoch, enough of it to verify the handover. */
export interface EpochStart extends Start {
  readonly seq: number;
  readonly previous: Bytes;
}

/** What a change does to what the folder holds. */
export interface Effect {
  readonly added: RevisionId[];
  readonly dropped: RevisionId[];
  readonly foldersAdded: FolderId[];
  readonly foldersDropped: FolderId[];
}

/** The least number of operations between checkpoints. */
const MIN_TAIL = 256;

/** How often what is touched in a change is held more, or less, at its end. */
type Counts = Map<string, number>;

export class State {
  anchor: Anchor;
  chain: Chain;
  /** Epoch n is the n-th. */
  epochs: readonly EpochStart[] = [];
  /** Operations since the last checkpoint. */
  tail = 0;
  readonly items = new Map<string, Item>();
  readonly children = new Map<string, Item>();
  readonly heads = new Map<string, Head>();
  /** Live items by name. */
  readonly names = new Map<string, Item>();
  readonly #held: Counts = new Map();
  /** Live names by their fold; made when somebody writes. */
  #folded: Counts | undefined;
  #undo: (() => void)[] = [];
  #revisions: Counts = new Map();
  #folders: Counts = new Map();
  #expected: Head | undefined;

  /** A folder before its first entry. What its journal says must lead to the anchor's keys in the anchor's epoch. */
  constructor(anchor: Anchor) {
    this.anchor = anchor;
    this.chain = emptyChain(anchor.folder);
  }

  get folder(): FolderId {
    return this.chain.folder;
  }

  get head(): Head {
    const { folder, seq, hash } = this.chain;
    return { folder, seq, hash };
  }

  /** What somebody who is to open this folder needs to know of its present epoch. */
  presentAnchor(): Anchor {
    return { folder: this.folder, epoch: this.chain.epoch, keys: this.chain.keys };
  }

  /** Checks that the journal leads to the anchor's keys in its epoch, and holds what comes later against it too. */
  hold(anchor: Anchor): void {
    const alarm = (code: 'foreign' | 'rollback', why: string) => new Alarm(this.folder, code, this.chain.seq, why);
    if (!equal(anchor.folder, this.folder)) throw alarm('foreign', 'the keys are of another folder');
    if (anchor.epoch > this.epochs.length) throw alarm('rollback', `epoch ${anchor.epoch} was seen`);
    const start = this.epochs[anchor.epoch - 1];
    if (start === undefined || !samePublic(start, anchor.keys)) {
      throw alarm('foreign', `the keys of epoch ${anchor.epoch} are others`);
    }
    this.anchor = anchor;
  }

  /**
   * Whether, once a server has given all entries that it says it has, the journal has come to the anchor and to what
   * expect was told. Before that nothing in the state is to be believed.
   */
  settled(): void {
    if (this.chain.seq === 0) throw new Alarm(this.folder, 'missing', 0, 'there is no journal');
    this.hold(this.anchor);
    if (this.#expected !== undefined && this.chain.seq < this.#expected.seq) {
      throw new Alarm(this.folder, 'rollback', this.chain.seq, `entry ${this.#expected.seq} was seen`);
    }
  }

  /** Holds what is replayed from here on against a head that was seen before. */
  expect(head: Head): void {
    if (!equal(head.folder, this.folder) || head.seq < this.chain.seq) {
      throw new RangeError(`the state is at entry ${this.chain.seq} already`);
    }
    this.#expected = head;
    this.meets(this.head);
  }

  /** Compares a head with what was expected there. */
  meets(head: Head): void {
    if (head.seq === 0 || head.seq !== this.#expected?.seq || equal(head.hash, this.#expected.hash)) return;
    throw new Alarm(this.folder, 'fork', head.seq, 'another entry was seen in its place');
  }

  get(id: EntryId): Item | undefined {
    return this.items.get(keyOf(id));
  }

  /** The live item of that exact name. */
  find(name: string): Item | undefined {
    return this.names.get(name);
  }

  holds(revision: RevisionId): boolean {
    return (this.#held.get(keyOf(revision)) ?? 0) > 0;
  }

  /** The live items, sorted by name as bytes. */
  list(): Item[] {
    return [...this.names.values()].sort((a, b) => comparePaths(nameOf(a), nameOf(b)));
  }

  /** What is in the trash, what came first before others. */
  trash(): Item[] {
    const all = [...this.items.values()].filter(isTrashed);
    return all.sort((a, b) => (a.day ?? 0) - (b.day ?? 0) || compareBytes(a.id, b.id));
  }

  /** The children whose keys are not sealed by the present epoch. */
  stale(): Item[] {
    const all = [...this.children.values()].filter(({ child }) => (child?.parent ?? 0) < this.chain.epoch);
    return all.sort((a, b) => compareBytes(a.id, b.id));
  }

  /** How many live items have a name that some file system takes for this one. */
  clashes(name: string): number {
    if (this.#folded === undefined) {
      this.#folded = new Map();
      for (const each of this.names.keys()) add(this.#folded, foldedName(each), 1);
    }
    return this.#folded.get(foldedName(name)) ?? 0;
  }

  /** The name, or the name with the lowest number that clashes with no live item but `own`. */
  free(name: string, own?: Item): string {
    const taken = (each: string) =>
      this.clashes(each) > (own !== undefined && foldedName(nameOf(own)) === foldedName(each) ? 1 : 0);
    let free = name;
    for (let n = 2; taken(free); n++) free = numberedName(name, n);
    return free;
  }

  wantsCheckpoint(): boolean {
    return this.tail > Math.max(MIN_TAIL, Math.floor(this.items.size / 4));
  }

  /** A state that goes its own way from here on. */
  clone(): State {
    const copy = new State(this.anchor);
    copy.chain = this.chain;
    copy.epochs = this.epochs;
    copy.tail = this.tail;
    for (const item of this.items.values()) copy.#index(item, 1);
    for (const head of this.heads.values()) copy.heads.set(keyOf(head.folder), head);
    copy.settle();
    return copy;
  }

  /** Begins a change; settle or takeBack ends it. */
  begin(): void {
    const { chain, epochs, tail } = this;
    this.#undo = [
      () => {
        Object.assign(this, { chain, epochs, tail });
      },
    ];
  }

  /** Replaces an item; undefined is none. The caller has checked that the result is a state. */
  set(before: Item | undefined, after: Item | undefined): void {
    if (before !== undefined) this.#index(before, -1);
    if (after !== undefined) this.#index(after, 1);
    this.#undo.push(() => {
      if (after !== undefined) this.#index(after, -1);
      if (before !== undefined) this.#index(before, 1);
    });
  }

  setHead(folder: FolderId, head: Head | undefined): void {
    const key = keyOf(folder);
    const before = this.heads.get(key);
    if (head === undefined) this.heads.delete(key);
    else this.heads.set(key, head);
    this.#undo.push(() => {
      if (before === undefined) this.heads.delete(key);
      else this.heads.set(key, before);
    });
  }

  #index(item: Item, by: 1 | -1): void {
    const key = keyOf(item.id);
    if (by > 0) this.items.set(key, item);
    else this.items.delete(key);
    if (!isTrashed(item)) {
      if (by > 0) this.names.set(nameOf(item), item);
      else this.names.delete(nameOf(item));
      if (this.#folded !== undefined) add(this.#folded, foldedName(nameOf(item)), by);
    }
    for (const revision of revisionsOf(item)) add(this.#revisions, keyOf(revision), by);
    if (item.child === undefined) return;
    const child = keyOf(item.child.folder);
    add(this.#folders, child, by);
    if (by > 0) this.children.set(child, item);
    else this.children.delete(child);
  }

  /** The change stands. */
  settle(): void {
    for (const [revision, by] of this.#revisions) add(this.#held, revision, by);
    this.#end();
  }

  /** All of the change is undone. */
  takeBack(): void {
    for (const undo of this.#undo.reverse()) undo();
    this.#end();
  }

  #end(): void {
    this.#undo = [];
    this.#revisions.clear();
    this.#folders.clear();
  }

  /** What is held now and was not before the change, and the other way round. */
  effect(): Effect {
    const pick = (counts: Counts, suits: (by: number, key: string) => boolean) =>
      [...counts]
        .filter(([key, by]) => by !== 0 && suits(by, key))
        .map(([key]) => bytesOf(key))
        .sort(compareBytes);
    const held = (key: string) => this.#held.get(key) ?? 0;
    return {
      added: pick(this.#revisions, (_, key) => held(key) === 0),
      dropped: pick(this.#revisions, (by, key) => held(key) + by === 0),
      foldersAdded: pick(this.#folders, (by) => by > 0),
      foldersDropped: pick(this.#folders, (by) => by < 0),
    };
  }

  /** The name of an item that the change brought, and that clashes now. */
  newClash(changed: readonly EntryId[], before: (id: EntryId) => Item | undefined): string | undefined {
    for (const id of changed) {
      const [was, is] = [before(id), this.get(id)];
      if (is === undefined || isTrashed(is)) continue;
      if (was !== undefined && !isTrashed(was) && nameOf(was) === nameOf(is)) continue;
      if (this.clashes(nameOf(is)) > 1) return nameOf(is);
    }
    return undefined;
  }
}

function add(counts: Counts, key: string, by: number): void {
  const n = (counts.get(key) ?? 0) + by;
  if (n === 0) counts.delete(key);
  else counts.set(key, n);
}
