import assert from 'node:assert/strict';
import { cp, mkdtempDisposable, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { readSafetensorsIndex, readTensor, writeSafetensors } from '../../../node/model/safetensors.ts';
import { oracleFolder } from '../../oracle/oracleCase.ts';

const INDEX = 'model.safetensors.index.json';
const [FIRST, SECOND, THIRD] = [1, 2, 3].map((part) => `model-0000${part}-of-00003.safetensors`) as [
  string,
  string,
  string,
];

type WeightMap = Record<string, unknown>;

/** Opens a copy of the sharded oracle model after a change to its folder. */
async function opened(change: (folder: string) => Promise<unknown>): Promise<unknown> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-shards-'));
  const copy = join(folder.path, 'model');
  await cp(join(oracleFolder('llama-shards'), 'model'), copy, { recursive: true });
  await change(copy);
  try {
    return await openCheckpoint(copy);
  } catch (error) {
    const { code, details, message } = error as { code: string; details: object; message: string };
    return { code, message: message.replaceAll(copy, '.'), tensor: (details as { tensor?: string }).tensor };
  }
}

const withMap = (change: (map: WeightMap) => unknown) =>
  opened(async (folder) => {
    const file = join(folder, INDEX);
    const index = JSON.parse(await readFile(file, 'utf8')) as { weight_map: WeightMap };
    change(index.weight_map);
    await writeFile(file, JSON.stringify(index));
  });

const indexError = (problem: string) => ({
  code: 'WEIGHTS_INVALID',
  message: `./${INDEX}: tensor (index): ${problem}`,
  tensor: '(index)',
});

describe('a model in shards', () => {
  it('is the model of its index', async () => {
    const checkpoint = (await opened(async () => undefined)) as Awaited<ReturnType<typeof openCheckpoint>>;
    const files = new Set([...checkpoint.tensors.values()].map(({ file }) => file.split('/').at(-1)));
    assert.deepEqual(
      [...files].toSorted((a, b) => a!.localeCompare(b!)),
      [FIRST, SECOND, THIRD],
    );
    assert.equal(checkpoint.tensors.size, 20);
  });

  it('names the shard that is missing', async () => {
    assert.deepEqual(
      await opened((folder) => rm(join(folder, SECOND))),
      indexError(`names ${SECOND}, which is missing`),
    );
  });

  for (const elsewhere of [`../${FIRST}`, `/etc/passwd`, '..', `sub/${FIRST}`]) {
    it(`reads nothing outside its folder: ${elsewhere}`, async () => {
      const found = await withMap((map) => (map['model.norm.weight'] = elsewhere));
      assert.deepEqual(found, indexError('names no file of the folder for model.norm.weight'));
    });
  }

  it('names the tensor that is not in the shard it should be in', async () => {
    const found = (await withMap((map) => (map['model.embed_tokens.weight'] = THIRD))) as {
      code: string;
      tensor: string;
    };
    assert.equal(found.code, 'TENSOR_MISSING');
    assert.equal(found.tensor, 'model.embed_tokens.weight');
  });

  it('names a tensor that the index lacks though a shard has it', async () => {
    const found = (await withMap((map) => delete map['model.norm.weight'])) as { code: string; tensor: string };
    assert.equal(found.code, 'TENSOR_MISSING');
    assert.equal(found.tensor, 'model.norm.weight');
  });

  it('is refused when two shards hold the same tensor', async () => {
    const twice = await opened(async (folder) => {
      const read = (shard: string) =>
        [...readSafetensorsIndex(join(folder, shard)).tensors.values()].map((each) => ({
          ...each,
          data: readTensor(each),
        }));
      const embedding = read(FIRST).filter(({ name }) => name === 'model.embed_tokens.weight');
      await writeSafetensors(join(folder, THIRD), [...read(THIRD), ...embedding]);
    });
    assert.deepEqual(twice, indexError(`names ${FIRST} and ${THIRD}, which both hold model.embed_tokens.weight`));
  });

  it('names the shard that ends early', async () => {
    const found = (await opened(async (folder) => {
      await using file = await open(join(folder, THIRD), 'r+');
      await file.truncate((await file.stat()).size - 2);
    })) as { code: string; message: string };
    assert.equal(found.code, 'WEIGHTS_INVALID');
    assert.match(found.message, new RegExp(`^\\./${THIRD}: tensor model\\.`));
  });

  it('is refused when the index is no map of names to files', async () => {
    const problem = indexError('has no weight_map of names to files');
    assert.deepEqual(await withMap((map) => (map['model.norm.weight'] = 3)), problem);
    for (const text of ['{}', '[]', 'null', '{"weight_map": 1}']) {
      assert.deepEqual(await opened((folder) => writeFile(join(folder, INDEX), text)), problem);
    }
    assert.deepEqual(await opened((folder) => writeFile(join(folder, INDEX), '{')), indexError('is not JSON'));
  });
});
