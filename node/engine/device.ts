/**
 * The devices a graph can run on, by the names the command line uses.
 */

export const DEVICES = ['cpu', 'webgpu', 'cuda', 'directml', 'coreml', 'tensorflow'] as const;

export type Device = (typeof DEVICES)[number];

/** The devices of ONNX Runtime. */
export type OnnxDevice = Exclude<Device, 'tensorflow'>;
