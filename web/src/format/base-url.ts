// Base URLs (docs/format.md §8): of nodes, and of the servers that contacts' addresses name.

/** The greatest length in bytes; all characters are ASCII. */
export const MAX_BASE_URL = 256;

const MAX_PORT = 65535;

// Spelled out, because URL parsers disagree beyond it: a host name, IPv4 or bracketed IPv6 address, a port, a path.
const BASE_URL =
  /^https?:\/\/(?:[A-Za-z0-9.-]+|(?<ipv6>\[[0-9A-Fa-f:.]+\]))(?::(?<port>[0-9]{1,5}))?(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?$/;

/** What is wrong with a base URL, if anything: http or https, without user, query and fragment. */
export function wrongBaseUrl(url: string): string | undefined {
  const match = url.length > MAX_BASE_URL ? null : BASE_URL.exec(url);
  if (match === null) return 'not a base URL: http(s)://host[:port][/path] without user, query and fragment';
  const { port, ipv6 } = match.groups ?? {};
  if (ipv6 !== undefined && !URL.canParse(`http://${ipv6}`)) return 'no IPv6 address in the brackets';
  return port === undefined || (Number(port) >= 1 && Number(port) <= MAX_PORT) ? undefined : 'a port out of range';
}
