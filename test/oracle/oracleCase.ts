/** What `expected.json` of an oracle case holds; its README says what each figure is. */
export interface OracleCase {
  readonly beta: number;
  readonly lr: number;
  readonly steps: number;
  readonly adam: { readonly weight_decay: number };
  readonly max_grad_norm: number;
  readonly score: readonly {
    readonly id: string;
    readonly chosen: number;
    readonly rejected: number;
    readonly ref_chosen: number;
    readonly ref_rejected: number;
  }[];
  readonly loss0: number;
  readonly grad_norm0: number;
  readonly train: readonly {
    readonly loss: number;
    readonly grad_norm: number;
    readonly margin: number;
    readonly accuracy: number;
  }[];
  readonly adapter_after: Readonly<Record<string, { readonly norm: number; readonly head: readonly number[] }>>;
}
