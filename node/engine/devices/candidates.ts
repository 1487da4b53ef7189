/**
 * Which devices could be on this machine at all, told without loading anything.
 *
 * The platforms are those of the builds of ONNX Runtime 1.30 for Node.
 */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { OnnxDevice } from '../device.ts';

export type Accelerator = Exclude<OnnxDevice, 'cpu'>;

/** The order in which they are tried, and listed. */
export const ACCELERATORS: readonly Accelerator[] = ['cuda', 'webgpu', 'directml', 'coreml'];

/** Why a device cannot be here; null where only trying can tell. */
export function whyAbsent(device: Accelerator): string | null {
  const { platform, arch } = process;
  switch (device) {
    case 'cuda':
      if (platform !== 'linux' || arch !== 'x64') return 'ONNX Runtime has it on Linux x64 alone';
      return existsSync(cudaLibrary()) ? null : 'its libraries are not installed (docs/how-to/use-a-gpu.md)';
    case 'webgpu':
      if (platform === 'linux' && arch !== 'x64') return 'ONNX Runtime does not have it on this kind of Linux';
      return platform === 'linux' && !hasVulkanLoader() ? 'no Vulkan loader (libvulkan.so.1) is installed' : null;
    case 'directml':
      return platform === 'win32' ? null : 'ONNX Runtime has it on Windows alone';
    case 'coreml':
      return platform === 'darwin' ? null : 'ONNX Runtime has it on macOS alone';
  }
}

function cudaLibrary(): string {
  const root = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return path.join(root, 'bin', 'napi-v6', 'linux', 'x64', 'libonnxruntime_providers_cuda.so');
}

const LOADER = 'libvulkan.so.1';

/** Where the system's linker would find the loader: along the path of the environment, or by its own list. */
function hasVulkanLoader(): boolean {
  const folders = (process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== '');
  if (folders.some((folder) => existsSync(path.join(folder, LOADER)))) return true;
  try {
    return readFileSync('/etc/ld.so.cache').includes(LOADER);
  } catch {
    // A system whose linker keeps no list: only trying can tell.
    return true;
  }
}
