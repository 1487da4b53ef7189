import assert from 'node:assert/strict';
import { evaluate } from '../../../node/engine/reference.ts';
import type { ModelConfig } from '../../../node/model/config.ts';
import { expectedTensors } from '../../../node/model/weights.ts';
import { LanguageModelTrainer } from '../../../node/training/languageModel.ts';
import { languageModelGraph } from '../../../node/training/languageModelGraph.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';

const LLAMA: ModelConfig = {
  family: 'llama',
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocabSize: 11,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  tiedHead: true,
  ropeScaling: null,
  noRopeLayers: [],
  slidingWindow: null,
  queryKeyNorm: false,
  biases: [],
  maxPositions: 32,
  eosTokenIds: [0],
  bosTokenId: null,
};
const QWEN2: ModelConfig = { ...LLAMA, family: 'qwen2', tiedHead: false, biases: ['q_proj', 'k_proj', 'v_proj'] };

const [batch, length] = [3, 5];

function sequences(): Int32Array {
  const random = new RandomStream('sequences');
  return Int32Array.from({ length: batch * (length + 1) }, () => Math.floor(random.uniform() * LLAMA.vocabSize));
}

const norm = (vector: ArrayLike<number>): number => Math.sqrt(Array.from(vector).reduce((sum, x) => sum + x * x, 0));

for (const config of [LLAMA, QWEN2]) {
  describe(`language-model training of a ${config.family} model`, () => {
    it('gives the loss and gradient of the reference evaluator', async () => {
      await using trainer = await LanguageModelTrainer.create({ config, seed: 3, batch, length, threads: 1 });
      const tokens = sequences();
      const mask = Float32Array.from({ length: batch * length }, (_, i) => i % 3);
      const { loss, gradient } = await trainer.lossAndGradient(tokens, mask);
      const rows = Array.from({ length: batch }, (_, row) => [...tokens.subarray(row * 6, row * 6 + 6)]);
      const graph = languageModelGraph({ config, batch, length }, true);
      const [expectedLoss, expectedGradient] = evaluate([graph['loss']!, graph['gradient']!], {
        parameters: trainer.parameters,
        tokens: rows.flatMap((row) => row.slice(0, -1)),
        targets: rows.flatMap((row) => row.slice(1)),
        mask,
      });
      assert.ok(Math.abs(loss - expectedLoss!.data[0]!) < 1e-5);
      const difference = norm(gradient.map((x, i) => x - expectedGradient!.data[i]!));
      assert.ok(difference < 1e-5 * norm(expectedGradient!.data), `${difference}`);
      assert.ok(Math.abs((await trainer.loss(tokens, mask)) - loss) < 1e-6);
    });

    it('lowers the loss when the parameters follow the gradient down', async () => {
      await using trainer = await LanguageModelTrainer.create({ config, seed: 3, batch, length, threads: 1 });
      const tokens = sequences();
      const before = await trainer.loss(tokens);
      assert.ok(Math.abs(before - Math.log(config.vocabSize)) < 0.05, 'a fresh model knows nothing');
      for (let step = 0; step < 100; step++) {
        const { gradient } = await trainer.lossAndGradient(tokens);
        for (const [i, slope] of gradient.entries()) trainer.parameters[i]! -= 0.5 * slope;
      }
      assert.ok((await trainer.loss(tokens)) < 0.7 * before);
    });

    it('names every weight of a checkpoint over one vector, drawn by seed or given', async () => {
      await using trainer = await LanguageModelTrainer.create({ config, seed: 3, batch, length, threads: 1 });
      assert.deepEqual(new Map(trainer.weights.map(({ name, shape }) => [name, shape])), expectedTensors(config));
      assert.equal(
        trainer.weights.reduce((total, { data }) => total + data.length, 0),
        trainer.parameterCount,
      );
      const weights = new Map(trainer.weights.map(({ name, data }) => [name, data]));
      await using same = await LanguageModelTrainer.create({ config, seed: 3, batch, length, threads: 1 });
      await using given = await LanguageModelTrainer.create({ config, weights, batch, length, threads: 1 });
      await using other = await LanguageModelTrainer.create({ config, seed: 4, batch, length, threads: 1 });
      assert.deepEqual(same.parameters, trainer.parameters);
      assert.deepEqual(given.parameters, trainer.parameters);
      assert.notDeepEqual(other.parameters, trainer.parameters);
      weights.delete('model.norm.weight');
      await assert.rejects(LanguageModelTrainer.create({ config, weights, batch, length }), /model.norm.weight/);
    });
  });
}
