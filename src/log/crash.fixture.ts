/**
 * A process that is made to be killed: `append FOLDER` writes commands and prints the title of each one that was answered;
 * `rebuild FILE` stops in the middle of a rebuild; `hold FILE` only has the log open.
 */
import { writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { on, type View } from '../kernel/handler.ts';
import { newId } from '../kernel/id.ts';
import { idempotencyView } from './idempotency.ts';
import { addAndFail, addItem, addTwo, call, itemAdded, itemView, openSample } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';
import { Views } from './views.ts';
import { GroupWriter } from './writer.ts';

const [, , action, path = ''] = process.argv;

function wait(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

async function append(): Promise<void> {
  const sample = openSample(path, { newId });
  // A WAL that is checkpointed every few commits, so that kills fall into checkpoints as well.
  sample.log.database.exec('PRAGMA wal_autocheckpoint = 20');
  const writer = new GroupWriter(sample.pipeline);
  const caller = async (name: string): Promise<void> => {
    for (let number = 0; ; number += 1) {
      const title = `${name}-${number}`;
      const op = number % 7 === 3 ? addAndFail : number % 5 === 2 ? addTwo : addItem;
      const result = await writer.submit(call(op, { title }));
      if (result.ok) writeSync(1, `${result.position} ${title}\n`);
      await setImmediate();
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, index) => caller(`${process.pid}.${index}`)));
}

function rebuild(): void {
  const log = new SqliteLog(path);
  let seen = 0;
  const stopping: View = {
    ...itemView,
    version: 2,
    applies: [
      on(itemAdded, (db, { stream }) => {
        db.run('INSERT INTO item VALUES (?, ?, 1, 0, 0)', stream, 'half done');
        seen += 1;
        if (seen < 25) return;
        writeSync(1, 'in the middle\n');
        wait();
      }),
    ],
  };
  new Views([idempotencyView, stopping]).prepare(log.database);
}

if (action === 'append') await append();
else if (action === 'rebuild') rebuild();
else {
  const log = new SqliteLog(path);
  writeSync(1, `open at ${log.head().position}\n`);
  wait();
}
