#!/usr/bin/env node
// The program's door. Plain JavaScript that an old Node can read, because its first duty is to say plainly that
// prefmesh needs a newer one. In a clone it hands over to the Node that package.json pins; in an installed package
// it loads the emitted JavaScript.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';

const OLDEST_MAJOR = 24;
const EXIT_USAGE = 2;

const pathOf = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const source = pathOf('../prefmesh.ts');
const emitted = pathOf('../dist/prefmesh.js');
const pinnedNode = pathOf(`../node_modules/node/bin/node${process.platform === 'win32' ? '.exe' : ''}`);

const inClone = existsSync(source);
const major = Number(process.versions.node.split('.')[0]);

if (major >= OLDEST_MAJOR) {
  const { main } = await import(pathToFileURL(inClone ? source : emitted).href);
  await main(process.argv.slice(2));
} else if (inClone && existsSync(pinnedNode)) {
  handOver();
} else {
  const fix = inClone
    ? 'run npm ci, which brings the Node this program pins'
    : `install Node ${OLDEST_MAJOR} or newer and run the command with it`;
  process.stderr.write(
    `error NODE_TOO_OLD: prefmesh needs Node ${OLDEST_MAJOR} or newer; this is Node ${process.versions.node}\nfix: ${fix}\n`,
  );
  process.exit(EXIT_USAGE);
}

/** Runs the same command on the pinned Node, passing signals on and its exit code back. */
function handOver() {
  const child = spawn(pinnedNode, [source, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to both processes; this one only has to outlive the other's clean stop.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`error UNEXPECTED: unexpected fault: ${error.message}\nfix: run npm ci and try again\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));
}
