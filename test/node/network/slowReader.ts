import type { Stream } from '@libp2p/interface';

const MiB = 1024 * 1024;

/**
 * Reads `total` bytes with pauses in between, as a slow disk would. Fails when the sender, by its own count `sent`, has
 * run more than 6 MiB ahead, or when the stream is aborted.
 */
export async function readSlowly(stream: Stream, total: number, sent: () => number): Promise<number> {
  const done = Promise.withResolvers<number>();
  let received = 0;
  let sincePause = 0;
  stream.addEventListener('message', ({ data }) => {
    received += data.byteLength;
    sincePause += data.byteLength;
    if (received >= total) done.resolve(received);
    if (sincePause < 2 * MiB) return;
    sincePause = 0;
    queueMicrotask(() => stream.pause()); // not at once: pausing while `resume` dispatches leaves the muxer running
    setTimeout(() => {
      if (sent() - received > 6 * MiB) done.reject(new Error(`${sent() - received} bytes ahead`));
      if (stream.readStatus === 'paused') stream.resume();
    }, 100);
  });
  stream.addEventListener('close', ({ error }) => {
    if (error !== undefined) done.reject(error);
  });
  return done.promise;
}
