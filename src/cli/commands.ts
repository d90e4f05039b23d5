import type { Command } from './command.ts';

/** A short command, without its code: help and completion need no more. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

interface Group {
  readonly title: string;
  readonly commands: readonly CommandEntry[];
}

/** The commands for people, as `maos --help` shows them. */
export const groups: readonly Group[] = [
  {
    title: 'Work',
    commands: [
      {
        name: 'run',
        summary: 'Carry out a plan file, or an objective in plain language, and follow it to its end.',
        load: async () => (await import('./commands/run.ts')).runCommand,
      },
      {
        name: 'check',
        summary: 'Read a plan and tell its mistakes, or what it would run; starts nothing.',
        load: async () => (await import('./commands/check.ts')).checkCommand,
      },
      {
        name: 'watch',
        summary: 'Follow a run that goes on.',
        load: async () => (await import('./commands/run.ts')).watchCommand,
      },
      {
        name: 'resume',
        summary: 'Carry on a run that failed, waits, was stopped, or lost its server.',
        load: async () => (await import('./commands/run.ts')).resumeCommand,
      },
      {
        name: 'stop',
        summary: 'Stop a run, an agent or a task.',
        load: async () => (await import('./commands/stop.ts')).stopCommand,
      },
    ],
  },
  {
    title: 'Approving',
    commands: [
      {
        name: 'inbox',
        summary: 'Show what agents and runs may do only when somebody says so.',
        load: async () => (await import('./commands/inbox.ts')).inboxCommand,
      },
      {
        name: 'approve',
        summary: 'Agree to requests of the inbox.',
        load: async () => (await import('./commands/inbox.ts')).approveCommand,
      },
      {
        name: 'deny',
        summary: 'Refuse requests of the inbox, and say why.',
        load: async () => (await import('./commands/inbox.ts')).denyCommand,
      },
    ],
  },
  {
    title: 'Results',
    commands: [
      {
        name: 'report',
        summary: 'Show the report of a run.',
        load: async () => (await import('./commands/report.ts')).reportCommand,
      },
      {
        name: 'diff',
        summary: 'Show what a run, a task or a workspace changed.',
        load: async () => (await import('./commands/diff.ts')).diffCommand,
      },
      {
        name: 'merge',
        summary: 'Land the branch of a run on yours.',
        load: async () => (await import('./commands/merge.ts')).mergeCommand,
      },
      {
        name: 'undo',
        summary: 'Take back the landing of a run.',
        load: async () => (await import('./commands/merge.ts')).undoCommand,
      },
      {
        name: 'cost',
        summary: 'Show tokens and money by run, agent or model.',
        load: async () => (await import('./commands/cost.ts')).costCommand,
      },
    ],
  },
  {
    title: 'Looking',
    commands: [
      {
        name: 'status',
        summary: 'Show the server, the runs that go on and what waits for a person.',
        load: async () => (await import('./commands/status.ts')).statusCommand,
      },
      {
        name: 'ps',
        summary: 'List the agents that work now; with -a, all of them.',
        load: async () => (await import('./commands/ps.ts')).psCommand,
      },
      {
        name: 'logs',
        summary: 'Show what an agent, a task or all agents of a run printed.',
        load: async () => (await import('./commands/logs.ts')).logsCommand,
      },
      {
        name: 'events',
        summary: 'Show the newest records of the log; with -f, also those that come.',
        load: async () => (await import('./commands/events.ts')).eventsCommand,
      },
    ],
  },
  {
    title: 'Keeping order',
    commands: [
      {
        name: 'init',
        summary: 'Make MAOS known to Claude Code and Codex in this repository: MCP server, hooks, a skill.',
        load: async () => (await import('./commands/init.ts')).initCommand,
      },
      {
        name: 'uninstall',
        summary: 'Take back what init wrote into this repository.',
        load: async () => (await import('./commands/init.ts')).uninstallCommand,
      },
      {
        name: 'up',
        summary: 'Start the server in the background.',
        load: async () => (await import('./commands/up.ts')).upCommand,
      },
      {
        name: 'mcp',
        summary: 'Serve MAOS to an MCP client over stdin and stdout.',
        load: async () => (await import('./commands/mcp.ts')).mcpCommand,
      },
      {
        name: 'hook',
        summary: 'Ask the rules about a tool call; called by agent programs, not by people.',
        load: async () => (await import('./commands/hook.ts')).hookCommand,
      },
      {
        name: 'down',
        summary: 'Stop the server; agents go on and are adopted by the next one.',
        load: async () => (await import('./commands/up.ts')).downCommand,
      },
      {
        name: 'rm',
        summary: 'Remove a run, a workspace or an agent; tells first what would be lost.',
        load: async () => (await import('./commands/rm.ts')).rmCommand,
      },
      {
        name: 'trash',
        summary: 'List, restore or purge what was removed.',
        load: async () => (await import('./commands/trash.ts')).trashCommand,
      },
      {
        name: 'doctor',
        summary: 'Compare log, git, processes and programs; with --repair, mend what can be mended.',
        load: async () => (await import('./commands/doctor.ts')).doctorCommand,
      },
      {
        name: 'restore',
        summary: 'Replace the data by a snapshot.',
        load: async () => (await import('./commands/restore.ts')).restoreCommand,
      },
      {
        name: 'completion',
        summary: 'Print a completion script for bash, zsh or fish.',
        load: async () => (await import('./commands/completion.ts')).completionCommand,
      },
    ],
  },
];

/** The short commands, whatever they are for. */
export const commands: readonly CommandEntry[] = groups.flatMap((group) => group.commands);
