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
  | 'role' // an invitation with other keys than its role has
  | JournalErrorCode
  | 'login'; // wrong name or password, or an answer that was changed

/** What a folder's journal, or a server that serves it, is found to be wrong in (docs/format.md §21), and what is refused to a writer. */
export type JournalErrorCode =
  | 'foreign' // of another folder, or by keys that are not this folder's
  | 'planted' // the signature is not that of the key which it names
  | 'reader-wrote' // sealed with the read key, without the right to write
  | 'epoch' // under keys of another epoch than the present one
  | 'gap' // entries before this one were left out
  | 'fork' // another entry than one that is known stands in its place
  | 'rollback' // an older state than one that is known
  | 'not-admin' // keys or an epoch were changed without the admin key
  | 'operations' // a writer's operations do not open, decode or apply
  | 'disagreement' // what the server was told is not what the operations do
  | 'author' // the member's signature is missing or not that member's
  | 'checkpoint' // the checkpoint is not the folder's state
  | 'missing' // a journal or a checkpoint that must be there is not
  | 'serial' // an older grant than one that is known
  | 'locked' // no read key for this epoch: no alarm
  | 'right' // the keys at hand do not allow this
  | 'clash' // the name is taken
  | 'too-large'; // more than fits one entry

/** The one error of this folder. Its message says what is wrong, and never holds a secret. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly code: FormatErrorCode;

  constructor(code: FormatErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }
}
