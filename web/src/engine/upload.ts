import type { UploadGrant } from '../api/types.gen.ts';
import type { Bytes } from '../format/bytes.ts';
import { envelopeFromText, parseEnvelope } from '../format/envelope.ts';
import { FormatError } from '../format/errors.ts';
import { toText } from '../format/id.ts';
import { decodePayload, type UploadTicket } from '../format/ticket.ts';
import { call, checkNode, type KnownNode } from './calls.ts';
import { Health } from './health.ts';
import { NodeError, putBlob } from './put.ts';
import { ReceiptBook } from './receipts.ts';
import { EngineError, type Place, type ProgressNote } from './types.ts';

// One open upload: its ticket, its nodes, and blobs made to stand twice whatever a node does.

/** Rounds through all nodes at least before giving up; between them, waits of 1, 2, 4 … 15 seconds. */
const ROUNDS = 8;
const LONGEST_WAIT_S = 15;
/** Nobody gives up before there was no receipt, for any blob, for so long. Time without a network does not count. */
const PATIENCE_MS = 5 * 60_000;
/** A ticket is renewed when less than this is left. */
const RENEW_S = 300;

/** What a node says of the ticket and not of itself. If all say it, it is so. */
const REFUSALS: ReadonlySet<string> = new Set(['ticket-invalid', 'ticket-spent', 'unknown-version', 'upload-closed']);

interface Way {
  readonly chain: number;
  readonly node: KnownNode;
}

/** Nodes that did not answer, that refused or that lied in this round of one blob, and how: it does not ask them again. */
type Left = Map<string, string>;

export interface UploadEvents {
  /** Bytes of this blob that left; may go back when a node is left and another one tried. */
  sent(blob: Bytes, bytes: number): void;
  stored(blob: Bytes, size: number, copies: 1 | 2): void;
  note(note: ProgressNote | undefined): void;
}

export class Upload {
  readonly id: string;
  readonly #secret: string;
  readonly #signal: AbortSignal;
  readonly #events: UploadEvents;
  readonly receipts: ReceiptBook;
  readonly #nodes: Map<string, KnownNode>;
  readonly #health = new Health();
  /** When the last receipt came, or a network was missing. */
  #good = performance.now();
  /** A node says that the ticket has expired: its clock counts. */
  #stale = false;
  #grant: UploadGrant;
  #ways: Way[] = [];

  private constructor(grant: UploadGrant, nodes: Map<string, KnownNode>, signal: AbortSignal, events: UploadEvents) {
    this.id = grant.upload;
    this.#secret = grant.secret ?? '';
    this.#grant = grant;
    this.#nodes = nodes;
    this.#signal = signal;
    this.#events = events;
    this.receipts = new ReceiptBook(grant.upload, nodes);
    this.#readTicket();
  }

  static async open(bytes: number, days: number, signal: AbortSignal, events: UploadEvents): Promise<Upload> {
    const grant = await call('openUpload', { bytes, days }, { signal });
    const nodes = new Map<string, KnownNode>();
    try {
      await addNodes(nodes, grant);
      return new Upload(grant, nodes, signal, events);
    } catch (error) {
      // What it reserved is given back now and not in a day; the first error is the one that matters.
      await call('abandonUpload', null, { path: { upload: grant.upload }, secret: grant.secret ?? '' }).catch(() => {});
      throw error;
    }
  }

  /** The ways that the ticket opens, chain by chain. The ticket is the server's word to the nodes; here it is only read. */
  #readTicket(): void {
    const { type, payload } = parseEnvelope(envelopeFromText(this.#grant.ticket));
    if (type !== 'upload-ticket') throw new FormatError('envelope', `a ${type} instead of a ticket`);
    const ticket: UploadTicket = decodePayload('upload-ticket', payload);
    if (toText(ticket.upload) !== this.id) throw new FormatError('envelope', 'a ticket for another upload');
    this.#ways = ticket.chains.flatMap((chain, index) =>
      chain.flatMap(({ node: id }) => {
        const node = this.#nodes.get(toText(id));
        return node ? [{ chain: index, node }] : [];
      }),
    );
    if (this.#ways.length === 0) throw new EngineError('no-placement');
  }

  get #left(): number {
    return this.#grant.expires - Date.now() / 1000;
  }

  async #renew(): Promise<void> {
    for (let round = 1; this.#stale || this.#left <= RENEW_S; round++) {
      try {
        const grant = await call('getUpload', null, this.access);
        await addNodes(this.#nodes, grant);
        this.#grant = grant;
        this.#readTicket();
        this.#stale = false;
        return;
      } catch (error) {
        if (!(error instanceof EngineError && error.code === 'unreachable')) throw error;
        // A server that is away for a moment is asked again with the next blob; until its end the ticket serves.
        if (!this.#stale && this.#left > 0) return;
        if (this.#isHopeless(round)) throw error;
        await this.#wait(round);
      }
    }
  }

  #isHopeless(round: number): boolean {
    return round >= ROUNDS && performance.now() - this.#good > PATIENCE_MS;
  }

  /** Stores a blob at two independent nodes; its bytes are held until then, so that no retry can differ. */
  async store(name: Bytes, body: Bytes): Promise<void> {
    for (let round = 0; ; round++) {
      if (round > 0) await this.#wait(round);
      await this.#renew();
      const left: Left = new Map();
      for (const way of this.#ways) {
        if (left.has(way.node.id) || this.#isSpared(way.node, round)) continue;
        await this.#tryWay(way, name, body, left);
        if (this.receipts.copies(name) === 2) {
          this.#events.note(undefined);
          return;
        }
      }
      this.#checkRefusals(left);
      if (this.#isHopeless(round)) break;
    }
    throw new EngineError(this.receipts.copies(name) === 1 ? 'no-placement' : 'nodes-away');
  }

  /** A node that failed of late is not asked while others may do; in later rounds they did not, and whoever was away may be back. */
  #isSpared(node: KnownNode, round: number): boolean {
    return round === 0 && this.#health.rests(node.id, performance.now());
  }

  /** One node may lie about the ticket, or refuse it for a moment; all of them, one after the other, do not. */
  #checkRefusals(left: Left): void {
    if (!this.#ways.every(({ node }) => REFUSALS.has(left.get(node.id) ?? ''))) return;
    const codes = [...new Set(left.values())];
    throw new EngineError(codes.includes('unknown-version') ? 'out-of-date' : 'internal', codes.join(', '));
  }

  async #tryWay({ chain, node }: Way, name: Bytes, body: Bytes, left: Left): Promise<void> {
    const blob = { name, size: body.length };
    try {
      await putBlob({
        url: node.url,
        ticket: this.#grant.ticket,
        name: toText(name),
        chain,
        body,
        signal: this.#signal,
        onSent: (bytes) => this.#events.sent(name, bytes),
        onEvent: async (event) => {
          if (event.receipt !== undefined) {
            // What is said again is no progress, or one node could keep a send waiting for ever.
            if (await this.receipts.add(event.receipt, blob)) this.#good = performance.now();
            this.#health.good(node.id);
            const copies = this.receipts.copies(name);
            if (copies > 0) this.#events.stored(name, body.length, copies === 2 ? 2 : 1);
          } else if (event.failed) {
            this.#events.note({ kind: 'failover' });
          }
        },
      });
    } catch (error) {
      if (this.#signal.aborted) throw new EngineError('cancelled');
      if (!(error instanceof NodeError || error instanceof FormatError)) throw error;
      if (error.code === 'ticket-expired') this.#stale = true;
      left.set(node.id, error.code);
      this.#health.failed(node.id, error.code, performance.now());
      this.#events.note({ kind: 'failover' });
    }
  }

  /** Counts down to the next round. Without a network it goes on as soon as there is one, and nobody loses patience. */
  async #wait(round: number): Promise<void> {
    const offline = !navigator.onLine;
    for (let left = Math.min(LONGEST_WAIT_S, 2 ** (round - 1)); left > 0; left--) {
      if (!navigator.onLine) this.#good = performance.now();
      else if (offline) return;
      this.#events.note(offline ? { kind: 'offline' } : { kind: 'retrying', seconds: left });
      await new Promise((resolve) => setTimeout(resolve, 1000));
      if (this.#signal.aborted) throw new EngineError('cancelled');
    }
  }

  /** Where these blobs stand; spread when a place does not hold all of them. */
  places(names: readonly Bytes[]): { places: Place[]; spread: boolean } {
    const found = new Map<string, Place>();
    for (const name of names) for (const node of this.receipts.holders(name)) found.set(node.id, node.place);
    return { places: [...found.values()], spread: names.some((n) => this.receipts.holders(n).length < found.size) };
  }

  get access(): { path: { upload: string }; secret: string; signal: AbortSignal } {
    return { path: { upload: this.id }, secret: this.#secret, signal: this.#signal };
  }

  /** Gives the upload up, so that its bytes are ordered away now and not in a day. */
  async abandon(): Promise<void> {
    await call('abandonUpload', null, { path: { upload: this.id }, secret: this.#secret });
  }
}

async function addNodes(nodes: Map<string, KnownNode>, grant: UploadGrant): Promise<void> {
  for (const node of grant.nodes) nodes.set(node.id, await checkNode(node));
}
