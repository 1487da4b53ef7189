/**
 * How long a serving command lives: until its work is done if that was asked, else until it is stopped.
 */

/** Waits. Rejects with what `finished` rejects with, or with the signal's reason when that aborts first. */
export async function untilStopped(
  finished: Promise<void>,
  exitWhenFinished: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    await Promise.race([finished, stopped]);
    if (!exitWhenFinished) await stopped;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
