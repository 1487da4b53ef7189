/**
 * Which device a command computes on.
 */
import { join } from 'node:path';
import type { Device } from '../engine/device.ts';
import { bestDevice, detectDevices } from '../engine/devices/detection.ts';
import { dataPaths } from '../storage/dataFolder.ts';
import type { CommonOptions } from './options.ts';
import type { Output } from './output.ts';
import { commandSignal } from './signal.ts';

/**
 * The device asked for; for `auto` the one that is fastest here, which is said with the reason. What was found is kept
 * in the data folder.
 */
export async function chooseDevice({ device, home, threads }: CommonOptions, output: Output): Promise<Device> {
  if (device !== 'auto') return device;
  chosen ??= choose(home, threads, output);
  return chosen;
}

/** A process runs one command, on one device. */
let chosen: Promise<Device> | undefined;

async function choose(home: string, threads: number | undefined, output: Output): Promise<Device> {
  const file = join(dataPaths(home).cache, 'devices.json');
  const { device, because } = bestDevice(await detectDevices({ file, threads, signal: commandSignal() }));
  output.human(because === '' ? `device: ${device}` : `device: ${device} (${because})`);
  return device;
}
