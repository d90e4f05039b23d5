import type { Addition } from './json.ts';

/** Whether a text says something about a server of that name, in any of the ways in which TOML can. */
function mentions(text: string, name: string): boolean {
  const quoted = `(?:${name}|"${name}"|'${name}')`;
  const servers = `(?:mcp_servers|"mcp_servers"|'mcp_servers')`;
  const table = new RegExp(`^[ \\t]*\\[+[ \\t]*${servers}[ \\t]*\\.[ \\t]*${quoted}[ \\t]*[\\].]`, 'm');
  const dotted = new RegExp(`^[ \\t]*${servers}[ \\t]*\\.[ \\t]*${quoted}[ \\t]*[.=]`, 'm');
  const within = new RegExp(`^[ \\t]*\\[[ \\t]*${servers}[ \\t]*\\][^\\[]*^[ \\t]*${quoted}[ \\t]*[.=]`, 'm');
  const inline = new RegExp(`^[ \\t]*${servers}[ \\t]*=`, 'm');
  return [table, dotted, within, inline].some((pattern) => pattern.test(text));
}

/** Adds tables to the end of a TOML text: there they belong to nothing else. `name` is the MCP server that they describe. */
export function addBlock(text: string, block: string, name: string): Addition {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const written = block.replaceAll('\n', eol);
  if (text.includes(written)) return { kind: 'there' };
  if (mentions(text, name)) return { kind: 'taken', why: `"mcp_servers.${name}" is there with other values` };
  const gap = text === '' ? '' : text.endsWith('\n') ? eol : eol + eol;
  return { kind: 'added', insertion: { at: text.length, text: gap + written }, made: [] };
}

/** Takes the tables out again; undefined: they are not there as they were put. */
export function removeBlock(text: string, block: string): string | undefined {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const written = block.replaceAll('\n', eol);
  const at = text.indexOf(written);
  if (at === -1) return undefined;
  const before = text.slice(0, at);
  const start = before.endsWith(eol + eol) ? at - eol.length : at;
  return text.slice(0, start) + text.slice(at + written.length);
}
