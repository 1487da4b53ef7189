import assert from 'node:assert/strict';
import { cp, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChatTemplate } from '../../../node/model/chatTemplate.ts';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { readPairs } from '../../../node/preferences/pairs.ts';
import { tokenizePairs, type TokenizedPairs } from '../../../node/training/tokenization.ts';

/** What `scripts/chat-golden.py` writes. */
interface Golden {
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
  readonly families: readonly Family[];
}

interface Family {
  readonly name: string;
  readonly template: string;
  readonly specials: readonly string[];
  readonly bos: string | null;
  readonly eos: string;
  /** How text is cut into words; null for GPT-2's way. */
  readonly pattern: string | null;
  readonly cases: readonly {
    readonly name: string;
    readonly pair: object;
    readonly apart: boolean;
    readonly atAnswerText: boolean;
    readonly ids: Readonly<Record<'prompt' | 'chosen' | 'rejected', readonly number[]>>;
  }[];
}

const folder = 'test/node/training';
const golden = JSON.parse(await readFile(join(folder, 'golden/chats.json'), 'utf8')) as Golden;

async function openFamily(
  { template, specials, bos, eos, pattern }: Family,
  at: string,
): Promise<[Tokenizer, ChatTemplate]> {
  const tokens = [...golden.tokens, ...specials];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: pattern === null };
  const cut = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
  const tokenizer = {
    version: '1.0',
    added_tokens: specials.map((content, i) => ({ id: golden.tokens.length + i, content, special: true })),
    normalizer: null,
    pre_tokenizer: pattern === null ? byteLevel : { type: 'Sequence', pretokenizers: [cut, byteLevel] },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: golden.merges,
      ...{ dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false },
    },
  };
  const settings = { bos_token: bos, eos_token: eos, add_bos_token: bos !== null };
  await writeFile(join(at, 'tokenizer.json'), JSON.stringify(tokenizer));
  await writeFile(join(at, 'tokenizer_config.json'), JSON.stringify(settings));
  await cp(join(folder, 'templates', `${template}.jinja`), join(at, 'chat_template.jinja'));
  const opened = await Tokenizer.open(at);
  return [opened, (await ChatTemplate.open(at, opened))!];
}

/** A pair as a line of a file of pairs, by a family's template and tokenizer. */
async function tokenized(family: Family, pair: object): Promise<[TokenizedPairs, Tokenizer]> {
  await using at = await mkdtempDisposable(join(tmpdir(), 'prefmesh-chats-'));
  const [tokenizer, template] = await openFamily(family, at.path);
  const file = join(at.path, 'pairs.jsonl');
  await writeFile(file, JSON.stringify({ id: 'a', ...pair }));
  return [tokenizePairs(tokenizer, await readPairs(file, { template }), { maxLength: 500 }), tokenizer];
}

const familyOf = (template: string) => golden.families.find((family) => family.template === template)!;

for (const family of golden.families) {
  describe(`chat pairs of ${family.name}`, () => {
    for (const { name, pair, ids, apart, atAnswerText } of family.cases) {
      it(`become the ids that Jinja2 and another encoder give: ${name}`, async () => {
        const [{ pairs, dropped, ...marks }, tokenizer] = await tokenized(family, pair);
        assert.deepEqual(pairs, [{ id: 'a', ...ids }]);
        assert.deepEqual(dropped, []);
        assert.deepEqual([marks.apart, marks.atAnswerText], [apart ? ['a'] : [], atAnswerText ? ['a'] : []]);
        const begins = [...ids.prompt, ...ids.chosen].filter((id) => id === tokenizer.bosTokenId);
        assert.equal(begins.length, family.bos === null ? 0 : 1, 'one BOS, and only where the model has one');
        for (const side of [ids.chosen, ids.rejected]) {
          assert.equal(side.at(-1), tokenizer.eosTokenId, "the turn's end token is scored, and nothing after it");
          assert.equal(side.indexOf(tokenizer.eosTokenId!), side.length - 1, 'once');
        }
      });
    }
  });
}

describe('chat pairs', () => {
  const chat = (text: string) => [{ role: 'assistant', content: text }];
  const pair = { prompt: [{ role: 'user', content: 'Is it day?' }], chosen: chat('Yes.'), rejected: chat('No.') };

  it('end with the token that ends the turn, even where the model names another one', async () => {
    // As in base models whose end token is that of a document, under a template that ends turns with another.
    const family = familyOf('chatml');
    const specials = [...family.specials, '<|endoftext|>'];
    const [{ pairs }, tokenizer] = await tokenized({ ...family, specials, eos: '<|endoftext|>' }, pair);
    assert.equal(pairs[0]!.chosen.at(-1), tokenizer.tokenId('<|im_end|>'));
    assert.ok(!pairs[0]!.chosen.includes(tokenizer.eosTokenId!));
  });

  it('read the same every day', async () => {
    const [{ pairs }, tokenizer] = await tokenized(familyOf('smollm3'), pair);
    assert.match(tokenizer.decode(pairs[0]!.prompt), /Today: 26 July 2024\n/);
  });

  it('are taken as they stand when they are text, template or not', async () => {
    const [{ pairs }, tokenizer] = await tokenized(familyOf('chatml'), {
      prompt: 'Is it',
      chosen: ' day',
      rejected: ' not',
    });
    const [prompt, chosen] = [tokenizer.encode('Is it'), tokenizer.encode(' day')];
    assert.deepEqual([pairs[0]!.prompt, pairs[0]!.chosen], [prompt, [...chosen, tokenizer.eosTokenId]]);
  });

  it('are refused, their texts unquoted, where the template refuses them', async () => {
    const wrong = { ...pair, prompt: [...pair.prompt, { role: 'user', content: 'SECRET' }] };
    await assert.rejects(tokenized(familyOf('mistral'), wrong), (error: Error & { code: string }) => {
      assert.equal(error.code, 'PAIRS_INVALID');
      assert.doesNotMatch(`${error.message}${error.stack}${String(error.cause)}`, /SECRET/);
      return true;
    });
  });
});
