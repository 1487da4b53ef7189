/**
 * Metrics as a TensorBoard event file: one event a line, holding a scalar for each figure. Tags are those that the
 * usual trainers write: `train/rewards/margins`, and `eval/loss` for `eval_loss`.
 *
 * Source: tensorflow/core/util/event.proto and summary.proto, of which these are the fields that scalars need.
 */
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { AppendedFile } from '../../storage/appendedFile.ts';
import type { MetricLine, MetricSink } from '../trainingLog.ts';
import { frameRecord, readRecords } from './records.ts';

/** TensorBoard reads every file with `tfevents` in its name. One name for a folder: a run has one file. */
const EVENT_FILE = 'events.out.tfevents.1.prefmesh';
const FILE_VERSION = 'brain.Event:2';

const root = protobuf.Root.fromJSON({
  nested: {
    Event: {
      oneofs: { what: { oneof: ['fileVersion', 'summary'] } },
      fields: {
        wallTime: { type: 'double', id: 1 },
        step: { type: 'int64', id: 2 },
        fileVersion: { type: 'string', id: 3 },
        summary: { type: 'Summary', id: 5 },
      },
    },
    Summary: { fields: { value: { rule: 'repeated', type: 'Value', id: 1 } } },
    Value: {
      // A member of a oneof is written even when it is zero; TensorBoard drops a value without one.
      oneofs: { kind: { oneof: ['simpleValue'] } },
      fields: { tag: { type: 'string', id: 1 }, simpleValue: { type: 'float', id: 2 } },
    },
  },
});
const eventType = root.lookupType('Event');

interface Event {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step?: number;
  readonly fileVersion?: string;
  readonly summary?: { readonly value: readonly { readonly tag: string; readonly simpleValue: number }[] };
}

/**
 * Opens the event file of a folder for a run that stands after `step`; later events are cut off. A new run (`null`)
 * begins the file anew.
 *
 * @param now seconds since 1970
 */
export async function openEventLog(
  folder: string,
  step: number | null,
  now: () => number = () => Date.now() / 1000,
): Promise<MetricSink> {
  let kept = 0;
  const log = await AppendedFile.open(join(folder, EVENT_FILE), (content) => {
    if (step !== null) kept = endOfEvents(content, step);
    return kept;
  });
  const write = (event: Event) => log.append(frameRecord(eventType.encode(eventType.create(event)).finish()));
  if (kept === 0) await write({ wallTime: now(), fileVersion: FILE_VERSION });
  return {
    write: (line) => write({ wallTime: now(), step: line.step, summary: { value: scalars(line) } }),
    sync: () => log.sync(),
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

function scalars(line: MetricLine): { tag: string; simpleValue: number }[] {
  return Object.entries(line)
    .filter(([name]) => name !== 'step')
    .map(([name, simpleValue]) => ({ tag: tagOf(name, 'eval_loss' in line), simpleValue }));
}

function tagOf(name: string, evaluation: boolean): string {
  if (name.startsWith('eval_')) return `eval/${name.slice('eval_'.length)}`;
  return `${evaluation ? 'eval' : 'train'}/${name}`;
}

function endOfEvents(content: Buffer, step: number): number {
  let kept = 0;
  for (const { data, end } of readRecords(content)) {
    const event = eventType.toObject(eventType.decode(data), { longs: Number, defaults: true }) as { step: number };
    if (event.step > step) break;
    kept = end;
  }
  return kept;
}
