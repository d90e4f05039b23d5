/**
 * Connections whose peer has shown no credential yet. The server's limit on connections is shared by everybody; this keeps one
 * address from using it up.
 *
 * V1  A connection is a stranger's until a request on it was authenticated.
 * V2  Of one address only so many strangers' connections stay: with one more, its oldest goes that has had time to show something.
 * V3  Beyond four times as many, a further one is refused; not of loopback, from where everything of this machine comes.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../kernel/clock.ts';
import { networkOf } from './address.ts';

/** So long a connection may stay without having shown anything, however many there are. */
const graceMs = 5_000;

interface Visitor {
  readonly socket: Socket;
  readonly since: number;
}

/** See the head of this file. */
export class Visitors {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #strangers = new Map<string, Map<string, Visitor>>();

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Strangers' connections of all addresses. */
  get size(): number {
    return [...this.#strangers.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Counts a new connection, or ends it. */
  enter(socket: Socket): void {
    const network = networkOf(socket.remoteAddress);
    const known = this.#strangers.get(network) ?? new Map<string, Visitor>();
    if (known.size >= this.#limit && !this.#makeRoom(known) && known.size >= 4 * this.#limit && !isLoopback(network)) {
      socket.destroy();
      return;
    }
    const key = keyOf(socket);
    known.set(key, { socket, since: this.#clock.now() });
    this.#strangers.set(network, known);
    socket.once('close', () => this.#forget(network, key));
  }

  /** A request on this connection was authenticated. */
  admitted(socket: Socket): void {
    this.#forget(networkOf(socket.remoteAddress), keyOf(socket));
  }

  /** Ends the oldest of an address, if it has had its time. */
  #makeRoom(known: Map<string, Visitor>): boolean {
    const [oldest] = known;
    if (oldest === undefined || this.#clock.now() - oldest[1].since < graceMs) return false;
    known.delete(oldest[0]);
    oldest[1].socket.destroy();
    return true;
  }

  #forget(network: string, key: string): void {
    const known = this.#strangers.get(network);
    known?.delete(key);
    if (known?.size === 0) this.#strangers.delete(network);
  }
}

/** Under TLS the connection that is made and the one that a request comes on are two objects; their peer is the same. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function isLoopback(network: string): boolean {
  return network.startsWith('127.') || network === '0:0:0:0::/64';
}
