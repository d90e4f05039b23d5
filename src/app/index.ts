/** MAOS as a library: start a server inside your own program, or call one with the typed client. */
export { agentEvents, agentOps } from '../agents/contract.ts';
export { createClient } from '../gateway/client.ts';
export { AppError } from '../kernel/error.ts';
export { projectOps } from '../projects/contract.ts';
export { taskEvents, taskOps } from '../tasks/contract.ts';
export { watchOps } from '../watch/contract.ts';
export { runEvents, runOps } from '../workflows/contract.ts';
export { workspaceOps } from '../workspaces/contract.ts';
export { type Config, readConfig } from './config.ts';
export { type Server, type ServerOptions, startServer } from './server.ts';
