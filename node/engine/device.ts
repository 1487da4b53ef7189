/**
 * The devices a graph can run on, by the names the command line uses.
 */

export const DEVICES = ['cpu', 'webgpu', 'cuda', 'directml', 'coreml'] as const;

export type Device = (typeof DEVICES)[number];
