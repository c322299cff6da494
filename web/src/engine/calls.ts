import { type Calls, endpoints, type Node, type Problem, VERSION } from '../api/types.gen.ts';
import type { Bytes } from '../format/bytes.ts';
import { equal } from '../format/bytes.ts';
import { envelopeFromText } from '../format/envelope.ts';
import { parseId, toText } from '../format/id.ts';
import { type Declaration, openDeclaration } from '../format/ticket.ts';
import { fromProblem } from './errors.ts';
import { EngineError, type Place } from './types.ts';

// Calls of the server, typed by the generated table, and what a node says of itself.

export interface CallOptions {
  readonly path?: Readonly<Record<string, string>>;
  readonly secret?: string;
  readonly signal?: AbortSignal;
}

/** Calls an endpoint of the server that this page came from. Throws EngineError. */
export async function call<K extends keyof Calls & keyof typeof endpoints>(
  name: K,
  request: Calls[K]['request'],
  { path = {}, secret, signal }: CallOptions = {},
): Promise<Calls[K]['response']> {
  const endpoint = endpoints[name];
  let url: string = endpoint.path;
  for (const [key, value] of Object.entries(path)) url = url.replace(`{${key}}`, encodeURIComponent(value));
  const headers: Record<string, string> = { 'Holdfast-Version': VERSION };
  if (request !== null) headers['Content-Type'] = 'application/json';
  if (secret !== undefined) headers['Authorization'] = `Bearer ${secret}`;
  const timeout = AbortSignal.timeout(endpoint.timeoutMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: endpoint.method,
      headers,
      body: request === null ? null : JSON.stringify(request),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      cache: 'no-store',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw new EngineError('cancelled');
    throw new EngineError('unreachable', error instanceof Error ? error.name : '');
  }
  if (!response.ok) throw problemOf(response, text);
  return (text === '' ? null : JSON.parse(text)) as Calls[K]['response'];
}

function problemOf(response: Response, text: string): EngineError {
  if (response.headers.get('Content-Type')?.startsWith('application/problem+json')) {
    return fromProblem(JSON.parse(text) as Problem);
  }
  return new EngineError(response.status >= 502 ? 'unreachable' : 'internal', `HTTP ${response.status}`);
}

/** What could take a node away, folded so that spellings do not count: the laws and the companies that it declares. */
export interface Exposure {
  readonly laws: readonly string[];
  readonly companies: readonly string[];
  /** Operator and jurisdiction are declared. */
  readonly known: boolean;
}

/** A node whose declaration was checked: its signature, and that its id is the key id of the key in it. */
export interface KnownNode {
  readonly id: string;
  readonly url: string;
  readonly publicKey: Bytes;
  readonly place: Place;
  readonly exposure: Exposure;
}

export async function checkNode(node: Node): Promise<KnownNode> {
  const opened = await openDeclaration(envelopeFromText(node.declaration));
  if (!equal(opened.node, parseId<'node'>(node.id)))
    throw new EngineError('integrity', 'a node’s declaration is another’s');
  const { operator, jurisdiction, publicKey, url } = opened.declaration;
  if (url !== node.url) throw new EngineError('integrity', 'a node’s address is not the one that it declared');
  const place = { node: toText(opened.node), operator, jurisdiction };
  return { id: node.id, url, publicKey, place, exposure: exposureOf(opened.declaration) };
}

function exposureOf({ operator, parent, storage, jurisdiction, site }: Declaration): Exposure {
  const named = (...texts: (string | undefined)[]): string[] => texts.map(fold).filter((t) => t !== '');
  return {
    laws: named(jurisdiction, site),
    companies: named(operator, parent, storage),
    known: fold(operator) !== '' && fold(jurisdiction) !== '',
  };
}

/**
 * Compatible characters made one, case folded ("ß" is "ss": by way of capitals, which "ı" must not take, or it became
 * "i"), white space collapsed. As the server does it, or it would grant pairs that never count.
 */
function fold(text: string | undefined): string {
  const parts = (text ?? '').normalize('NFKC').split('ı');
  const folded = parts.map((part) => part.toUpperCase().toLowerCase()).join('ı');
  return folded.split(/\s+/u).join(' ').trim();
}

/** Whether no law and no company that either declares could take both nodes away (docs/protocol.md). */
export function independent({ exposure: a }: KnownNode, { exposure: b }: KnownNode): boolean {
  const disjoint = (x: readonly string[], y: readonly string[]): boolean => !x.some((s) => y.includes(s));
  return a.known && b.known && disjoint(a.laws, b.laws) && disjoint(a.companies, b.companies);
}
