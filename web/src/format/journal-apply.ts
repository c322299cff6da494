import { equal } from './bytes.ts';
import { refuse } from './cbor.ts';
import type { Content, Descriptor, Version } from './descriptor.ts';
import type { Spot, Start } from './journal-entry.ts';
import { anchorOf, type Child, samePublic } from './journal-keys.ts';
import { OP, type Operation } from './journal-operation.ts';
import { type Item, isTrashed, keyOf, nameOf, type State } from './journal-state.ts';

// What each operation does to a folder's state, and when it cannot be done (docs/format.md §21). Whatever is wrong is
// refused before anything is changed; an entry that is refused is taken back as a whole by the caller.

const MAX_VERSIONS = 1024;

/** A field that the operation's shape has promised. */
function must<T>(value: T | undefined): T {
  if (value === undefined) return refuse('an operation without what it takes');
  return value;
}

/** Does one operation; `first` says that it is its entry's first. */
export function applyOperation(state: State, op: Operation, first: boolean): void {
  (OPERATIONS.get(op.what) ?? onItem)(state, op, first);
}

/** Does all operations of one entry, after state.begin(); a failure leaves the state changed. */
export function applyAll(state: State, start: Start | undefined, spot: Spot, operations: readonly Operation[]): void {
  for (const [i, op] of operations.entries()) {
    applyOperation(state, op, i === 0);
    if (i > 0) continue;
    if (op.what === OP.checkpoint) state.tail = 0;
    if (start !== undefined) enter(state, start, spot); // what follows is sealed in the new epoch
  }
  state.tail += operations.length;
}

/** Begins an epoch. */
export function enter(state: State, start: Start, { seq, previous, epoch }: Spot): void {
  state.epochs = [...state.epochs, { ...start, seq, previous }];
  state.chain = { ...state.chain, epoch, keys: { write: start.write, admin: start.admin } };
}

function onItem(state: State, op: Operation): void {
  const item = state.get(must(op.entry)) ?? refuse(`operation ${op.what} on what is not there`);
  (ITEM_OPERATIONS.get(op.what) ?? (() => refuse(`operation ${op.what}`)))(state, item, op);
}

function remove(state: State, item: Item, op: Operation): void {
  if (isTrashed(item)) refuse('removal of what is in the trash');
  state.set(item, { ...item, day: must(op.day) });
}

function purge(state: State, item: Item): void {
  if (!isTrashed(item)) refuse('purging what is not in the trash');
  state.set(item, undefined);
}

function moveOut(state: State, item: Item, op: Operation): void {
  if (isTrashed(item) || equal(must(op.folder), state.folder)) refuse('moving what is in the trash, or nowhere');
  state.set(item, undefined);
}

function nameFree(state: State, name: string): void {
  if (state.names.has(name)) refuse('two items of one name');
}

function put(state: State, op: Operation): void {
  const [id, descriptor] = [must(op.entry), must(op.descriptor)];
  const item = state.get(id);
  if (item !== undefined) {
    update(state, item, descriptor);
    return;
  }
  nameFree(state, descriptor.path);
  if (op.child !== undefined) {
    if (!equal(op.child.adminFolder, state.folder) || op.child.adminEpoch !== state.chain.epoch) {
      refuse("a new folder's admin key comes from elsewhere");
    }
    newChild(state, op.child);
  }
  state.set(undefined, made(id, descriptor, op.child));
}

function made(id: Item['id'], descriptor: Descriptor, child: Child | undefined): Item {
  return child === undefined ? { id, descriptor } : { id, descriptor, child };
}

/** Checks the keys of a child that comes into the folder. */
function newChild(state: State, child: Child): void {
  if (state.children.has(keyOf(child.folder)) || equal(child.folder, state.folder)) refuse('a folder twice');
  childKeys(state, child);
}

/** What can be checked of a child's keys: sealed by this folder as it is now; an admin key said to be this folder's is. */
function childKeys(state: State, child: Child): void {
  if (child.parent !== state.chain.epoch) refuse(`keys sealed in epoch ${child.parent}, not ${state.chain.epoch}`);
  if (!equal(child.adminFolder, state.folder)) return;
  const start = state.epochs[child.adminEpoch - 1] ?? refuse('an admin key of an epoch to come');
  if (child.sealedAdmin === undefined && !equal(child.admin, start.admin)) refuse("the admin key is not this folder's");
}

export function sameContent(a: Content, b: Content): boolean {
  return (
    a.trueSize === b.trueSize &&
    equal(a.fileId, b.fileId) &&
    equal(a.revisionId, b.revisionId) &&
    equal(a.key, b.key) &&
    equal(a.commitment, b.commitment) &&
    equal(a.root, b.root)
  );
}

/** The same descriptor with other versions; none are left out. */
function withVersions(descriptor: Descriptor, versions: readonly Version[]): Descriptor {
  const { versions: _, ...rest } = descriptor;
  return versions.length === 0 ? rest : { ...rest, versions: [...versions] };
}

/** Gives a live file another descriptor: what it was becomes a version. */
function update(state: State, item: Item, descriptor: Descriptor): void {
  const old = item.descriptor;
  const content = descriptor.content ?? refuse('put of a folder that is there');
  const before = old.content ?? refuse('put of a folder that is there');
  if (isTrashed(item)) refuse('put of what is in the trash');
  if (descriptor.path !== old.path) refuse("put under another name than the file's");
  if (equal(content.revisionId, before.revisionId)) {
    if (!sameContent(content, before)) refuse('another content of the same revision');
    state.set(item, { id: item.id, descriptor: withVersions(descriptor, old.versions ?? []) });
    return;
  }
  const versions: Version[] = [versionOf(old, before)];
  for (const version of old.versions ?? []) {
    if (equal(version.content.revisionId, content.revisionId)) {
      if (!sameContent(version.content, content)) refuse('another content of the same revision');
    } else if (versions.length < MAX_VERSIONS) {
      versions.push(version);
    }
  }
  state.set(item, { id: item.id, descriptor: withVersions(descriptor, versions) });
}

function versionOf({ mtime, mtimeNanos }: Descriptor, content: Content): Version {
  if (mtime === undefined) return { content };
  return mtimeNanos === undefined ? { content, mtime } : { content, mtime, mtimeNanos };
}

export const named = (item: Item, path: string): Item => ({ ...item, descriptor: { ...item.descriptor, path } });

function rename(state: State, item: Item, op: Operation): void {
  const name = must(op.name);
  if (name === nameOf(item)) return;
  if (!isTrashed(item)) nameFree(state, name);
  state.set(item, named(item, name));
}

function restore(state: State, item: Item, op: Operation): void {
  const name = must(op.name);
  if (!isTrashed(item)) refuse('restoring what is not in the trash');
  nameFree(state, name);
  const { day: _, ...live } = named(item, name);
  state.set(item, live);
}

function forget(state: State, item: Item, op: Operation): void {
  const revision = must(op.revision);
  const versions = item.descriptor.versions ?? [];
  const at = versions.findIndex(({ content }) => equal(content.revisionId, revision));
  if (at < 0) refuse('forgetting a version that is not there');
  state.set(item, { ...item, descriptor: withVersions(item.descriptor, versions.toSpliced(at, 1)) });
}

function moveIn(state: State, op: Operation): void {
  const [id, descriptor] = [must(op.entry), must(op.descriptor)];
  if (state.get(id) !== undefined || equal(must(op.folder), state.folder)) refuse('moving in what is there');
  nameFree(state, descriptor.path);
  if (op.child !== undefined) newChild(state, op.child);
  state.set(undefined, made(id, descriptor, op.child));
}

function rekey(state: State, item: Item, op: Operation): void {
  const child = must(op.child);
  const old = item.child ?? refuse('keys for a file');
  if (!equal(old.folder, child.folder)) refuse('keys of another folder');
  if (child.epoch < old.epoch) refuse('keys of an epoch before the present one');
  if (child.epoch === old.epoch && !samePublic(anchorOf(child).keys, anchorOf(old).keys)) {
    refuse('other keys of the same epoch');
  }
  if (!equal(child.adminFolder, state.folder) || child.adminEpoch !== state.chain.epoch) {
    refuse('the admin key comes from elsewhere');
  }
  childKeys(state, child);
  state.set(item, { ...item, child });
}

function checkpoint(state: State, op: Operation, first: boolean): void {
  if (!first) refuse('a checkpoint that is not the first operation');
  if (op.seq !== state.chain.seq || !equal(must(op.hash), state.chain.hash)) {
    refuse('a checkpoint of another place in the journal');
  }
}

function epoch(state: State, op: Operation, first: boolean): void {
  if (!first) refuse('an epoch that begins in the middle of an entry');
  if ((op.readKey === undefined) !== (state.chain.epoch === 0)) refuse('the read key of the epoch before');
}

function head(state: State, op: Operation): void {
  const [folder, seq, hash] = [must(op.folder), must(op.seq), must(op.hash)];
  const before = state.heads.get(keyOf(folder));
  if ((before !== undefined && seq <= before.seq) || equal(folder, state.folder)) refuse('a head that goes back');
  state.setHead(folder, { folder, seq, hash });
}

function forgetHead(state: State, op: Operation): void {
  const folder = must(op.folder);
  if (!state.heads.has(keyOf(folder))) refuse('forgetting a head that is not there');
  state.setHead(folder, undefined);
}

const OPERATIONS: ReadonlyMap<number, (state: State, op: Operation, first: boolean) => void> = new Map([
  [OP.put, put],
  [OP.moveIn, moveIn],
  [OP.checkpoint, checkpoint],
  [OP.epoch, epoch],
  [OP.head, head],
  [OP.forgetHead, forgetHead],
]);

const ITEM_OPERATIONS: ReadonlyMap<number, (state: State, item: Item, op: Operation) => void> = new Map([
  [OP.rename, rename],
  [OP.remove, remove],
  [OP.restore, restore],
  [OP.purge, purge],
  [OP.forget, forget],
  [OP.moveOut, moveOut],
  [OP.rekey, rekey],
]);
