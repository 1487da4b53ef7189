/**
 * The section on generation: the first token after a prompt, and the tokens after it, alone and in a batch.
 */
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { DecodingContender, type DecodingRun } from '../decodingContender.ts';
import { writeRandomCheckpoint } from '../randomCheckpoint.ts';
import { show, spreadOf } from '../statistics.ts';

export interface DecodingSettings {
  readonly runs: number;
  readonly threads?: number | undefined;
  readonly say: (text: string) => void;
}

const BATCHES = [1, 8];
const WORKLOAD = { prompt: 128, tokens: 64 };

/** Contenders take turns; the first run of each, which compiles, does not count. */
export async function decodingSection({ runs, threads, say }: DecodingSettings) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-bench-'));
  await writeRandomCheckpoint(folder.path);
  const checkpoint = await openCheckpoint(folder.path);
  await using stack = new AsyncDisposableStack();
  const contenders: { readonly contender: DecodingContender; readonly measured: DecodingRun[] }[] = [];
  for (const rows of BATCHES) {
    const contender = await DecodingContender.open(checkpoint, { ...WORKLOAD, rows }, { threads });
    contenders.push({ contender: stack.use(contender), measured: [] });
    await contender.run();
  }
  for (let run = 1; run <= runs; run++) {
    for (const { contender, measured } of contenders) {
      const { firstToken, tokensPerSecond } = await contender.run();
      measured.push({ firstToken, tokensPerSecond });
      const { rows } = contender.workload;
      say(
        `run ${run}/${runs}  batch ${rows}  first token ${firstToken.toFixed(0)} ms  ${tokensPerSecond.toFixed(1)}/s`,
      );
    }
  }
  return [
    {
      title: 'Decoding at SmolLM2-135M dimensions',
      columns: ['batch', 'tokens (prompt + answer)', 'first token, ms', 'tokens/s'],
      rows: contenders.map(({ contender: { workload }, measured }) => [
        String(workload.rows),
        `${workload.prompt} + ${workload.tokens}`,
        show(spreadOf(measured.map(({ firstToken }) => firstToken))),
        show(spreadOf(measured.map(({ tokensPerSecond }) => tokensPerSecond))),
      ]),
      notes: [],
    },
  ];
}
