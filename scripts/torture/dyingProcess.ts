/**
 * Preloaded into a process (`--import`), it ends it as a power cut would at the nth change that it asks of its files:
 * just before, in the middle of it (half of a write's bytes are there), or just after.
 *
 *   PREFMESH_DIE_AT='37 half' node --import ./scripts/torture/dyingProcess.ts …
 */
import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { observeFiles } from './fileLayer.ts';

const [at, when] = (process.env.PREFMESH_DIE_AT ?? '').split(' ');

/** The operating system lets nothing more of this process run. */
function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

if (isMainThread && at) {
  let count = 0;
  let dyingAfter: unknown;
  await observeFiles({
    before(change) {
      count += 1;
      if (count !== Number(at)) return;
      if (when === 'after') {
        dyingAfter = change;
        return;
      }
      if (when === 'half' && change.kind === 'write') {
        writeSync(change.descriptor, change.bytes, 0, change.bytes.length >> 1, change.position);
      }
      die();
    },
    after(change) {
      if (change === dyingAfter) die();
    },
  });
}
