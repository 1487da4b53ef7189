/**
 * The program's log: JSON lines on stderr, at the level of `--log-level`. Lines hold names, codes, hashes and sizes,
 * never the text of pairs.
 */
import { type Logger, destination, pino } from 'pino';
import type { LogLevel } from './options.ts';

const STDERR = 2;

export function commandLog({ logLevel }: { readonly logLevel: LogLevel }): Logger {
  return pino({ level: logLevel, base: null }, destination({ dest: STDERR, sync: true }));
}
