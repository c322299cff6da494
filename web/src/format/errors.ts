/**
 * What a decoder found wrong, by the names of docs/format.md and docs/vectors.md: pages choose their words by them, so
 * that a link cut short is told from a wrong one, and damage from a wrong key.
 */
export type FormatErrorCode =
  | 'id' // not the one text form of an id, name or key
  | 'version' // the first byte is not that of version 1
  | 'length' // not as long as it must be, or no valid length
  | 'commitment' // another key, salt, file or revision
  | 'segment' // a segment's tag does not verify
  | 'root' // the stream is not the one that the descriptor means
  | 'padding' // a padding byte is not zero
  | 'record' // a small record is damaged, cut or too large
  | 'encoding' // not the deterministic CBOR of the wanted shape
  | 'envelope' // signed, but another type or key than expected
  | 'signature' // the signature does not verify
  | 'name' // bytes do not hash to the blob's name
  | 'slice' // a range proof does not verify
  | 'cut' // a link that is not whole
  | 'unknown' // a link of a kind that this program does not know
  | 'checksum' // a link mistyped, or the key of another link
  | 'expired' // a ticket whose time is over
  | 'other-node' // a ticket for other nodes
  | 'not-listed' // a ticket that does not cover these bytes
  | 'password' // a password that cannot be used
  | 'wrap' // a wrap that does not open the account's key
  | 'account-name' // a text that cannot be an account's name
  | 'words' // not as many words as a recovery phrase has
  | 'word' // a word that is none of a recovery phrase
  | 'contact' // another identity than the contact code names
  | 'sender' // a message that says that another account sent it
  | 'recipient' // a message to somebody else
  | 'purpose' // a message for something else
  | 'message' // a message that does not open
  | 'login'; // wrong name or password, or an answer that was changed

/** The one error of this folder. Its message says what is wrong, and never holds a secret. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly code: FormatErrorCode;

  constructor(code: FormatErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }
}
