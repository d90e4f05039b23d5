/** What looks over every call: limits, counts, and the record of what was refused. */
import { oauthOps } from '../auth/oauth/contract.ts';
import type { DoorGuard, ExtraRoute } from '../gateway/door.ts';
import { drained } from '../gateway/drained.ts';
import { isStranger, RateLimits, type RatePolicies } from '../gateway/limits.ts';
import { type Gauge, Metrics, metricsRoute } from '../gateway/metrics.ts';
import type { ObservedCall } from '../gateway/registry.ts';
import { actorName } from '../kernel/actor.ts';
import { type Caller, covers } from '../kernel/caller.ts';
import type { Clock } from '../kernel/clock.ts';
import { AppError, invalid } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Call, Reader } from '../kernel/handler.ts';
import { watchOps } from '../watch/contract.ts';
import { exportFormats, exportText } from '../watch/export.ts';
import { Refusals } from '../watch/refusals.ts';

export interface OversightOptions {
  readonly clock: Clock;
  readonly reader: Reader;
  /** Calls as MAOS itself; used only once the server stands. */
  readonly call: Call;
  readonly rates: Partial<RatePolicies>;
  readonly gauges: readonly Gauge[];
  readonly sees: (caller: Caller, record: Pick<LogRecord, 'stream' | 'type'>) => boolean;
  readonly onFailure: (error: unknown) => void;
}

const refusedCodes = new Set(['unauthenticated', 'forbidden']);

/** See the head of this file. */
export class Oversight {
  readonly rates: RateLimits;
  readonly routes: readonly ExtraRoute[];
  readonly #metrics: Metrics;
  readonly #refusals: Refusals;

  constructor({ clock, reader, call, rates, gauges, sees, onFailure }: OversightOptions) {
    this.rates = new RateLimits({ now: () => clock.now(), policies: rates });
    this.#metrics = new Metrics(gauges);
    this.#refusals = new Refusals({ clock, write: (data) => call(watchOps.refuse, data), onFailure });
    this.routes = [metricsRoute(this.#metrics), exportRoute(reader, sees)];
  }

  /** The registry's hook of that name. Who has shown no credential was counted at the door, before anything was read. */
  readonly limit = (caller: Caller): void => {
    if (!isStranger(caller)) this.rates.take(caller);
  };

  /** The gateway's hook of that name. */
  readonly knock = (stranger: Caller): void => {
    try {
      this.rates.take(stranger);
    } catch (error) {
      if (error instanceof AppError) this.#metrics.refused(error.code);
      throw error;
    }
  };

  /** The registry's hook of that name. */
  readonly observe = (call: ObservedCall): void => {
    this.#metrics.observe(call);
    const { caller, operation, outcome, decision } = call;
    if (caller.actor.kind === 'system' || !refusedCodes.has(outcome)) return;
    this.#refusals.note({
      actor: actorName(caller.actor),
      credential: caller.credential,
      operation,
      code: outcome,
      rule: decision?.rule ?? null,
      risk: decision?.risk ?? null,
    });
  };

  /** A sign-in in the browser that failed, as one by an operation is noted. */
  readonly refusedSignIn = (from: string, code: string): void => {
    this.#metrics.refused(code);
    const nobody = { actor: 'user:anonymous', credential: from, rule: null, risk: null };
    this.#refusals.note({ ...nobody, operation: oauthOps.prove.name, code });
  };

  /** The same guard, whose refusals are counted and written down. */
  watched(guard: DoorGuard): DoorGuard {
    const noted = <Result>(check: () => Result): Result => {
      try {
        return check();
      } catch (error) {
        if (error instanceof AppError) this.#refusedAtDoor(error.code);
        throw error;
      }
    };
    return {
      admit: (headers) => noted(() => guard.admit(headers)),
      authenticate: (headers, path) => noted(() => guard.authenticate(headers, path)),
      renew: (caller) => guard.renew(caller),
      concerns: (record) => guard.concerns(record),
    };
  }

  /** Writes what is not written yet. */
  stop(): Promise<void> {
    return this.#refusals.stop();
  }

  #refusedAtDoor(code: string): void {
    this.#metrics.refused(code);
    this.#refusals.note({ actor: 'user:anonymous', credential: null, operation: null, code, rule: null, risk: null });
  }
}

/** `GET /api/v1/audit/export?format=csv`: the log as it is read, however long it is. */
function exportRoute(reader: Reader, sees: OversightOptions['sees']): ExtraRoute {
  return {
    method: 'GET',
    path: '/api/v1/audit/export',
    handle: async (request, response, caller, lease) => {
      if (!covers(caller.scopes, 'audit:read')) {
        throw new AppError('forbidden', 'This credential does not give the scope audit:read.', {
          fix: 'Use one whose role or scopes include it.',
        });
      }
      const asked = new URL(request.url ?? '/', 'http://localhost').searchParams.get('format') ?? 'jsonl';
      const format = exportFormats.find((one) => one === asked);
      if (format === undefined)
        throw invalid(`There is no format "${asked.slice(0, 50)}".`, { fix: 'Use jsonl or csv.' });
      response.writeHead(200, {
        'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson; charset=utf-8',
        'content-disposition': `attachment; filename="maos-audit.${format}"`,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      });
      response.once(
        'close',
        lease(() => response.destroy()),
      );
      for await (const { text } of exportText(reader, {}, format, (record) => sees(caller, record))) {
        if (response.destroyed) return;
        if (!response.write(text)) await drained(response);
      }
      response.end();
    },
  };
}
