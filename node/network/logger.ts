/**
 * libp2p's log lines in the program's own log.
 *
 * libp2p reports much that is no fault of anyone (a peer that left, an address that did not answer) as an error, so
 * its errors appear at level `debug` and the rest at `trace`. Lines hold peer ids, addresses and codes, never payloads.
 */
import type { ComponentLogger, Logger as Libp2pLogger } from '@libp2p/interface';
import type { Logger } from 'pino';

/** What libp2p writes before a value: `%p` peer, `%a` address, `%c` content id, `%e` error, `%b %t %m` bytes. */
const PLACEHOLDER = /%[pabcdekmnostOj]/g;

export function libp2pLogger(log: Logger): ComponentLogger {
  return { forComponent: (component) => componentLogger(log, component) };
}

/** libp2p makes one of these for every stream, so it holds no logger of its own. */
function componentLogger(log: Logger, component: string): Libp2pLogger {
  const line =
    (level: 'debug' | 'trace') =>
    (formatter: unknown, ...values: unknown[]) => {
      if (log.isLevelEnabled(level)) log[level]({ component }, format(formatter, values));
    };
  return Object.assign(line('trace'), {
    error: line('debug'),
    trace: line('trace'),
    enabled: log.isLevelEnabled('trace'),
    newScope: (scope: string) => componentLogger(log, `${component}:${scope}`),
  });
}

/** Fills libp2p's placeholders. */
export function format(formatter: unknown, values: readonly unknown[]): string {
  let next = 0;
  return String(formatter).replace(PLACEHOLDER, (placeholder) =>
    next < values.length ? describe(placeholder, values[next++]) : placeholder,
  );
}

function describe(placeholder: string, value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (placeholder === '%o' || placeholder === '%O' || placeholder === '%j') return '(object)';
  return String(value);
}
