import type { Device } from '../engine/device.ts';
import type { AdapterLayout } from '../training/adapterVector.ts';
import type { Checkpoint } from './checkpoint.ts';

export interface GeneratorOptions {
  readonly checkpoint: Checkpoint;
  readonly adapter?: { readonly vector: Float32Array; readonly layout: AdapterLayout; readonly scale: number };
  readonly device?: Device;
  readonly threads?: number;
  readonly cacheFolder?: string;
}

export interface GenerateOptions {
  readonly maxTokens: number;
  /** 0 is greedy. */
  readonly temperature?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Called with each new token of each prompt. */
  readonly onToken?: (prompt: number, token: number) => void;
}

export interface Generation {
  /** The new tokens, without the end token. */
  readonly tokens: number[];
  readonly finishReason: 'stop' | 'length';
}

export declare class Generator {
  static open(options: GeneratorOptions): Promise<Generator>;
  generate(prompts: readonly (readonly number[])[], options: GenerateOptions): Promise<Generation[]>;
  [Symbol.asyncDispose](): Promise<void>;
}
