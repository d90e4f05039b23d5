import type { AgentOptions } from 'node:https';

/** Which certificate a server has to show: this one (PEM), or one that it has signed. */
export interface Trust {
  readonly ca: string;
  /** The name that has to stand in it; left out: the host that is called. */
  readonly name?: string;
}

/** What `node:https` is told of a trust. A certificate of one's own counts as its own authority. */
export function tlsOptions(trust: Trust | undefined): AgentOptions {
  if (trust === undefined) return {};
  const { ca, name } = trust;
  const known = { ca, minVersion: 'TLSv1.3', allowPartialTrustChain: true } as const;
  return name === undefined ? known : { ...known, servername: name };
}
