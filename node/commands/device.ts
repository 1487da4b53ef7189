/**
 * Which device a command computes on.
 */
import type { Device } from '../engine/device.ts';
import type { DeviceName } from './options.ts';

/** `auto` is the processor, the one device that every machine has and that training is measured on. */
export function chooseDevice(name: DeviceName): Device {
  return name === 'auto' ? 'cpu' : name;
}
