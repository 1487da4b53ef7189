/**
 * A Vulkan driver that computes on the processor, so that the WebGPU device can be tested where there is no GPU.
 *
 * Chromium brings one, SwiftShader, and the Vulkan loader beside it. The system's loader looks at its environment when
 * a process first uses it, and finds the loader itself along a path that is fixed when the process starts: so whatever
 * runs on this driver is a child process with `environment`. By hand, it is
 *
 *   LD_LIBRARY_PATH=/usr/lib/chromium VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json npm run bench -- …
 */

import { existsSync } from 'node:fs';
import path from 'node:path';

/** Where Chromium and Chrome are put by Debian, Fedora, Arch and Google's own packages. */
const FOLDERS = ['/usr/lib/chromium', '/usr/lib64/chromium-browser', '/usr/lib/chromium-browser', '/opt/google/chrome'];

export interface SoftwareVulkan {
  /** What a child process needs in its environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** The driver, or null where there is none: the tests that need it then skip themselves, for `REASON`. */
export function softwareVulkan(): SoftwareVulkan | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const folder = FOLDERS.find((each) => {
    return existsSync(path.join(each, 'vk_swiftshader_icd.json')) && existsSync(path.join(each, 'libvulkan.so.1'));
  });
  if (folder === undefined) return null;
  const driver = path.join(folder, 'vk_swiftshader_icd.json');
  const libraries = [folder, process.env['LD_LIBRARY_PATH']].filter((each) => each !== undefined).join(':');
  // The second name is the one that loaders before 1.3.207 know.
  return { environment: { LD_LIBRARY_PATH: libraries, VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver } };
}

export const REASON = 'no software Vulkan driver here: on Linux x64, install chromium';
