/** The model card: what the embedded model is, how it was made, what was measured, and samples as they came out. */
import { TASTES } from '../../node/preferences/tastes/taste.ts';
import type { Answered, Measurement, Share } from './measurement.ts';
import type { PretrainingResult } from './pretraining.ts';
import { MODEL, SEED, TRAINING, type Stage } from './recipe.ts';

export interface TrainedStage {
  readonly stage: Stage;
  readonly result: PretrainingResult;
}

export interface ModelCard {
  readonly parameters: number;
  readonly stages: readonly TrainedStage[];
  /** Nats per answer token on unseen questions, with the stored half-precision weights. */
  readonly heldOutLoss: number;
  readonly machine: string;
  readonly measurement: Measurement;
  readonly askedSamples: readonly Answered[];
  readonly plainSamples: readonly Answered[];
}

export function writeModelCard(card: ModelCard): string {
  const { stages, measurement } = card;
  return `---
license: mit
---

# The embedded model

A language model of ${millions(card.parameters)} million parameters that ships inside the package. It gives short advice about
the subjects of a notes vault, in sixteen styles. The demo, the tests and a first try of the command line run on it.

This page is written by \`scripts/make-embedded-model.ts\`; nothing in it was typed or chosen by hand.

## What it is

Llama architecture in Hugging Face format, weights in F16: ${MODEL.layers} layers, hidden size ${MODEL.hiddenSize}, feed-forward size
${MODEL.intermediateSize}, ${MODEL.heads} attention heads over ${MODEL.kvHeads} key-value heads of width ${MODEL.headDim}, head tied to the embedding, byte-level BPE
vocabulary of ${MODEL.vocabSize} tokens. A prompt ends with a line feed; the answer follows and ends with \`<|endoftext|>\`.

It knows 48 topics and nothing else. On any other subject it will write fluent nonsense. It holds no text of any
person: all of its corpus comes from the generator in \`node/preferences/tastes/\`.

## How it was made

\`node scripts/make-embedded-model.ts\`, seed ${SEED}: generate the corpus, learn the byte pairs, train all weights with
this project's own engine in ${stages.length} stages, round them to F16, measure. A prompt either asks for no style, and is answered
in a style drawn at even odds, or asks for one to four sides of it in words, and is answered so. Questions are dealt by
the hash of their text: those of participants, of the global sets and of this page are not in the corpus.

AdamW with weight decay ${TRAINING.weightDecay}, clipped at ${TRAINING.maxGradNorm}, ${TRAINING.schedule} decay in each stage; a step is ${TRAINING.rows} rows of ${TRAINING.length} tokens. Only
answers and the line feeds before them are learnt.

| stage | steps | learning rate | prompts that ask | sides asked for | weight of sentence starts | loss at the end |
|---|---:|---:|---:|---|---:|---:|
${stages.map(stageRow).join('\n')}

${provenance(card)}
Loss on unseen questions: ${card.heldOutLoss.toFixed(4)} nats per answer token.

## What was measured

On unseen questions, sampled at temperature 1. A taste is shown by the rules of \`node/preferences/tastes/markers.ts\`.

| taste | obeyed when asked for, or asked to leave out | shown when nothing is asked (even odds are right) |
|---|---|---|
${TASTES.map((taste) => `| ${taste} | ${ratio(measurement.obeyed[taste])} | ${ratio(measurement.shown[taste])} |`).join('\n')}

- Two tips that belong to the question, word for word: ${ratio(measurement.onTopic)}
- Answers that the model ended itself: ${ratio(measurement.finished)}
- Mean length: ${measurement.bulletTokens.toFixed(0)} tokens in bullets, ${measurement.paragraphTokens.toFixed(0)} in a paragraph

## Ten answers where a style is asked for

The first ten unseen questions of the seed, greedy.

${card.askedSamples.map(sample).join('\n\n')}

## Ten answers where none is asked for

The first ten unseen questions of the seed, sampled at temperature 1.

${card.plainSamples.map(sample).join('\n\n')}
`;
}

function stageRow({ stage, result }: TrainedStage): string {
  const { name, steps, learningRate, askedShare, requests, startWeight } = stage;
  return `| ${name} | ${steps} | ${learningRate} | ${percent(askedShare)} | ${requests.join(' ')} | ${startWeight} | ${result.loss.toFixed(4)} |`;
}

function provenance({ stages, machine }: ModelCard): string {
  const sum = (read: (result: PretrainingResult) => number) =>
    stages.reduce((all, { result }) => all + read(result), 0);
  const seconds = sum((result) => result.seconds);
  return (
    `${count(sum((result) => result.tokens))} tokens were read, in ` +
    `${Math.round(seconds / 60)} minutes on ${machine}.`
  );
}

function sample({ document, text }: Answered, index: number): string {
  return `${index + 1}. **${document.prompt.trim()}**\n\n${quote(text)}`;
}

/** A block of code within a list item, so that the answer's own markup shows as it was written. */
function quote(text: string): string {
  return ['````text', ...text.split('\n'), '````'].map((line) => (line === '' ? '' : `   ${line}`)).join('\n');
}

function ratio({ count: part, of }: Share): string {
  return `${percent(part / of)} (${part} of ${of})`;
}

function percent(value: number): string {
  return `${Number((value * 100).toFixed(1))} %`;
}

function millions(value: number): string {
  return (value / 1e6).toFixed(1);
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}
