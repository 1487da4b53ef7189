/**
 * The process that `probe.ts` starts: opens a device, which tests it, and times it.
 *
 * Usage: node probeProgram.ts <device> [threads], with an IPC channel.
 */

import type { Device } from '../device.ts';
import { openExecutor } from '../openExecutor.ts';
import type { ProbeAnswer } from './probe.ts';
import { timeWorkload } from './workload.ts';

const [device, threads] = process.argv.slice(2) as [Device, string?];

async function answer(): Promise<ProbeAnswer> {
  try {
    await using executor = await openExecutor({ device, threads: threads === undefined ? undefined : Number(threads) });
    return { usable: true, milliseconds: await timeWorkload(executor) };
  } catch (error) {
    const { problem } = (error as { details?: { problem?: unknown } }).details ?? {};
    return { usable: false, reason: typeof problem === 'string' ? problem : (error as Error).message };
  }
}

process.send!(await answer());
