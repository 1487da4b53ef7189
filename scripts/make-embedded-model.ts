/**
 * Makes the embedded model from nothing: corpus, tokenizer, training, F16 weights, measurements, model card.
 *
 *   node scripts/make-embedded-model.ts [--out DIR] [--threads N]
 *
 * Progress goes to stderr. An interrupted run goes on where it was, from the `*.state.safetensors` of its stages in the
 * folder, which are removed at the end. Every setting stands in `embedded/recipe.ts`.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EMBEDDED_FOLDER, openCheckpoint } from '../node/model/checkpoint.ts';
import { parseModelConfig, type ModelConfig } from '../node/model/config.ts';
import { Generator } from '../node/model/generation.ts';
import { writeSafetensors } from '../node/model/safetensors.ts';
import { Tokenizer } from '../node/model/tokenizer.ts';
import { LanguageModelTrainer } from '../node/training/languageModel.ts';
import { BytePairEncoder, trainBytePairs, type BytePairs } from './embedded/bytePairs.ts';
import { corpusDocument, type CorpusDocument } from './embedded/corpus.ts';
import { startWeights } from './embedded/emphasis.ts';
import { answer, measure, unseenDocuments } from './embedded/measurement.ts';
import { type TrainedStage, writeModelCard } from './embedded/modelCard.ts';
import { packBatch, type TokenDocument } from './embedded/packing.ts';
import { pretrain } from './embedded/pretraining.ts';
import { configJson, MODEL, SEED, STAGES, TOKENIZER_DOCUMENTS, TRAINING, type Stage } from './embedded/recipe.ts';
import { END_TOKEN, writeTokenizerFiles } from './embedded/tokenizerFiles.ts';

const MEASURED_ANSWERS = 500;
const SAMPLES = 10;
const HELD_OUT_BATCHES = 8;

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: EMBEDDED_FOLDER },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});
const folder = values.out;
const threads = Number(values.threads);
const log = (line: string): void => console.error(line);

await mkdir(folder, { recursive: true });

log('corpus and tokenizer');
const pairs = learnBytePairs();
const endToken = pairs.tokens.length;
const encoder = new BytePairEncoder(pairs);
const config = await writeTextFiles(pairs);

log('training');
const { rows, length } = TRAINING;
await using trainer = await LanguageModelTrainer.create({ config, seed: SEED, batch: rows, length, threads });
const stages: TrainedStage[] = [];
let firstDocument = 0;
for (const stage of STAGES) {
  const result = await pretrain({
    trainer,
    stage,
    document: (index) => forTraining(encode(corpusDocument(SEED, index, { mixture: stage })), stage),
    firstDocument,
    padding: endToken,
    stateFile: stateFile(stage),
    log,
  });
  stages.push({ stage, result });
  firstDocument = result.nextDocument;
}
trainer.parameters.set(new Float16Array(trainer.parameters));
await writeSafetensors(join(folder, 'model.safetensors'), trainer.weights, { format: 'pt' }, 'F16');

log('measuring');
const heldOutLoss = await measureHeldOutLoss(trainer);
const tokenizer = await Tokenizer.open(folder);
await using generator = await Generator.open({ checkpoint: await openCheckpoint(folder), threads });
const asked = unseenDocuments('asked', MEASURED_ANSWERS);
const plain = unseenDocuments('plain', MEASURED_ANSWERS);
const plainAnswers = await answer(generator, tokenizer, plain, 1);
const measurement = measure(await answer(generator, tokenizer, asked, 1), plainAnswers);
const card = writeModelCard({
  parameters: trainer.parameterCount,
  stages,
  heldOutLoss,
  machine: `${threads} threads of ${cpus()[0]?.model.trim() ?? 'an unnamed processor'}`,
  measurement,
  askedSamples: await answer(generator, tokenizer, asked.slice(0, SAMPLES), 0),
  plainSamples: plainAnswers.slice(0, SAMPLES),
});
await writeFile(join(folder, 'README.md'), card);
await Promise.all(STAGES.map((stage) => rm(stateFile(stage))));
log(card.slice(card.indexOf('| steps |'), card.indexOf('## Ten answers where none')));

function stateFile({ name }: Stage): string {
  return join(folder, `${name}.state.safetensors`);
}

function learnBytePairs(): BytePairs {
  const documents = Array.from({ length: TOKENIZER_DOCUMENTS }, (_, index) =>
    corpusDocument(SEED, index, { mixture: STAGES[0]! }),
  );
  const learnt = trainBytePairs(
    documents.flatMap(({ prompt, answer: text }) => [prompt, text]),
    MODEL.vocabSize - 1,
  );
  if (learnt.tokens.length !== MODEL.vocabSize - 1) throw new Error('the corpus is too small for the vocabulary');
  return learnt;
}

async function writeTextFiles(learnt: BytePairs): Promise<ModelConfig> {
  const file = join(folder, 'config.json');
  const json = configJson(endToken);
  await writeFile(file, `${JSON.stringify(json, null, 2)}\n`);
  await writeTokenizerFiles(folder, learnt, MODEL.maxPositions);
  return parseModelConfig(json, file);
}

function encode({ prompt, answer: text }: CorpusDocument): TokenDocument {
  return { given: encoder.encode(prompt), learnt: [...encoder.encode(text), endToken] };
}

/**
 * Puts weight on the starts of sentences, and learns the prompt's last token, the line feed, as well: so the model also
 * goes on from a prompt that lacks it.
 */
function forTraining({ given, learnt }: TokenDocument, { startWeight }: Stage): TokenDocument {
  const weights = startWeights(
    learnt.map((token) => pairs.tokens[token] ?? END_TOKEN),
    startWeight,
  );
  return { given: given.slice(0, -1), learnt: [...given.slice(-1), ...learnt], weights: [1, ...weights] };
}

/** Nats per answer token on documents about unseen questions. */
async function measureHeldOutLoss(scorer: LanguageModelTrainer): Promise<number> {
  let index = 0;
  let sum = 0;
  let answerTokens = 0;
  for (let batch = 0; batch < HELD_OUT_BATCHES; batch++) {
    const { tokens, mask } = packBatch(() => encode(corpusDocument(SEED, index++, { pool: 'winRate' })), {
      rows,
      length,
      padding: endToken,
    });
    const weight = mask.reduce((total, value) => total + value, 0);
    sum += (await scorer.loss(tokens, mask)) * weight;
    answerTokens += weight;
  }
  return sum / answerTokens;
}
