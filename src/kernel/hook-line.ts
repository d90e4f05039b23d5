/** What `maos hook` prints when nothing forbids a call: an answer as well, because a hook that has died prints nothing. */
export const hookPass = '{"hookSpecificOutput":{"hookEventName":"PreToolUse"}}';

/**
 * For `sh -c`: runs a hook and hands on what it said. Only a whole answer counts: whatever else comes out of it, or nothing at all, is
 * exit status 2, the only one that stops a tool call.
 */
export function hookLine(hook: string): string {
  return [
    `said=$(${hook}) || exit 2;`,
    `case $said in '${hookPass}') ;;`,
    `'{"hookSpecificOutput":{"hookEventName":"PreToolUse",'*'}}') printf '%s\\n' "$said" ;;`,
    `*) echo 'The hook of MAOS gave no answer, so nothing is allowed.' >&2; exit 2 ;; esac`,
  ].join(' ');
}
