/**
 * When a process dies. Each life of each process has its own draw, so that a seed repeats all of them, whichever
 * process happens to be quicker.
 */
import { createHash } from 'node:crypto';

export type Moment =
  /** At the nth change that the process asks of its files. */
  | { readonly kind: 'change'; readonly at: number; readonly when: 'before' | 'half' | 'after' }
  /** Some time (ms) after it said that it runs. */
  | { readonly kind: 'time'; readonly after: number };

/** Changes of files, in a life that takes part in two or three rounds; a start alone makes about ten. */
const CHANGES = 60;
/** Time of two or three rounds of the smallest model (ms). */
const TIME = 1500;
const WHEN = ['before', 'half', 'after'] as const;

/** The moment at which the nth life of a process ends. */
export function drawMoment(seed: number, process: string, life: number): Moment {
  const digest = createHash('sha256').update(`${seed} ${process} ${life}`).digest();
  const share = (at: number) => digest.readUInt32LE(at) / 2 ** 32;
  if (share(0) < 0.3) return { kind: 'time', after: Math.floor(share(4) * TIME) };
  return { kind: 'change', at: 1 + Math.floor(share(4) * CHANGES), when: WHEN[digest[8]! % WHEN.length]! };
}

export function describeMoment(moment: Moment): string {
  return moment.kind === 'time' ? `${moment.after} ms on` : `${moment.when} change ${moment.at}`;
}
