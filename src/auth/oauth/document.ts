/**
 * Client ID metadata documents: a client_id that is an https address, at which the client describes itself. A stranger names the
 * address and this server calls it, so what can be called is bounded: public addresses, one answer without redirects, small and soon.
 */
import type { LookupAddress } from 'node:dns';
import type { Clock } from '../../kernel/clock.ts';
import { https } from '../../kernel/http.ts';
import { registrationIn } from './client.ts';
import type { Registration } from './contract.ts';
import { Fault } from './fault.ts';
import { isPublicAddress } from './address.ts';

export interface DocumentOptions {
  readonly clock: Clock;
  /** Finds the addresses of a host. */
  readonly lookup: (host: string) => Promise<readonly LookupAddress[]>;
  /** Also calls loopback and private addresses: for clients on the network of one’s own house. */
  readonly inner: boolean;
  /** Certificates to trust besides those of the system (PEM). */
  readonly ca?: string;
}

const mostBytes = 16 * 1024;
const mostMs = 5_000;
const longest = 500;
/** A document is asked for again after this long; what could not be had sooner. */
const keptMs = 5 * 60_000;
const failedMs = 30_000;
const mostKept = 200;

interface Kept {
  until: number;
  readonly found: Promise<Registration>;
}

/** Whether a client_id claims to be the address of a document. */
export function isDocument(clientId: string): boolean {
  return clientId.startsWith('https://');
}

export class Documents {
  readonly #options: DocumentOptions;
  readonly #kept = new Map<string, Kept>();

  constructor(options: DocumentOptions) {
    this.#options = options;
  }

  /** Whether the answer is known, so that nobody has to be called. */
  has(address: string): boolean {
    const known = this.#kept.get(address);
    return known !== undefined && this.#options.clock.now() < known.until;
  }

  /** What stands at the address; refuses an address that is none for a document, and what cannot be had there. */
  get(address: string): Promise<Registration> {
    const url = documentUrl(address);
    const now = this.#options.clock.now();
    const known = this.#kept.get(address);
    if (known !== undefined && now < known.until) return known.found;
    const found = this.#fetch(url, address);
    const kept: Kept = { until: now + keptMs, found };
    // Whoever asked is told why.
    found.catch(() => (kept.until = this.#options.clock.now() + failedMs));
    this.#kept.delete(address);
    this.#kept.set(address, kept);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > mostKept && oldest !== undefined) this.#kept.delete(oldest);
    return found;
  }

  async #fetch(url: URL, address: string): Promise<Registration> {
    const to = await this.#resolve(url);
    const text = await read(url, to, this.#options);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw unfit('what is there is not JSON');
    }
    return registrationIn(value, address);
  }

  /** One address of the host. All of them must be public: which one is called would otherwise be a matter of luck. */
  async #resolve({ hostname }: URL): Promise<LookupAddress> {
    const host = hostname.replace(/^\[|\]$/g, '');
    let found: readonly LookupAddress[];
    try {
      found = await this.#options.lookup(host);
    } catch {
      throw unfit('its host is not known');
    }
    const [first] = found;
    if (first === undefined) throw unfit('its host is not known');
    if (!this.#options.inner && !found.every(({ address }) => isPublicAddress(address)))
      throw unfit('its host is on a private network, where this server calls nobody for a client');
    return first;
  }
}

function documentUrl(address: string): URL {
  const url = address.length > longest ? null : URL.parse(address);
  // As it stands it is the name of the client, so there is one way to write it.
  const fit =
    url !== null &&
    url.href === address &&
    url.protocol === 'https:' &&
    url.pathname !== '/' &&
    url.username === '' &&
    url.password === '' &&
    !address.includes('#');
  if (!fit) throw unfit('the address is not a plain https one with a path');
  return url;
}

/** Calls the address that was looked at, not the name again: between two look-ups the answer can change. */
function read(url: URL, { address, family }: LookupAddress, { clock, ca }: DocumentOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => {
      cancel();
      request.destroy();
      reject(unfit(what));
    };
    const request = https().request(
      url,
      {
        method: 'GET',
        agent: false,
        lookup: (_host, options, found) =>
          options.all === true ? found(null, [{ address, family }]) : found(null, address, family),
        headers: { accept: 'application/json', 'user-agent': 'maos' },
        maxHeaderSize: mostBytes,
        ...(ca === undefined ? {} : { ca }),
      },
      (response) => {
        if (response.statusCode !== 200) return fail(`its host answered ${response.statusCode ?? 'nothing'}`);
        if (!/^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)/i.test(response.headers['content-type'] ?? ''))
          return fail('what is there is not application/json');
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > mostBytes) fail(`the document is larger than ${mostBytes} bytes`);
          else chunks.push(chunk);
        });
        response.once('error', () => fail('its host broke off'));
        response.once('end', () => {
          cancel();
          resolve(Buffer.concat(chunks).toString());
        });
      },
    );
    const cancel = clock.after(mostMs, () => fail(`its host took longer than ${mostMs / 1_000} s`));
    request.once('error', () => fail('its host cannot be reached'));
    request.end();
  });
}

function unfit(what: string): Fault {
  return new Fault('invalid_client', `The client’s metadata document cannot be used: ${what}.`);
}
