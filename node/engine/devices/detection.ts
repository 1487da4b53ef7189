/**
 * What this machine can compute on, how fast, and which of it to take.
 *
 * Every accelerator that may be here is tried in a process of its own: it must pass the self-test and is then timed on
 * the same piece of work as the processor. A name says little about speed: a software driver is a working WebGPU
 * device, and slower than the processor by far. What was found is kept in a file until something it depends on changes.
 */

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus, release } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { LIMITS } from '../../../protocol/limits.ts';
import { writeFileAtomic } from '../../storage/atomicFile.ts';
import { ACCELERATORS, whyAbsent, type Accelerator } from './candidates.ts';
import { answerSchema, probeDevice, type ProbeAnswer } from './probe.ts';

export type { Accelerator } from './candidates.ts';

/** An accelerator must be this many times as fast as the processor to be taken by itself: small batches gain less. */
const WORTHWHILE = 1.25;

const fileSchema = z.strictObject({
  key: z.string(),
  time: z.number(),
  devices: z.record(z.enum(['cpu', ...ACCELERATORS]), answerSchema),
});

/** One answer for the processor and for each accelerator. */
export type Detection = Readonly<Record<'cpu' | Accelerator, ProbeAnswer>>;

export interface DetectionOptions {
  readonly threads?: number | undefined;
  /** Where what was found is kept; nowhere if absent. */
  readonly file?: string | undefined;
  /** Whether to try again what the file knows. */
  readonly fresh?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Tries everything that may be here. The processor is timed only where there is something to compare it with. */
export async function detectDevices(options: DetectionOptions = {}): Promise<Detection> {
  const { file, fresh = false, threads, signal } = options;
  const absent = ACCELERATORS.map((device) => [device, whyAbsent(device)] as const);
  if (absent.every(([, reason]) => reason !== null)) return alone(absent);
  const key = await fingerprint([absent, threads]);
  const known = file === undefined || fresh ? null : await readKnown(file, key);
  if (known !== null) return known;

  const found: Partial<Record<'cpu' | Accelerator, ProbeAnswer>> = {};
  for (const [device, reason] of absent) {
    found[device] = reason === null ? await probeDevice(device, { threads, signal }) : { usable: false, reason };
  }
  const compared = Object.values(found).some(({ usable }) => usable);
  found.cpu = compared ? await probeDevice('cpu', { threads, signal }) : UNTIMED;
  const devices = found as Detection;
  if (file !== undefined) await keep(file, { key, time: Date.now(), devices });
  return devices;
}

const UNTIMED: ProbeAnswer = { usable: true, milliseconds: null };

/** A machine on which nothing but the processor can be. */
function alone(absent: readonly (readonly [Accelerator, string | null])[]): Detection {
  const devices = absent.map(([device, reason]) => [device, { usable: false, reason: reason! }]);
  return { cpu: UNTIMED, ...Object.fromEntries(devices) } as Detection;
}

async function keep(file: string, known: z.infer<typeof fileSchema>): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFileAtomic(file, JSON.stringify(known));
  } catch {
    // A folder that cannot be written to: found out again next time.
  }
}

export interface Choice {
  readonly device: 'cpu' | Accelerator;
  /** Why this one and none of the others, for people. */
  readonly because: string;
}

/** The fastest, if it is worthwhile; else the processor. */
export function bestDevice(detection: Detection): Choice {
  const processor = detection.cpu;
  const times = ACCELERATORS.flatMap((device) => {
    const answer = detection[device];
    return answer.usable ? [{ device, milliseconds: answer.milliseconds! }] : [];
  });
  const [fastest] = times.toSorted((a, b) => a.milliseconds - b.milliseconds);
  const base = (processor.usable ? processor.milliseconds : null) ?? Infinity;
  const device = fastest !== undefined && fastest.milliseconds * WORTHWHILE <= base ? fastest.device : ('cpu' as const);
  const reasons = ACCELERATORS.flatMap((each) => {
    const answer = detection[each];
    // What a platform does not have at all is no news.
    if (!answer.usable) return answer.reason.startsWith('ONNX Runtime') ? [] : [`not ${each}: ${answer.reason}`];
    const speed = `${(base / answer.milliseconds!).toPrecision(2)} times the processor's speed`;
    return [each === device ? `${each} has ${speed}` : `not ${each}: ${speed}`];
  });
  return { device, because: reasons.join('; ') };
}

async function readKnown(file: string, key: string): Promise<Detection | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return null;
  }
  try {
    const known = fileSchema.parse(JSON.parse(text));
    return known.key === key && Date.now() - known.time < LIMITS.deviceBelief.value ? known.devices : null;
  } catch {
    // Written by another version: found out again.
    return null;
  }
}

/** Folders of Vulkan's driver lists, and what the NVIDIA driver says of itself. */
const DRIVER_MARKS = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/proc/driver/nvidia/version'];
const VARIABLES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES'];

/** What the outcome depends on, as far as it can be seen. */
async function fingerprint(known: unknown): Promise<string> {
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  const marks = await Promise.all(DRIVER_MARKS.map(markOf));
  const machine = [
    process.platform,
    process.arch,
    release(),
    process.version,
    version,
    cpus()[0]?.model,
    cpus().length,
  ];
  const environment = VARIABLES.map((name) => process.env[name] ?? null);
  return createHash('sha256')
    .update(JSON.stringify([known, machine, marks, environment]))
    .digest('hex');
}

async function markOf(place: string): Promise<unknown> {
  try {
    if ((await stat(place)).isDirectory()) return await readdir(place);
    return await readFile(place, 'utf8');
  } catch {
    return null;
  }
}
