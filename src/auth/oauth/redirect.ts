/** Where answers may be sent. */

const loopback = new Set(['127.0.0.1', '[::1]', 'localhost']);
/**
 * Schemes of applications that many use and that do not have the form which the standard asks for. All others must be names of domains
 * turned round (RFC 8252, 7.1): `com.example.app`. The many others that a system knows (`ms-msdt`, `shell`, …) start programs with known holes.
 */
const applications = new Set([
  'claude',
  'cursor',
  'cursor-nightly',
  'goose',
  'raycast',
  'vscode',
  'vscode-insiders',
  'vscodium',
  'warp',
  'windsurf',
  'zed',
]);
const longest = 2_000;

/** Why an address cannot be registered; undefined: it can. */
export function redirectFault(text: string): string | undefined {
  if (text.length > longest) return 'is too long';
  // What a parser would repair is compared as it stands, so it is not taken.
  if (!/^[\x21-\x7e]+$/.test(text) || text.includes('\\')) return 'holds characters that an address does not have';
  const url = URL.parse(text);
  if (url === null) return 'is not an address';
  if (text.includes('#')) return 'has a fragment';
  if (url.username !== '' || url.password !== '') return 'has a user or a password in it';
  const scheme = url.protocol.slice(0, -1);
  if (scheme === 'https') return undefined;
  if (scheme === 'http') return loopback.has(url.hostname) ? undefined : 'is plain http to another machine';
  if (scheme.includes('.') || applications.has(scheme)) return undefined;
  return `has the scheme "${scheme}", which is not a domain turned round (com.example.app)`;
}

/**
 * Whether the address of a request is one of those registered: the same, letter by letter; but for programs on this machine, which
 * cannot know their port before (RFC 8252): there any port will do.
 */
export function redirectFits(registered: readonly string[], asked: string): boolean {
  if (redirectFault(asked) !== undefined) return false;
  if (registered.includes(asked)) return true;
  const without = withoutPort(asked);
  return without !== undefined && registered.some((one) => withoutPort(one) === without);
}

/** Whether an answer stays on this machine. */
export function isLoopback(uri: string): boolean {
  return withoutPort(uri) !== undefined;
}

/** An address on this machine without its port; undefined for all others. */
function withoutPort(text: string): string | undefined {
  const [, start = '', rest = ''] =
    /^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost))(?::\d{1,5})?((?:[/?].*)?)$/.exec(text) ?? [];
  return start === '' ? undefined : `${start} ${rest}`;
}

/** The address with the parameters of the answer added to those it has. */
export function redirectTo(uri: string, answer: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(answer).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return `${uri}${uri.includes('?') ? '&' : '?'}${new URLSearchParams(Object.fromEntries(given)).toString()}`;
}

/** How a person is told where the answer goes: by the host, or by the scheme of an app (`com.example.app:`), which can name any host behind it. */
export function shownRedirect(uri: string): string {
  const url = URL.parse(uri);
  if (url === null) return uri;
  return url.protocol === 'https:' || url.protocol === 'http:' ? url.host : url.protocol;
}
