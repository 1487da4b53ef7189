/** The oracle's tiny model as a repository would hold it, with files beside it that no pull needs. */
import { readFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export const WEIGHTS = 'model.safetensors';

export function oracleFiles(): Record<string, Uint8Array> {
  const names = ['config.json', WEIGHTS, 'tokenizer.json', 'tokenizer_config.json'];
  return {
    ...Object.fromEntries(names.map((name) => [name, readFileSync(`test/oracle/llama/model/${name}`)])),
    'README.md': Buffer.from('---\nlicense: apache-2.0\n---\nA tiny model.\n'),
    '.gitattributes': Buffer.from('*.safetensors filter=lfs\n'),
    'pytorch_model.bin': Buffer.alloc(5000, 7),
    'model-q4.gguf': Buffer.alloc(5000, 8),
  };
}

/** Waits until a partial file of a model under the data folder `home` has `length` bytes. */
export async function partArrived(home: string, id: string, length: number): Promise<void> {
  const parts = join(home, 'models', '.incoming', id.replace('/', '--'), 'parts');
  for (;;) {
    for (const name of await readdir(parts).catch(() => []))
      if ((await stat(join(parts, name)).catch(() => undefined))?.size === length) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
