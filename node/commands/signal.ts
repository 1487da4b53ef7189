/**
 * How a command is asked to stop: one `AbortSignal` for the process, aborted by Ctrl-C or a termination signal.
 *
 * The first request lets the command end cleanly; another one, when that takes too long for somebody, ends the
 * process at once.
 */
const controller = new AbortController();
const INTERRUPTED_EXIT_CODE = 130;
const STOP_REQUESTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * A terminal, npm and a process manager each pass one request on, so the same one arrives several times. Only what
 * comes this much later, in ms, is another.
 */
const SAME_REQUEST_MS = 1_000;

let kept = 'everything that was stored before';

/** Aborted when the user asks the command to stop. Pass it to everything that waits or computes. */
export function commandSignal(): AbortSignal {
  return controller.signal;
}

/**
 * Says what an interruption at this moment would leave behind; the root prints it after `interrupted; kept:`.
 *
 * @example noteKept(`the checkpoint of step ${step} in ${folder}`);
 */
export function noteKept(what: string): void {
  kept = what;
}

/** What the command last said it keeps. */
export function keptSoFar(): string {
  return kept;
}

/** Turns SIGINT, SIGTERM and SIGHUP into the command's abort signal. Called once, by the root. */
export function listenForStopRequests(): void {
  let asked: number | undefined;
  const stop = () => {
    const now = performance.now();
    asked ??= now;
    if (now - asked > SAME_REQUEST_MS) endAtOnce();
    controller.abort();
  };
  for (const name of STOP_REQUESTS) process.on(name, stop);
}

/**
 * Ends the process without taking it down in order: in the middle of a run of the engine that aborts, in native code.
 * Dying of SIGINT, as a program that does not catch it does, shells report as 130.
 */
function endAtOnce(): void {
  if (process.platform === 'win32') process.exit(INTERRUPTED_EXIT_CODE);
  for (const name of STOP_REQUESTS) process.removeAllListeners(name);
  process.kill(process.pid, 'SIGINT');
}
