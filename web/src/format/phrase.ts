import { type Bytes, random, sha256, utf8 } from './bytes.ts';
import { FormatError } from './errors.ts';
import { deriveKey32, info, LABEL } from './kdf.ts';

// The recovery phrase: 24 words of BIP-39 (docs/format.md §14). The list of words is fetched when it is wanted.

const WORDS = 24;
const ENTROPY_SIZE = 32;
const MAX_TYPED = 4096; // bytes
const MAX_NEAREST = 3;

interface Bip39 {
  readonly list: readonly string[];
  encode(entropy: Bytes): string;
  decode(phrase: string): Uint8Array;
}

async function load(): Promise<Bip39> {
  const { entropyToMnemonic, mnemonicToEntropy } = await import('@scure/bip39');
  const { wordlist } = await import('@scure/bip39/wordlists/english.js');
  return {
    list: wordlist,
    encode: (entropy) => entropyToMnemonic(entropy, wordlist),
    decode: (phrase) => mnemonicToEntropy(phrase, wordlist),
  };
}

let loading: Promise<Bip39> | undefined;

function bip39(): Promise<Bip39> {
  loading ??= load().catch((cause: unknown) => {
    loading = undefined; // a fetch that failed is tried again
    throw cause;
  });
  return loading;
}

const NAME_WORDS = 4; // 44 bits of chance, so that names that are taken are hardly ever offered

/** A name for an account: four words of the list of recovery phrases. */
export async function offerName(): Promise<string> {
  const { list } = await bip39();
  const drawn = new DataView(random(2 * NAME_WORDS).buffer);
  // 65,536 is a multiple of 2,048: every word is as likely.
  const words = Array.from({ length: NAME_WORDS }, (_, i) => list[drawn.getUint16(2 * i) % list.length]);
  return words.join(' ');
}

/** The entropy of a new phrase. */
export function newPhrase(): Bytes {
  return random(ENTROPY_SIZE);
}

/** The 24 words of an entropy of 32 bytes. */
export async function wordsOf(entropy: Bytes): Promise<string[]> {
  if (entropy.length !== ENTROPY_SIZE) throw new RangeError(`${entropy.length} bytes of entropy`);
  return (await bip39()).encode(entropy).split(' ');
}

/** A word that is not in the list (`word`). */
export class WordError extends FormatError {
  /** From 1. */
  readonly position: number;
  readonly nearest: readonly string[];

  constructor(position: number, word: string, nearest: readonly string[]) {
    super('word', `word ${position}, “${word.slice(0, 20)}”, is none of a recovery phrase`);
    this.position = position;
    this.nearest = nearest;
  }
}

/** The entropy of what a person typed; refused with `words`, `word` (a WordError) or `checksum`. */
export async function parsePhrase(typed: string): Promise<Bytes> {
  const { list, decode } = await bip39();
  const words = utf8(typed).length > MAX_TYPED ? [] : split(typed);
  if (words.length !== WORDS) throw new FormatError('words', `a recovery phrase has ${WORDS} words`);
  for (const [i, word] of words.entries()) {
    if (!list.includes(word)) throw new WordError(i + 1, word, nearest(word, list));
  }
  try {
    return new Uint8Array(decode(words.join(' ')));
  } catch (cause) {
    throw new FormatError('checksum', 'the words are no recovery phrase together', { cause });
  }
}

/** ASCII alone is put in lower case and parted at, after NFKD: so every program reads a phrase alike. */
function split(typed: string): string[] {
  const text = typed.normalize('NFKD').replace(/[A-Z]/g, (c) => c.toLowerCase());
  return text.split(/[\t-\r ]+/).filter((word) => word !== '');
}

/** The words of the list with the least distance, at most three. */
function nearest(word: string, list: readonly string[]): string[] {
  let least = Number.POSITIVE_INFINITY;
  let near: string[] = [];
  const typed = utf8(word);
  for (const known of list) {
    const d = distance(typed, known);
    if (d < least) {
      least = d;
      near = [known];
    } else if (d === least && near.length < MAX_NEAREST) near.push(known);
  }
  return near;
}

/** How many bytes have to be put in, left out or exchanged (Levenshtein, 1966). */
function distance(a: Uint8Array, b: string): number {
  const row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const byte of a) {
    let before = row[0] ?? 0;
    row[0] = before + 1;
    for (let j = 0; j < b.length; j++) {
      const change = before + (byte === b.charCodeAt(j) ? 0 : 1);
      before = row[j + 1] ?? 0;
      row[j + 1] = Math.min(change, (row[j] ?? 0) + 1, before + 1);
    }
  }
  return row[b.length] ?? 0;
}

/** What a server asks for before it gives out the phrase's wrap. */
export function phraseAuth(entropy: Bytes): Promise<Bytes> {
  return deriveKey32(entropy, LABEL.phraseAuth);
}

/** What a server stores of it. */
export function phraseAuthHash(auth: Bytes): Promise<Bytes> {
  return sha256(info('holdfast/v1/phrase-auth-hash', auth));
}
