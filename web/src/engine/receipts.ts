import { equal } from '../format/bytes.ts';
import { envelopeFromText } from '../format/envelope.ts';
import { FormatError } from '../format/errors.ts';
import { parseId, toText } from '../format/id.ts';
import { openSigned } from '../format/ticket.ts';
import { independent, type KnownNode } from './calls.ts';

// Receipts as the sender keeps them: each was checked against the node's key, the
// upload, and the blob that was sent. Nothing is called stored because somebody says so.

/** A blob that was sent. */
export interface SentBlob {
  readonly name: Uint8Array;
  readonly size: number;
}

export class ReceiptBook {
  readonly #nodes: ReadonlyMap<string, KnownNode>;
  readonly #upload: string;
  readonly #byBlob = new Map<string, Map<string, string>>();

  constructor(upload: string, nodes: ReadonlyMap<string, KnownNode>) {
    this.#upload = upload;
    this.#nodes = nodes;
  }

  /** Checks a receipt for a blob and keeps it; tells whether its node is a new holder. One that does not hold throws FormatError. */
  async add(text: string, blob: SentBlob): Promise<boolean> {
    const envelope = envelopeFromText(text);
    const keys = [...this.#nodes.values()].map((n) => n.publicKey);
    const receipt = await openSigned('receipt', keys, envelope);
    if (!equal(receipt.upload, parseId<'upload'>(this.#upload)))
      throw new FormatError('envelope', 'a receipt for another upload');
    if (!receipt.blobs.some(([name, size]) => equal(name, blob.name) && size === blob.size)) {
      throw new FormatError('envelope', 'a receipt for another blob');
    }
    const key = toText(blob.name);
    const have = this.#byBlob.get(key) ?? new Map<string, string>();
    const known = have.has(toText(receipt.node));
    have.set(toText(receipt.node), text);
    this.#byBlob.set(key, have);
    return !known;
  }

  /** 0, 1, or 2 when two independent nodes hold the blob. */
  copies(name: Uint8Array): 0 | 1 | 2 {
    const nodes = this.holders(name);
    if (nodes.length === 0) return 0;
    return nodes.some((a, i) => nodes.slice(i + 1).some((b) => independent(a, b))) ? 2 : 1;
  }

  holders(name: Uint8Array): KnownNode[] {
    const ids = this.#byBlob.get(toText(name))?.keys() ?? [];
    return [...ids].flatMap((id) => this.#nodes.get(id) ?? []);
  }

  texts(name: Uint8Array): string[] {
    return [...(this.#byBlob.get(toText(name))?.values() ?? [])];
  }
}
