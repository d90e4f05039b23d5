import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

/** Asks at the terminal for something that is not shown while it is typed; undefined without a terminal. */
export function ask(question: string): Promise<string | undefined> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY) return Promise.resolve(undefined);
  stderr.write(`${question} `);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: silent, terminal: true });
  return new Promise((resolve) => {
    const end = (text: string | undefined): void => {
      stderr.write('\n');
      lines.close();
      resolve(text);
    };
    lines.once('line', end);
    lines.once('SIGINT', () => end(undefined));
  });
}
