/**
 * Finds an installed TensorFlow.js package. None is installed with prefmesh: the ones that use a GPU bring hundreds of
 * megabytes from outside the npm registry.
 */

import { createRequire } from 'node:module';
import { PrefmeshError } from '../../../protocol/errors.ts';
import type { TensorApi } from './tensorApi.ts';

export interface TensorFlowPackage {
  readonly name: string;
  /** What computes, by its name in TensorFlow.js. */
  readonly backend: string;
}

/** In order of preference. */
const PACKAGES: readonly TensorFlowPackage[] = [
  { name: '@tensorflow/tfjs-node-gpu', backend: 'tensorflow' },
  { name: '@tensorflow/tfjs-node', backend: 'tensorflow' },
  { name: '@tensorflow/tfjs', backend: 'cpu' },
];

/** What is used of a package beyond the operators. */
export interface TensorFlow extends TensorApi {
  setBackend(name: string): Promise<boolean>;
  /** Leaves out the checks and advice meant for developers. */
  enableProdMode(): void;
  memory(): { readonly numTensors: number };
}

export interface LoadedTensorFlow {
  readonly tensorflow: TensorFlow;
  readonly package: string;
}

/** The first of the packages that is installed. Throws `DEVICE_UNAVAILABLE` where there is none, or it cannot start. */
export async function loadTensorFlow(packages: readonly TensorFlowPackage[] = PACKAGES): Promise<LoadedTensorFlow> {
  for (const { name, backend } of packages) {
    if (!isInstalled(name)) continue;
    try {
      restoreRemovedFunction();
      const module = (await import(name)) as { default?: TensorFlow } & TensorFlow;
      const tensorflow = module.default ?? module;
      tensorflow.enableProdMode();
      if (!(await tensorflow.setBackend(backend))) throw new Error(`its back end ${backend} does not start`);
      return { tensorflow, package: name };
    } catch (cause) {
      throw new PrefmeshError(
        'DEVICE_UNAVAILABLE',
        {
          device: 'tensorflow',
          problem: `${name} is installed but cannot be used: ${(cause as Error).message.split('\n', 1)[0]}`,
          remedy: 'install it again with its install script allowed, or remove it',
        },
        { cause },
      );
    }
  }
  throw new PrefmeshError('DEVICE_UNAVAILABLE', {
    device: 'tensorflow',
    problem: 'no TensorFlow.js package is installed',
    remedy: 'npm install @tensorflow/tfjs-node-gpu (an NVIDIA GPU), or @tensorflow/tfjs-node (the processor)',
  });
}

const { resolve } = createRequire(import.meta.url);

function isInstalled(name: string): boolean {
  try {
    resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** The native packages of 4.22 call a function that Node 23 removed. */
function restoreRemovedFunction(): void {
  const util = createRequire(import.meta.url)('node:util') as { isNullOrUndefined?: (value: unknown) => boolean };
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
}
