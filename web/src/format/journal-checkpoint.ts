import { type Bytes, concat, equal, sha256 } from './bytes.ts';
import { refuse, Writer } from './cbor.ts';
import { descriptorShape, nameFault } from './descriptor.ts';
import { FormatError } from './errors.ts';
import { enter } from './journal-apply.ts';
import {
  compareBytes,
  consents,
  type Head,
  MAX_PAGES,
  type Opener,
  type Outer,
  parseEntry,
  readKeyOf,
} from './journal-entry.ts';
import { Alarm, type Anchor, childShape, MAX_EPOCH, u32 } from './journal-keys.ts';
import { type Item, isFolder, isTrashed, keyOf, nameOf, State } from './journal-state.ts';
import { openRecord, sealRecord } from './record.ts';
import {
  array,
  b16,
  b32,
  bytes,
  decodeExact,
  encode,
  type Infer,
  integer,
  map,
  optional,
  refine,
  required,
  type Shape,
  uint,
} from './shape.ts';

// Checkpoints: a folder's state in pages (docs/format.md §24).

/** The greatest size of a page before sealing. */
const MAX_PAGE = 1_048_000;
/** The most entries, and the most heads, of a folder whose state can be kept. */
const MAX_STATES = 2 ** 20;

const seq = integer(1, Number.MAX_SAFE_INTEGER);
const firstShape = map({
  folder: required(1, b16<'folder'>()),
  seq: required(2, uint),
  hash: required(3, b32),
  epochs: required(
    4,
    array(
      map({
        seq: required(1, uint),
        previous: required(2, b32),
        write: required(3, b32),
        admin: required(4, b32),
        handover: optional(5, bytes(64, 64)),
      }),
      1,
      MAX_EPOCH,
    ),
  ),
  states: required(5, uint),
  heads: required(6, uint),
});
type First = Infer<typeof firstShape>;

const stateFields = map({
  id: required(1, b16<'entry'>()),
  descriptor: required(2, descriptorShape),
  child: optional(3, childShape),
  day: optional(4, uint),
});
const stateShape: Shape<Item> = refine(stateFields as Shape<Item>, (item) => {
  if (isFolder(item) !== (item.child !== undefined)) return 'a folder without keys, or a file with keys';
  return nameFault(nameOf(item));
});

const headShape: Shape<Head> = map({
  folder: required(1, b16<'folder'>()),
  seq: required(2, seq),
  hash: required(3, b32),
});

const pageShape = map({
  first: optional(1, firstShape),
  states: optional(2, array(stateShape, 1, MAX_STATES)),
  heads: optional(3, array(headShape, 1, MAX_STATES)),
});

function headBytes(write: (to: Writer) => void): Bytes {
  const to = new Writer();
  write(to);
  return to.result();
}

/** Fills pages with items in their order. */
class Paginator {
  readonly pages: Bytes[] = [];
  #first: Bytes | undefined;
  #lists: [Bytes[], Bytes[]] = [[], []];
  #sizes: [number, number] = [0, 0];

  constructor(first: Bytes) {
    this.#first = first;
  }

  add(list: 0 | 1, item: Bytes): void {
    if (this.#size(list, item.length) > MAX_PAGE) this.close();
    this.#lists[list].push(item);
    this.#sizes[list] += item.length;
  }

  /** The page's size once another item of that many bytes is in that list. */
  #size(list: 0 | 1, more: number): number {
    let size = 1 + (this.#first === undefined ? 0 : 1 + this.#first.length);
    for (const i of [0, 1] as const) {
      const count = this.#lists[i].length + (i === list ? 1 : 0);
      if (count > 0) size += 1 + headBytes((to) => to.array(count)).length + this.#sizes[i] + (i === list ? more : 0);
    }
    return size;
  }

  close(): void {
    const parts: Bytes[] = [];
    const key = (n: number) => headBytes((to) => to.int(n));
    if (this.#first !== undefined) parts.push(concat(key(1), this.#first));
    this.#lists.forEach((items, i) => {
      if (items.length > 0)
        parts.push(
          concat(
            key(2 + i),
            headBytes((to) => to.array(items.length)),
            ...items,
          ),
        );
    });
    this.pages.push(
      concat(
        headBytes((to) => to.map(parts.length)),
        ...parts,
      ),
    );
    this.#first = undefined;
    this.#lists = [[], []];
    this.#sizes = [0, 0];
  }
}

/** The state in its one form. */
export function plainPages(state: State): Bytes[] {
  const { folder, seq, hash } = state.chain;
  const first: First = {
    folder,
    seq,
    hash,
    epochs: [...state.epochs],
    states: state.items.size,
    heads: state.heads.size,
  };
  const paginator = new Paginator(encode(firstShape, first, MAX_PAGE));
  for (const item of [...state.items.values()].sort((a, b) => compareBytes(a.id, b.id))) {
    paginator.add(0, encode(stateShape, item, MAX_PAGE));
  }
  for (const head of sortedHeads(state)) paginator.add(1, encode(headShape, head, MAX_PAGE));
  paginator.close();
  return paginator.pages;
}

export function sortedHeads(state: State): Head[] {
  return [...state.heads.values()].sort((a, b) => compareBytes(a.folder, b.folder));
}

async function digestOf(pages: readonly Bytes[]): Promise<Bytes> {
  const hashes: Bytes[] = [];
  for (const page of pages) hashes.push(await sha256(page));
  return sha256(...hashes);
}

/** Equal states have equal digests. */
export function stateDigest(state: State): Promise<Bytes> {
  return digestOf(plainPages(state));
}

function pageKey(read: Bytes, head: Head, epoch: number, page: number, pages: number) {
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(head.seq));
  const aad = concat(head.folder, number, u32(epoch), head.hash, u32(page), u32(pages));
  return { purposeKey: read, type: 'journal-checkpoint', aad };
}

/** A folder's state, sealed in pages. */
export interface Checkpoint {
  readonly head: Head;
  readonly digest: Bytes;
  /** SHA-256 of each sealed page: what stands in the entry. */
  readonly hashes: Bytes[];
  readonly pages: Bytes[];
}

/** Seals the state in pages; the entry after its head is the one that may name them. */
export async function makeCheckpoint(state: State, read: Bytes): Promise<Checkpoint> {
  const plain = plainPages(state);
  if (state.chain.seq === 0 || plain.length > MAX_PAGES || state.items.size > MAX_STATES) {
    throw new FormatError('too-large', `a state of ${plain.length} pages`);
  }
  const { head, chain } = state;
  const [hashes, pages]: [Bytes[], Bytes[]] = [[], []];
  for (const [i, page] of plain.entries()) {
    const sealed = await sealRecord(pageKey(read, head, chain.epoch, i, plain.length), page);
    pages.push(sealed);
    hashes.push(await sha256(sealed));
  }
  return { head, digest: await digestOf(plain), hashes, pages };
}

/**
 * The state that the checkpoint holds which `naming`, an entry not applied yet, names. That somebody who may write
 * vouches for it is known once naming was applied, which is to be done next, with the entries after it; then settled().
 */
export async function loadCheckpoint(
  anchor: Anchor,
  naming: Bytes,
  opener: Opener,
  fetch: (hash: Bytes) => Promise<Bytes>,
): Promise<State> {
  const outer = await namingOuter(anchor, naming);
  const read = readKeyOf(opener, outer.epoch);
  const loader = new Loader(anchor, outer);
  const { pages = [] } = outer;
  for (const [i, hash] of pages.entries()) {
    const sealed = await fetch(hash);
    try {
      if (!equal(await sha256(sealed), hash)) refuse(`page ${i} is another`);
      const plain = await openRecord(pageKey(read, loader.head, outer.epoch, i, pages.length), sealed);
      await loader.page(plain, i === 0);
      if (i === pages.length - 1) loader.finish();
    } catch (cause) {
      if (!(cause instanceof FormatError)) throw cause;
      throw new Alarm(anchor.folder, 'checkpoint', outer.seq, `page ${i}`, cause);
    }
  }
  if (anchor.epoch <= outer.epoch) loader.state.hold(anchor);
  return loader.state;
}

async function namingOuter(anchor: Anchor, naming: Bytes): Promise<Outer> {
  let outer: Outer;
  try {
    outer = (await parseEntry(naming)).outer;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new Alarm(anchor.folder, 'encoding', 0, 'no entry', cause);
  }
  if (!equal(outer.folder, anchor.folder) || outer.seq < 2 || outer.pages === undefined) {
    throw new Alarm(anchor.folder, 'checkpoint', outer.seq, 'the entry names none of this folder');
  }
  return outer;
}

/** Puts a state together from pages. */
class Loader {
  readonly state: State;
  readonly head: Head;
  readonly #epoch: number;
  #first: First | undefined;
  #last: Item | undefined;
  #lastHead: Head | undefined;

  constructor(anchor: Anchor, { folder, seq, previous, epoch }: Outer) {
    this.state = new State(anchor);
    this.head = { folder, seq: seq - 1, hash: previous };
    this.#epoch = epoch;
  }

  async page(plain: Bytes, isFirst: boolean): Promise<void> {
    const { first, states = [], heads = [] } = decodeExact(pageShape, plain, MAX_PAGE);
    if ((first !== undefined) !== isFirst) refuse('the first part of a checkpoint');
    if (first !== undefined) await this.#begin(first);
    for (const item of states) this.#add(item);
    for (const head of heads) {
      if (this.#lastHead !== undefined && compareBytes(this.#lastHead.folder, head.folder) >= 0)
        refuse('heads out of order');
      this.#lastHead = head;
      this.state.heads.set(keyOf(head.folder), head);
    }
    this.state.settle();
  }

  async #begin(first: First): Promise<void> {
    const { folder, seq, hash } = this.head;
    if (!equal(first.folder, folder) || first.seq !== seq || !equal(first.hash, hash)) refuse('of another place');
    if (first.epochs.length !== this.#epoch) refuse('of another epoch');
    let before = 0;
    for (const [i, start] of first.epochs.entries()) {
      const spot = { folder, seq: start.seq, epoch: i + 1, previous: start.previous };
      const inOrder = start.seq > before && start.seq <= seq;
      if (!inOrder || (i === 0) !== (start.seq === 1 && start.handover === undefined)) refuse('epochs out of order');
      const admin = first.epochs[i - 1]?.admin;
      if (admin !== undefined && !(await consents(start, admin, spot))) refuse(`no consent to epoch ${i + 1}`);
      before = start.seq;
      const { write, handover } = start;
      enter(
        this.state,
        handover === undefined ? { write, admin: start.admin } : { write, admin: start.admin, handover },
        spot,
      );
    }
    this.state.chain = { ...this.state.chain, seq, hash };
    this.#first = first;
  }

  #add(item: Item): void {
    if (this.#last !== undefined && compareBytes(this.#last.id, item.id) >= 0) refuse('entries out of order');
    if (!isTrashed(item) && this.state.names.has(nameOf(item))) refuse('two items of one name');
    const { child } = item;
    if (
      child !== undefined &&
      (this.state.children.has(keyOf(child.folder)) || equal(child.folder, this.head.folder))
    ) {
      refuse('a folder twice');
    }
    this.#last = item;
    this.state.set(undefined, item);
  }

  finish(): void {
    if (this.#first?.states !== this.state.items.size || this.#first.heads !== this.state.heads.size) {
      refuse('entries or heads are missing');
    }
  }
}
