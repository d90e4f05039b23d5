/** What an agent program is told about MAOS when it works in a repository. */
export const skill = `---
name: maos
description: Hand work to a fleet of coding agents with MAOS, follow it, and land what was checked. Use it when a task splits into parts that several agents can do at once, when work should go on in the background, or when the user mentions MAOS, a run, an agent, the inbox or an approval.
---

# MAOS

MAOS carries out plans: graphs of tasks, each done by an agent or a command in a git worktree of its own. Only what passed its checks
lands on the branch of the run, and the user's own branch moves by \`maos merge\` alone.

## Use it

Through the tools of the MCP server \`maos\` if they are there, else in the shell; every command takes \`--json\`.

| to | do |
|---|---|
| see what goes on, and what waits for a person | \`maos status\` |
| check a plan without starting anything | \`maos check plan.yaml\` |
| carry out a plan | \`maos run plan.yaml\` (with \`--detach\`: do not wait) |
| follow it, read its report, see its changes | \`maos watch RUN\`, \`maos report RUN\`, \`maos diff RUN\` |
| carry on a run that failed or waits | \`maos resume RUN\` |
| land it on the user's branch, and take that back | \`maos merge RUN\`, \`maos undo RUN\` |

A plan is YAML:

\`\`\`yaml
name: sample
tasks:
  - id: write
    prompt: Write the parser in src/parse.ts, with tests.
    checks: [npm test]
  - id: docs
    needs: [write]
    prompt: Describe the parser in docs/parse.md.
\`\`\`

## Rules

- Merge, undo, approve or remove something only when the user asked for exactly that.
- A tool call may be stopped by a rule or wait for an approval. Do not look for a way around it: tell the user what waits, and why.
- "Done" is what MAOS has checked. Report what \`maos report\` says, not what an agent said.
`;
