/**
 * Why a network operation failed, in a few words for a person.
 *
 * libp2p wraps the cause: a dial that tried three addresses throws an aggregate of three errors, each around the
 * socket's own. Matching is by code and name, never by text.
 */
import { DeadlineError } from './deadline.ts';

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: nothing listens there',
  ECONNRESET: 'connection reset by the other side',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'the host name is not known',
  ETIMEDOUT: 'no answer in time',
  EADDRINUSE: 'the port is in use',
  EADDRNOTAVAIL: 'the address does not belong to this machine',
  EACCES: 'the port needs more rights than this user has',
  TimeoutError: 'no answer in time',
  DeadlineError: 'no answer in time',
  NoValidAddressesError: 'no address of it is known',
  NotFoundError: 'no address of it is known',
  EncryptionFailedError: 'another peer answers there, or something else than a peer',
  MuxerUnavailableError: 'the other side does not speak our multiplexing',
  ConnectionClosedError: 'the connection was closed',
  StreamResetError: 'the other side broke off',
  UnexpectedEOFError: 'the other side broke off',
};

/** The first cause inside `error` that has words of its own, else the error's name. */
export function networkProblem(error: unknown): string {
  for (const cause of causes(error)) {
    const words = WORDS[codeOf(cause) ?? ''] ?? WORDS[cause.name];
    if (words !== undefined) return words;
  }
  return error instanceof Error ? error.name : 'unknown reason';
}

/** Whether `error` or anything inside it has this code or name. */
export function hasCause(error: unknown, ...names: string[]): boolean {
  return [...causes(error)].some((cause) => names.includes(cause.name) || names.includes(codeOf(cause) ?? ''));
}

/** The error and all that it wraps, innermost first. */
function* causes(error: unknown, depth = 0): Generator<Error> {
  if (!(error instanceof Error) || depth > 5) return;
  if ('errors' in error && Array.isArray(error.errors))
    for (const inner of error.errors) yield* causes(inner, depth + 1);
  yield* causes(error.cause, depth + 1);
  yield error;
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export function isDeadline(error: unknown): error is DeadlineError {
  return error instanceof DeadlineError;
}
