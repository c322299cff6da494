// hash-wasm holds one algorithm a file as well as all in one; only the former load apart, so that no page fetches
// Argon2 before it asks for a password. They have no types of their own: these name what is used here.

declare module 'hash-wasm/dist/blake3.umd.min.js' {
  import type { createBLAKE3 } from 'hash-wasm';

  const hashWasm: { readonly createBLAKE3: typeof createBLAKE3 };
  export default hashWasm;
}

declare module 'hash-wasm/dist/argon2.umd.min.js' {
  import type { argon2id } from 'hash-wasm';

  const hashWasm: { readonly argon2id: typeof argon2id };
  export default hashWasm;
}
