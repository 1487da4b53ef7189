/**
 * Which execution provider computed each node, read from the trace that ONNX Runtime writes.
 */

import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { z } from 'zod';
import type { Placement } from '../executor.ts';

const traceSchema = z.array(
  z.looseObject({
    cat: z.string().optional(),
    args: z.looseObject({ op_name: z.string().optional(), provider: z.string().optional() }).optional(),
  }),
);

/** Ends the session's trace and reads it; its file, `traceFile` and the time, is removed. */
export async function readPlacement(session: InferenceSession, traceFile: string): Promise<readonly Placement[]> {
  session.endProfiling();
  const folder = path.dirname(traceFile);
  const name = (await readdir(folder)).find((each) => each.startsWith(`${path.basename(traceFile)}_`));
  if (name === undefined) throw new Error('the runtime wrote no trace');
  const file = path.join(folder, name);
  const trace = traceSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  await rm(file);
  return trace.flatMap(({ cat, args }) =>
    cat === 'Node' && args?.op_name !== undefined && args.provider !== undefined
      ? [{ operator: args.op_name, provider: args.provider }]
      : [],
  );
}
