import { join } from 'node:path';
import { conflict } from '../kernel/error.ts';
import { command, type CommandContext, type Handler, query } from '../kernel/handler.ts';
import { mergeEvents, type Workspace, workspaceEvents, workspaceOps } from './contract.ts';
import { mergeState } from './merge.ts';
import { allocatePorts } from './git/environment.ts';
import { getMerge, getWorkspace, listMerges, listWorkspaces, mergeOfTask, takenPorts, workspaceFor } from './views.ts';

const reserve = command(workspaceOps.reserve, (ctx, input) => {
  const known = workspaceFor(ctx.db, input.key);
  if (known !== undefined) return known;
  const id = ctx.newId('ws');
  const { project, key, base } = input;
  const ports = allocatePorts(takenPorts(ctx.db));
  ctx.emit(workspaceEvents.requested, id, {
    project,
    key,
    base,
    path: join(input.root, project, id),
    branch: input.branch ?? `maos/work/${id}`,
    ports: { from: ports.base, count: ports.size },
    holder: input.holder ?? null,
  });
  return getWorkspace(ctx.db, id);
});

const report = command(workspaceOps.report, (ctx, { workspace: text, result }) => {
  const { id, state } = getWorkspace(ctx.db, text);
  switch (result.kind) {
    case 'ready':
      if (state === 'requested' || state === 'failed') ctx.emit(workspaceEvents.ready, id, { absent: result.absent });
      break;
    case 'trashed': {
      const { trash, rescue, reason } = result;
      if (state !== 'trashed' && state !== 'removed') ctx.emit(workspaceEvents.trashed, id, { trash, rescue, reason });
      break;
    }
    case 'restored':
      ctx.emit(workspaceEvents.restored, id, { path: result.path, branch: result.branch });
      break;
    case 'purged':
      if (state === 'trashed') ctx.emit(workspaceEvents.purged, id, {});
      break;
  }
  return getWorkspace(ctx.db, id);
});

const fail = command(workspaceOps.fail, (ctx, { workspace: text, reason }) => {
  const { id, state, reason: known } = getWorkspace(ctx.db, text);
  if (state === 'requested' || (state === 'failed' && reason !== known))
    ctx.emit(workspaceEvents.failed, id, { reason });
  return getWorkspace(ctx.db, id);
});

const hold = command(workspaceOps.hold, (ctx, input) => {
  const found = getWorkspace(ctx.db, input.workspace);
  if (found.holder === input.holder) return found;
  refuseHeld(found);
  ctx.emit(workspaceEvents.held, found.id, { holder: input.holder });
  return { ...found, holder: input.holder };
});

const release = command(workspaceOps.release, (ctx, input) => {
  const found = getWorkspace(ctx.db, input.workspace);
  if (found.holder !== input.holder) return found;
  ctx.emit(workspaceEvents.released, found.id, { holder: input.holder });
  return { ...found, holder: null };
});

/** A held workspace is somebody's: nothing else may take or remove it. */
export function refuseHeld(found: Workspace): void {
  if (found.holder === null) return;
  throw conflict(`Workspace ${found.id} is held by ${found.holder}.`, {
    fix: 'Wait until it is released, or stop who holds it (maos stop).',
  });
}

const queueMerge = command(workspaceOps.queueMerge, (ctx, input) => {
  const known = mergeOfTask(ctx.db, input.task, input.commit);
  if (known !== undefined) return publicMerge(ctx, known.id);
  const id = ctx.newId('merge');
  ctx.emit(mergeEvents.queued, id, input);
  return publicMerge(ctx, id);
});

const reportMerge = command(workspaceOps.reportMerge, (ctx, { merge: id, result }) => {
  const found = getMerge(ctx.db, id);
  if (found.state !== mergeState.enum.queued) return publicMerge(ctx, id);
  switch (result.kind) {
    case 'landed': {
      const { commit, onto, evidence } = result;
      ctx.emit(mergeEvents.landed, id, { commit, onto, evidence });
      break;
    }
    case 'conflicted':
      ctx.emit(mergeEvents.conflicted, id, { files: result.files, onto: result.onto });
      break;
    case 'rejected':
      ctx.emit(mergeEvents.rejected, id, { onto: result.onto, evidence: result.evidence });
      break;
    case 'withdrawn':
      ctx.emit(mergeEvents.withdrawn, id, { reason: result.reason });
      break;
  }
  return publicMerge(ctx, id);
});

function publicMerge(ctx: Pick<CommandContext, 'db'>, id: string) {
  const { env: _env, checked: _checked, ...shown } = getMerge(ctx.db, id);
  return shown;
}

/** Commands and queries of workspaces and of the merge queue. */
export const workspaceHandlers: readonly Handler[] = [
  reserve,
  report,
  fail,
  hold,
  release,
  queueMerge,
  reportMerge,
  query(workspaceOps.get, (ctx, input) => getWorkspace(ctx.db, input.workspace)),
  query(workspaceOps.list, (ctx, input) => ({ workspaces: listWorkspaces(ctx.db, input) })),
  query(workspaceOps.merges, (ctx, input) => ({
    merges: listMerges(ctx.db, input).map(({ env: _env, checked: _checked, ...shown }) => shown),
  })),
];
