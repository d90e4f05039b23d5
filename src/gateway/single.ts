import type { IncomingMessage } from 'node:http';
import { HttpError } from './problem.ts';

/** What decides who may come in is said once: of two, a proxy may have looked at the other. */
const single = new Set(['host', 'origin', 'authorization']);

/** Refuses a request that says twice where it goes, where it comes from or who sends it. node:http would take the first. */
export function refuseTwice({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): void {
  let seen: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    if (!single.has(name)) continue;
    if (seen?.includes(` ${name} `) === true) {
      throw new HttpError(400, 'invalid', `The request has the header "${name}" twice.`, 'Send it once.', {
        connection: 'close',
      });
    }
    seen = `${seen ?? ''} ${name} `;
  }
}
