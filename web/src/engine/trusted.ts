// Trusted Types: the one policy of the app, for the URLs of its own workers. Browsers without them take the plain text.

interface Policy {
  createScriptURL(url: string): string;
}
interface Factory {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): Policy;
}

function ownOnly(url: string): string {
  const { origin, href } = new URL(url, location.href);
  if (origin !== location.origin) throw new TypeError('a script from elsewhere');
  return href;
}

const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
const policy: Policy = factory?.createPolicy('holdfast', { createScriptURL: ownOnly }) ?? { createScriptURL: ownOnly };

/** The URL of a script of this app, checked, in the form that Worker and register take. */
export function scriptUrl(url: string): string {
  return policy.createScriptURL(url);
}
