/**
 * What a model is and where it is from, as `model list` and `model inspect` tell it.
 */
import type { Checkpoint } from '../model/checkpoint.ts';
import { readPullRecord } from '../model/hub/record.ts';
import { licenceOf } from '../model/licence.ts';

/** Where a model came from, as far as its folder says. */
export async function originOf(folder: string) {
  const record = await readPullRecord(folder);
  const { revision = null, commit = null } = record ?? {};
  return { revision, commit, licence: record?.licence.id ?? (await licenceOf(folder)) };
}

/** `main (12-digit commit)`, or undefined for a model that was not pulled. */
export function shownRevision({
  revision,
  commit,
}: {
  revision: string | null;
  commit: string | null;
}): string | undefined {
  if (revision === null || commit === null) return undefined;
  return revision === commit ? commit.slice(0, 12) : `${revision} (${commit.slice(0, 12)})`;
}

export function factsOf({ name, folder, hash, config, tensors, quantized }: Checkpoint) {
  const all = [...tensors.values()];
  const packed = [...(quantized?.tensors.values() ?? [])];
  return {
    model: name,
    folder,
    family: config.family,
    parameters: [...all, ...packed].reduce(
      (sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1),
      0,
    ),
    tensors: all.length + packed.length,
    dtypes: [...new Set([...all.map(({ dtype }) => dtype), ...packed.map(({ scheme }) => scheme)])].sort(),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, quantized?.bytes ?? 0),
    sha256: hash,
  };
}

export function millions(count: number): string {
  return `${(count / 1e6).toPrecision(3)} M`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
