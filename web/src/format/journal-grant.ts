import { type Bytes, equal } from './bytes.ts';
import { type Signer, verify } from './ed25519.ts';
import { signedBytes } from './envelope.ts';
import { FormatError } from './errors.ts';
import { type FolderId, keyId } from './id.ts';
import type { Chain } from './journal-entry.ts';
import { Alarm, epochShape } from './journal-keys.ts';
import { b16, bytes, decode, encode, type Infer, integer, map, optional, refine, required, text } from './shape.ts';

// Grants: what an account or a link may do in a folder, or with one file of it (docs/format.md §25).

const MAX_GRANT = 4096;
const GRANT_TYPE = 'grant';

export const ROLE = { nobody: 0, reads: 1, writes: 2, admins: 3 } as const;

const grantShape = refine(
  map({
    folder: required(1, b16<'folder'>()),
    file: optional(2, b16<'file'>()),
    account: optional(3, b16<'account'>()),
    link: optional(4, b16<'handle'>()),
    role: required(5, integer(ROLE.nobody, ROLE.admins)),
    epoch: required(6, epochShape),
    serial: required(7, integer(1, Number.MAX_SAFE_INTEGER)),
  }),
  ({ file, account, link, role }) => {
    if ((account === undefined) === (link === undefined)) return 'a grant is for an account or for a link';
    return role > ROLE.reads && (link ?? file) !== undefined ? 'links and single files are for reading' : undefined;
  },
);
export type Grant = Infer<typeof grantShape>;

const envelopeShape = map({
  type: required(1, text(0, 256)),
  keyId: required(2, b16<'key'>()),
  payload: required(3, bytes(0, MAX_GRANT)),
  signature: required(4, bytes(64, 64)),
});

export const encodeGrant = (grant: Grant): Bytes => encode(grantShape, grant, MAX_GRANT);

/** Signs a grant. */
export async function sealGrant(grant: Grant, admin: Signer): Promise<Bytes> {
  const payload = encodeGrant(grant);
  const signature = await admin.sign(signedBytes(GRANT_TYPE, payload));
  return encode(
    envelopeShape,
    { type: GRANT_TYPE, keyId: await keyId(admin.publicKey), payload, signature },
    MAX_GRANT,
  );
}

/** The grant that takes one back, signed in the folder's present epoch. */
export function revoked(grant: Grant, epoch: number): Grant {
  return { ...grant, role: ROLE.nobody, epoch, serial: grant.serial + 1 };
}

function decoded<T>(folder: FolderId, decoding: () => T): T {
  try {
    return decoding();
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new Alarm(folder, 'encoding', 0, 'no grant', cause);
  }
}

/** Verifies a grant under an admin key, without regard to others. */
export async function readGrant(raw: Bytes, folder: FolderId, admin: Bytes): Promise<Grant> {
  const envelope = decoded(folder, () => decode(envelopeShape, raw, MAX_GRANT));
  if (envelope.type !== GRANT_TYPE || !equal(envelope.keyId, await keyId(admin))) {
    throw new Alarm(folder, 'foreign', 0, 'a grant that is not that of the administrator');
  }
  if (!(await verify(admin, envelope.signature, signedBytes(GRANT_TYPE, envelope.payload)))) {
    throw new Alarm(folder, 'planted', 0, 'the signature does not verify');
  }
  const grant = decoded(folder, () => decode(grantShape, envelope.payload, MAX_GRANT));
  if (!equal(grant.folder, folder)) throw new Alarm(folder, 'foreign', 0, 'a grant of another folder');
  return grant;
}

/** Verifies a grant of the present epoch that is later than that which stands, whose serial `known` gives. */
export async function openGrant(raw: Bytes, chain: Chain, known: (grant: Grant) => number): Promise<Grant> {
  const grant = await readGrant(raw, chain.folder, chain.keys.admin);
  if (grant.epoch !== chain.epoch) throw new Alarm(chain.folder, 'epoch', 0, `a grant of epoch ${grant.epoch}`);
  if (grant.serial <= known(grant)) throw new Alarm(chain.folder, 'serial', 0, `grant ${grant.serial}`);
  return grant;
}
