import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import { sha256 } from '../../kernel/hash.ts';
import type { Role } from '../roles.ts';
import type { Client } from './contract.ts';
import { flowMs } from './lifetimes.ts';

/** What a client has asked for; all of it was checked. */
export interface Asked {
  readonly client: Client;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly scope: readonly Role[];
  readonly resource: string;
  readonly state: string | undefined;
  /** How this server was called: what the answer names as its issuer. */
  readonly issuer: string;
}

/** Somebody whose password was right; `done`: and whose code. */
export interface SignedIn {
  readonly user: string;
  /** The hash that the password fitted. What follows counts only while it is still this one. */
  readonly password: string;
  readonly done: boolean;
}

/** One request of a client on its way through a browser. */
export interface Flow {
  readonly id: string;
  readonly asked: Asked;
  /** Stands in its forms, where no other site can read it. */
  csrf: string;
  /** The hash of what the browser shows to prove that it is the one in which this goes on. */
  browser: string;
  readonly until: number;
  signedIn: SignedIn | undefined;
}

const most = 2_000;
const secret = (): string => randomBytes(24).toString('base64url');

/** Requests that wait for a person. In memory: what is lost with a restart is begun again by a click. */
export class Flows {
  readonly #clock: Clock;
  readonly #flows = new Map<string, Flow>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A new flow, and what the browser shows from now on to prove that it is the one in which it began. */
  begin(asked: Asked): { readonly flow: Flow; readonly cookie: string } {
    const now = this.#clock.now();
    for (const [id, { until }] of this.#flows) {
      if (until > now && this.#flows.size < most) break;
      this.#flows.delete(id);
    }
    const cookie = secret();
    const flow = {
      id: secret(),
      asked,
      csrf: secret(),
      browser: sha256(cookie),
      until: now + flowMs,
      signedIn: undefined,
    };
    this.#flows.set(flow.id, flow);
    return { flow, cookie };
  }

  /** The flow, if it is still there and this is its browser. */
  find(id: string | undefined, cookie: string | undefined): Flow | undefined {
    const flow = this.#flows.get(id ?? '');
    if (flow === undefined || cookie === undefined || flow.until <= this.#clock.now()) return undefined;
    return same(flow.browser, sha256(cookie)) ? flow : undefined;
  }

  /**
   * Who signs in gets a new secret, and the old one is worth nothing: it may have been put into this browser by somebody who began the
   * flow in another one and waits there for the consent.
   */
  signIn(flow: Flow, signedIn: SignedIn | undefined): { readonly cookie: string } {
    const cookie = secret();
    flow.browser = sha256(cookie);
    flow.csrf = secret();
    flow.signedIn = signedIn;
    return { cookie };
  }

  /** Each answer is given once. */
  end({ id }: Flow): boolean {
    return this.#flows.delete(id);
  }
}

/** Whether two texts are the same, in a time that tells nothing of either. */
export function same(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(a)), Buffer.from(sha256(b)));
}
