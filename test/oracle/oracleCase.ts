import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folders of the cases, by name. */
export const ORACLE_CASES: readonly string[] = readdirSync(new URL('.', import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

/** The folder of a case. */
export const oracleFolder = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

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
  /**
   * The tokens that come after prompt and chosen completion of each pair, greedily, the end token counting like any
   * other. Two cases have none.
   */
  readonly greedy?: readonly { readonly base: readonly number[]; readonly adapted: readonly number[] }[];
  readonly adapter_after: Readonly<Record<string, { readonly norm: number; readonly head: readonly number[] }>>;
}
