/**
 * The thread that runs ONNX Runtime. A run blocks the thread it is called on; here it blocks nobody else.
 */

import { parentPort } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';
import type { TensorData } from './executor.ts';
import { writeRows } from './feeds.ts';
import { readPlacement } from './onnx/placement.ts';
import { sessionOptions } from './onnx/sessionOptions.ts';
import type { Reply, Request } from './onnxruntimeMessages.ts';

// Failures are thrown, and told from there.
ort.env.logLevel = 'fatal';

const sessions = new Map<number, ort.InferenceSession>();
/** Of the sessions that write a trace. */
const traceFiles = new Map<number, string>();
const residents = new Map<number, ort.Tensor>();

/** What is answered besides that it is done. */
async function handle(request: Request): Promise<Pick<Reply, 'outputs' | 'placement'>> {
  switch (request.kind) {
    case 'compile':
      await compile(request);
      return {};
    case 'run':
      return { outputs: await run(request) };
    case 'placement':
      return { placement: await readPlacement(sessions.get(request.session)!, traceFiles.get(request.session)!) };
    case 'dispose':
      await sessions.get(request.session)?.release();
      sessions.delete(request.session);
      traceFiles.delete(request.session);
      return {};
    case 'allocate':
      residents.set(request.resident, new ort.Tensor('float32', request.data, request.shape));
      return {};
    case 'release':
      residents.delete(request.resident);
      return {};
  }
}

async function compile({ session, file, ...settings }: Extract<Request, { kind: 'compile' }>): Promise<void> {
  sessions.set(session, await ort.InferenceSession.create(file, sessionOptions(settings)));
  if (settings.traceFile !== undefined) traceFiles.set(session, settings.traceFile);
}

async function run(request: Extract<Request, { kind: 'run' }>): Promise<Record<string, TensorData>> {
  const feeds: Record<string, ort.Tensor> = {};
  for (const [name, feed] of Object.entries(request.feeds)) {
    feeds[name] = 'resident' in feed ? residents.get(feed.resident)! : new ort.Tensor(feed.type, feed.data, feed.shape);
  }
  const results = await sessions.get(request.session)!.run(feeds);
  for (const { output, into, starts } of request.writes) {
    writeRows(held(results[output]!), held(residents.get(into)!), starts);
    delete (results as Record<string, ort.Tensor>)[output];
  }
  const outputs: Record<string, TensorData> = {};
  // Copied out of the runtime's memory, so that the buffer can be handed over to the other thread.
  for (const [name, tensor] of Object.entries(results)) outputs[name] = (tensor.data as TensorData).slice();
  return outputs;
}

function held({ data, dims }: ort.Tensor): { data: Float32Array; shape: readonly number[] } {
  return { data: data as Float32Array, shape: dims };
}

parentPort!.on('message', ({ id, request }: { id: number; request: Request }) => {
  handle(request).then(
    (answer) => {
      const reply: Reply = { id, ...answer };
      parentPort!.postMessage(
        reply,
        Object.values(answer.outputs ?? {}).map(({ buffer }) => buffer as ArrayBuffer),
      );
    },
    (error: unknown) => {
      const reply: Reply = { id, failure: error instanceof Error ? error.message : String(error) };
      parentPort!.postMessage(reply);
    },
  );
});
