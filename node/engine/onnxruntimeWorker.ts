/**
 * The thread that runs ONNX Runtime. A run blocks the thread it is called on; here it blocks nobody else.
 */

import { parentPort } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';
import type { OnnxDevice } from './device.ts';
import type { TensorData } from './executor.ts';
import { writeRows } from './feeds.ts';
import type { Reply, Request } from './onnxruntimeMessages.ts';

const PROVIDERS: Readonly<Record<OnnxDevice, string>> = {
  cpu: 'cpu',
  webgpu: 'webgpu',
  cuda: 'cuda',
  directml: 'dml',
  coreml: 'coreml',
};

const sessions = new Map<number, ort.InferenceSession>();
const residents = new Map<number, ort.Tensor>();

async function handle(request: Request): Promise<Record<string, TensorData> | undefined> {
  switch (request.kind) {
    case 'compile':
      sessions.set(request.session, await ort.InferenceSession.create(request.file, sessionOptions(request)));
      return undefined;
    case 'run':
      return run(request);
    case 'dispose':
      await sessions.get(request.session)?.release();
      sessions.delete(request.session);
      return undefined;
    case 'allocate':
      residents.set(request.resident, new ort.Tensor('float32', request.data, request.shape));
      return undefined;
    case 'release':
      residents.delete(request.resident);
      return undefined;
  }
}

function sessionOptions(request: Extract<Request, { kind: 'compile' }>): ort.InferenceSession.SessionOptions {
  // Elsewhere weights are copied to the device anyway, and not every device can convert half-precision ones by itself.
  const small = request.device === 'cpu' && request.weights === 'small';
  return {
    executionProviders: [PROVIDERS[request.device]],
    intraOpNumThreads: request.threads,
    graphOptimizationLevel: 'all',
    // The memory pattern nearly doubles the arena and makes the second run slow.
    enableMemPattern: false,
    // An arena would hold each compiled graph's peak for good; plain allocation is as fast here and gives it back.
    enableCpuMemArena: false,
    // Failures are thrown, and told from there.
    logSeverityLevel: 4,
    extra: {
      // Folding would turn half-precision weights into private float32 copies.
      ...(small && { optimization: { disable_specified_optimizers: 'ConstantFolding' } }),
      session: {
        ...(small && { disable_prepacking: '1' }),
        // Several nodes may share a machine: a thread that waits must not hold a core.
        intra_op: { allow_spinning: '0' },
      },
    },
  };
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
    (outputs) => {
      const reply: Reply = outputs === undefined ? { id } : { id, outputs };
      parentPort!.postMessage(
        reply,
        Object.values(outputs ?? {}).map(({ buffer }) => buffer as ArrayBuffer),
      );
    },
    (error: unknown) => {
      const reply: Reply = { id, failure: error instanceof Error ? error.message : String(error) };
      parentPort!.postMessage(reply);
    },
  );
});
