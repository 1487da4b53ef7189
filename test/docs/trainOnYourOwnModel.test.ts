import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { programCommand } from '../../node/commands/program.ts';
import { Tokenizer } from '../../node/model/tokenizer.ts';
import { EMBEDDED_FOLDER } from '../../node/model/checkpoint.ts';
import { makeParticipantPairs } from '../../node/preferences/tastes/tastePairs.ts';
import type { Answer, Request } from '../../scripts/llamacpp/evaluate.ts';
import { installLlamaCpp } from '../../scripts/llamacpp/install.ts';
import { shownCommands } from './shownCommands.ts';

const PAGE = 'docs/how-to/train-on-your-own-model.md';
const MODEL = 'HuggingFaceTB/SmolLM2-135M-Instruct';

/** Pairs as the page has them, in messages. */
function conversations(seed: number, count: number): string {
  const said = (role: string, content: string) => [{ role, content: content.trimEnd() }];
  return makeParticipantPairs({ seed, participant: 0, participants: 2, count })
    .map(({ prompt, chosen, rejected }) => {
      const pair = {
        prompt: said('user', prompt),
        chosen: said('assistant', chosen),
        rejected: said('assistant', rejected),
      };
      return `${JSON.stringify(pair)}\n`;
    })
    .join('');
}

describe('how to train on a model of your own', function () {
  this.timeout(300_000);
  const commands = shownCommands(PAGE);
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'prefmesh-page-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('ends with an adapter that llama.cpp loads, every step run on the embedded model', async () => {
    writeFileSync(join(folder, 'pairs.jsonl'), conversations(1, 24));
    writeFileSync(join(folder, 'held-out.jsonl'), conversations(2, 12));
    const { command, leadingArguments } = programCommand();
    for (const words of commands) {
      if (words[1] === 'pull') continue; // test/node/commands has the pull, against a local hub
      const own = words.map((word) => (word === MODEL ? 'embedded' : word));
      const options = { cwd: folder, encoding: 'utf8' } as const;
      const outcome = spawnSync(command, [...leadingArguments, ...own, '--home', folder, '--device', 'cpu'], options);
      assert.equal(outcome.status, 0, `${own.join(' ')}: ${outcome.stderr}`);
    }
    assert.match(
      readFileSync(join(folder, 'gguf', 'Modelfile'), 'utf8'),
      /^FROM \.\/base\.gguf\nADAPTER \.\/adapter\.gguf\nTEMPLATE /,
    );

    if (installLlamaCpp() !== undefined) return; // test/node/export/llamacpp.test.ts says that it is missing
    const tokenizer = await Tokenizer.open(EMBEDDED_FOLDER);
    const words = [...leadingArguments, 'generate', '--model', 'embedded', '--adapter', 'adapter', '--json'];
    const asked = ['--prompt', 'Notes are', '--max-tokens', '16', '--home', folder, '--device', 'cpu'];
    const ours = spawnSync(command, [...words, ...asked], { cwd: folder, encoding: 'utf8' });
    const request: Request = {
      model: join(folder, 'gguf/base.gguf'),
      adapter: join(folder, 'gguf/adapter.gguf'),
      prompts: [tokenizer.encode('Notes are')],
      maxTokens: 16,
    };
    const theirs = spawnSync(process.execPath, [resolve('scripts/llamacpp/evaluate.ts')], {
      input: JSON.stringify(request),
      encoding: 'utf8',
    });
    assert.equal(theirs.status, 0, theirs.stderr);
    const { texts } = JSON.parse(theirs.stdout) as Answer;
    assert.equal(texts[0], (JSON.parse(ours.stdout) as { text: string }).text);
  });
});
