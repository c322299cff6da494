import { concat, equal, sha256, utf8 } from './bytes.ts';
import type { Descriptor } from './descriptor.ts';
import { type EntryId, type FolderId, ID_SIZE, type RevisionId } from './id.ts';
import { applyOperation } from './journal-apply.ts';
import { anchorOf, type Child, samePublic } from './journal-keys.ts';
import { OP, type Operation } from './journal-operation.ts';
import { type Item, isFolder, isTrashed, keyOf, nameOf, revisionsOf, type State } from './journal-state.ts';
import { tryOperations } from './journal-write.ts';

// What the loser of a compare-and-swap does: what was intended is adapted to what came meanwhile (docs/format.md §23).

/** What became of an operation that could not be done as intended; from `gone` on it is void. */
export type Reason =
  | 'numbered' // the name was taken; it has another
  | 'merged' // the file was changed meanwhile; both contents stand
  | 'revived' // the file was removed meanwhile; it is back
  | 'again' // the file is no longer in the folder; it is put there as another
  | 'gone' // what was to be changed is no longer there
  | 'done' // somebody else did the same
  | 'changed' // it was changed meanwhile, and is not removed, or not overwritten
  | 'circle' // a folder would come to lie in itself
  | 'sealed' // keys were sealed for an epoch that is over
  | 'stale'; // a checkpoint or a head is of another state by now

export interface Notice {
  readonly folder: FolderId;
  /** As it was intended. */
  readonly op: Operation;
  readonly reason: Reason;
  /** The name that it has, of `numbered`. */
  readonly name?: string;
}

/** What is to be done in one folder, with the items that it was meant for. */
export interface Intent {
  readonly folder: FolderId;
  readonly operations: readonly Operation[];
  readonly before: ReadonlyMap<string, Item | undefined>;
}

/** Checks that the operations can be done, and notes on what they were meant to be done. */
export function intend(state: State, ...operations: Operation[]): Intent {
  const { folder, seq, hash, epoch } = state.chain;
  tryOperations(state, undefined, { folder, seq: seq + 1, epoch, previous: hash }, operations);
  return noted(state, operations);
}

export function noted(state: State, operations: readonly Operation[]): Intent {
  const before = new Map<string, Item | undefined>();
  for (const { entry } of operations) if (entry !== undefined) before.set(keyOf(entry), state.get(entry));
  return { folder: state.folder, operations, before };
}

/** What rebase needs to know beside what was intended. */
export interface World {
  /** The newest state of a folder that one of the intents is for. */
  readonly state: (folder: FolderId) => State;
  /** The folder in which a folder lies now; needed where folders move. */
  readonly parent?: (folder: FolderId) => FolderId | undefined;
  /** Seals a child's keys anew for that folder's present epoch; undefined makes the operation void. */
  readonly reseal?: (folder: State, op: Operation, present: Child) => Promise<Child | undefined>;
}

/** Whether `into` is the folder or lies below it: a move of the folder there would make a circle. */
export function isCircular(
  folder: FolderId,
  into: FolderId,
  parent: (folder: FolderId) => FolderId | undefined,
): boolean {
  const seen = new Set<string>();
  for (let at: FolderId | undefined = into; at !== undefined && !seen.has(keyOf(at)); at = parent(at)) {
    if (equal(at, folder)) return true;
    seen.add(keyOf(at));
  }
  return false;
}

/**
 * Adapts what was intended to the newest states: all folders of one commit together, because the two halves of a move
 * stand or fall together. Intents of which nothing is left have no operations.
 */
export async function rebase(
  intents: readonly Intent[],
  world: World,
): Promise<{ intents: Intent[]; notices: Notice[] }> {
  const shared = new Shared(intents, world);
  // Each round but the last finds a move void, or what moves changed; there are two halves of each.
  for (let left = 2 * intents.reduce((n, { operations }) => n + operations.length, 0) + 2; left > 0; left--) {
    shared.begin();
    const [adapted, notices]: [Intent[], Notice[]] = [[], []];
    for (const intent of intents) {
      const now = world.state(intent.folder);
      const one = new Onto(shared, now.clone(), intent);
      for (const op of intent.operations) await one.adapt(op);
      adapted.push(noted(now, one.operations));
      notices.push(...one.notices);
    }
    if (!shared.again) return { intents: adapted, notices };
  }
  throw new TypeError('rebase does not settle');
}

/** What the folders of one rebase have in common. */
class Shared {
  readonly world: World;
  /** Names of what moves, as they were. */
  readonly names = new Map<string, string>();
  /** Moves that are not done. */
  readonly void = new Map<string, Reason>();
  /** What moves, as it is now, and as text to compare. */
  readonly moved = new Map<string, { item: Item; text: string }>();
  /** Where folders go, in this round. */
  into = new Map<string, FolderId>();
  /** Something was found out that an earlier operation depends on. */
  again = false;

  constructor(intents: readonly Intent[], world: World) {
    this.world = world;
    for (const { operations, before } of intents) {
      for (const { what, entry } of operations) {
        const item = entry === undefined ? undefined : before.get(keyOf(entry));
        if (what === OP.moveOut && item !== undefined) this.names.set(keyOf(item.id), nameOf(item));
      }
    }
  }

  begin(): void {
    this.again = false;
    this.into = new Map();
  }

  move(item: Item): void {
    const text = JSON.stringify(item, (_, value: unknown) => (value instanceof Uint8Array ? keyOf(value) : value));
    if (this.moved.get(keyOf(item.id))?.text !== text) this.again = true;
    this.moved.set(keyOf(item.id), { item, text });
  }

  cancel(entry: EntryId, reason: Reason): Reason {
    const known = this.void.get(keyOf(entry));
    if (known !== undefined) return known;
    this.void.set(keyOf(entry), reason);
    this.again = true;
    return reason;
  }
}

const holdsRevision = (item: Item, revision: RevisionId) => revisionsOf(item).some((each) => equal(each, revision));

/** Whether nobody put another content meanwhile; folders have none. */
function sameContentAs(a: Item, b: Item): boolean {
  const [x, y] = [a.descriptor.content, b.descriptor.content];
  if (x === undefined || y === undefined) return isFolder(a) === isFolder(b);
  return equal(x.revisionId, y.revisionId);
}

type Taken = Operation & { readonly entry: EntryId };

/** Rebases one folder's operations, on a state of its own. */
class Onto {
  readonly operations: Operation[] = [];
  readonly notices: Notice[] = [];
  readonly #shared: Shared;
  readonly #now: State;
  readonly #before: Intent['before'];

  constructor(shared: Shared, now: State, intent: Intent) {
    this.#shared = shared;
    this.#now = now;
    this.#before = intent.before;
    now.begin();
  }

  async adapt(op: Operation): Promise<undefined> {
    if (op.what === OP.head || op.what === OP.forgetHead) return this.#head(op);
    if (op.entry === undefined) return this.#note(op, 'stale');
    const taken = { ...op, entry: op.entry };
    switch (op.what) {
      case OP.put:
        return await this.#put(taken);
      case OP.moveOut:
        return this.#moveOut(taken);
      case OP.moveIn:
        return await this.#moveIn(taken);
    }
    const item = this.#now.get(op.entry);
    if (item === undefined) return this.#note(op, 'gone');
    return await this.#change(taken, item);
  }

  #note(op: Operation, reason: Reason, name?: string): undefined {
    const { folder } = this.#now;
    this.notices.push(name === undefined ? { folder, op, reason } : { folder, op, reason, name });
  }

  #emit(op: Operation): undefined {
    applyOperation(this.#now, op, false);
    this.operations.push(op);
  }

  /** The name, numbered if it is taken by another than the operation's own live item. */
  #free(op: Operation, name: string, own?: Item): string {
    const free = this.#now.free(name, own !== undefined && !isTrashed(own) ? own : undefined);
    if (free !== name) this.#note(op, 'numbered', free);
    return free;
  }

  async #put(op: Taken): Promise<undefined> {
    const [before, item] = [this.#before.get(keyOf(op.entry)), this.#now.get(op.entry)];
    const revision = op.descriptor?.content?.revisionId;
    if (before === undefined && item === undefined) return await this.#create(op);
    if (op.child !== undefined || revision === undefined) return this.#note(op, 'done');
    if (item === undefined) return await this.#putAgain(op, revision, before);
    if (before !== undefined && holdsRevision(before, revision) && !holdsRevision(item, revision)) {
      return this.#note(op, 'gone');
    }
    const isPresent = (each: Item) => equal(each.descriptor.content?.revisionId ?? new Uint8Array(0), revision);
    if (before !== undefined && isPresent(before) && (isTrashed(item) || !isPresent(item))) {
      return this.#note(op, 'changed'); // it was to change what is said of a content that is no longer the file's
    }
    this.#putVersion(op, item, before);
  }

  #putVersion(op: Taken, item: Item, before: Item | undefined): undefined {
    if (isTrashed(item)) {
      this.#emit({ what: OP.restore, entry: item.id, name: this.#free(op, nameOf(item)) });
      this.#note(op, 'revived');
    }
    const present = this.#now.get(item.id) ?? item;
    if (before !== undefined && !sameContentAs(before, present)) this.#note(op, 'merged');
    this.#emit(withPath(op, nameOf(present)));
  }

  async #create(op: Taken): Promise<undefined> {
    const sealed = op.child === undefined ? op : await this.#sealed(op, op.child, op.child);
    if (sealed !== undefined) this.#emit(withPath(sealed, this.#free(sealed, sealed.descriptor?.path ?? '')));
  }

  /** Puts a file whose item went elsewhere as another one, so that what was put is not lost. */
  async #putAgain(op: Taken, revision: RevisionId, before: Item | undefined): Promise<undefined> {
    if (before !== undefined && holdsRevision(before, revision)) return this.#note(op, 'gone'); // it went with it
    const label = utf8('holdfast/v1/entry-again\0');
    const entry: EntryId = (await sha256(concat(label, op.entry, revision))).slice(0, ID_SIZE);
    if (this.#now.get(entry) !== undefined) return this.#note(op, 'done');
    const free = this.#free({ ...op, entry }, op.descriptor?.path ?? '');
    this.#note(op, 'again');
    this.#emit({ ...withPath(op, free), entry });
  }

  async #change(op: Taken, item: Item): Promise<undefined> {
    switch (op.what) {
      case OP.rename:
        return this.#rename(op, item);
      case OP.restore:
        if (!isTrashed(item)) return this.#note(op, 'done');
        return this.#emit({ ...op, name: this.#free(op, op.name ?? '') });
      case OP.rekey: {
        if (item.child === undefined || op.child === undefined) return this.#note(op, 'gone');
        const sealed = await this.#sealed(op, op.child, item.child);
        return sealed === undefined ? undefined : this.#emit(sealed);
      }
    }
    const reason = this.#obstacle(op, item);
    if (reason === undefined) this.#emit(op);
    else this.#note(op, reason);
  }

  #rename(op: Taken, item: Item): undefined {
    if (op.name === nameOf(item)) this.#note(op, 'done');
    else this.#emit(isTrashed(item) ? op : { ...op, name: this.#free(op, op.name ?? '', item) });
  }

  /** Why an item is not removed, purged, or relieved of a version. */
  #obstacle(op: Taken, item: Item): Reason | undefined {
    const before = this.#before.get(keyOf(op.entry));
    const changed = before !== undefined && !sameContentAs(before, item);
    switch (op.what) {
      case OP.remove:
        if (isTrashed(item)) return 'done';
        return changed ? 'changed' : undefined;
      case OP.purge:
        return !isTrashed(item) || changed ? 'changed' : undefined;
    }
    const { revision } = op;
    const versions = item.descriptor.versions ?? [];
    const there = revision !== undefined && versions.some(({ content }) => equal(content.revisionId, revision));
    return there ? undefined : 'gone';
  }

  /** The operation with keys that are wanted now, sealed anew if need be; undefined if there are none. */
  async #sealed(op: Taken, child: Child, present: Child): Promise<Taken | undefined> {
    if (this.#keysFit(op, child)) return op;
    const again = await this.#shared.world.reseal?.(this.#now, op, present);
    if (again !== undefined && this.#keysFit(op, again)) return { ...op, child: again };
    this.#note(op, 'sealed');
    return undefined;
  }

  #keysFit(op: Taken, child: Child): boolean {
    const { folder, epoch } = this.#now.chain;
    if (child.parent !== epoch) return false;
    const same = (other: Child) =>
      equal(other.folder, child.folder) &&
      other.epoch === child.epoch &&
      samePublic(anchorOf(other).keys, anchorOf(child).keys);
    if (op.what === OP.moveIn) {
      const moved = this.#shared.moved.get(keyOf(op.entry))?.item;
      return moved === undefined || (moved.child !== undefined && same(moved.child));
    }
    if (!equal(child.adminFolder, folder) || child.adminEpoch !== epoch) return false;
    const present = op.what === OP.rekey ? this.#now.get(op.entry)?.child : undefined;
    return present === undefined || child.epoch > present.epoch || same(present);
  }

  #moveOut(op: Taken): undefined {
    const item = this.#now.get(op.entry);
    const into = op.folder ?? this.#now.folder;
    const known = this.#shared.void.get(keyOf(op.entry));
    if (known !== undefined) return this.#note(op, known);
    if (item === undefined || isTrashed(item)) return this.#note(op, this.#shared.cancel(op.entry, 'gone'));
    if (item.child !== undefined) {
      const parent = (at: FolderId) => this.#shared.into.get(keyOf(at)) ?? this.#shared.world.parent?.(at);
      if (isCircular(item.child.folder, into, parent)) {
        return this.#note(op, this.#shared.cancel(op.entry, 'circle'));
      }
      this.#shared.into.set(keyOf(item.child.folder), into);
    }
    this.#shared.move(item);
    this.#emit(op);
  }

  async #moveIn(op: Taken): Promise<undefined> {
    const known = this.#shared.void.get(keyOf(op.entry));
    if (known !== undefined) return this.#note(op, known);
    if (this.#now.get(op.entry) !== undefined) return this.#note(op, this.#shared.cancel(op.entry, 'done'));
    const moved = this.#shared.moved.get(keyOf(op.entry))?.item;
    let [name, intended]: [string, Taken] = [op.descriptor?.path ?? '', op];
    if (moved !== undefined) {
      if (name === this.#shared.names.get(keyOf(op.entry))) name = nameOf(moved);
      intended = { ...op, descriptor: moved.descriptor };
    }
    if (op.child !== undefined) {
      const sealed = await this.#sealed(intended, op.child, moved?.child ?? op.child);
      if (sealed === undefined) {
        this.#shared.cancel(op.entry, 'sealed');
        return undefined;
      }
      intended = sealed;
    }
    this.#emit(withPath(intended, this.#free(intended, name)));
  }

  /** Keeps what heads are told of a folder, unless they know more by now. */
  #head(op: Operation): undefined {
    const known = op.folder === undefined ? undefined : this.#now.heads.get(keyOf(op.folder));
    const stands =
      (known !== undefined) === (op.what === OP.forgetHead) || (known !== undefined && known.seq < (op.seq ?? 0));
    if (stands) this.#emit(op);
    else this.#note(op, 'stale');
  }
}

function withPath<T extends Operation>(op: T, path: string): T {
  const { descriptor } = op;
  return descriptor === undefined || descriptor.path === path ? op : { ...op, descriptor: moveTo(descriptor, path) };
}

const moveTo = (descriptor: Descriptor, path: string): Descriptor => ({ ...descriptor, path });
