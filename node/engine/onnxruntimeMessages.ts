/**
 * What the executor and its worker thread say to each other.
 */

import type { Placement, TensorData } from './executor.ts';
import type { ElementType, Shape } from './graph.ts';
import type { SessionSettings } from './onnx/sessionOptions.ts';

export interface FedTensor {
  readonly data: TensorData;
  readonly shape: Shape;
  readonly type: ElementType;
}

export type Request =
  | ({ readonly kind: 'compile'; readonly session: number; readonly file: string } & SessionSettings)
  | {
      readonly kind: 'run';
      readonly session: number;
      readonly feeds: Readonly<Record<string, FedTensor | { readonly resident: number }>>;
      readonly writes: readonly { readonly output: string; readonly into: number; readonly starts: Int32Array }[];
    }
  | { readonly kind: 'placement'; readonly session: number }
  | { readonly kind: 'dispose'; readonly session: number }
  | { readonly kind: 'allocate'; readonly resident: number; readonly shape: Shape; readonly data: Float32Array }
  | { readonly kind: 'release'; readonly resident: number };

export interface Reply {
  readonly id: number;
  readonly outputs?: Record<string, TensorData>;
  readonly placement?: readonly Placement[];
  /** The runtime's words where the request failed. */
  readonly failure?: string;
}
