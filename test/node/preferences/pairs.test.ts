import assert from 'node:assert/strict';
import { mkdtempDisposable, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChatTemplate } from '../../../node/model/chatTemplate.ts';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { readPairs, type PreferencePair, type ReadPairsOptions } from '../../../node/preferences/pairs.ts';

const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-pairs-'));

async function readText(content: string | Uint8Array, options?: ReadPairsOptions): Promise<PreferencePair[]> {
  await using folder = await temporary();
  const file = join(folder.path, 'pairs.jsonl');
  await writeFile(file, content);
  return await readPairs(file, options);
}

const pair = { prompt: 'Ask SECRET', chosen: 'Good SECRET', rejected: 'Bad SECRET' };
const line = (changes: object = {}) => JSON.stringify({ ...pair, ...changes });

/** The error of a faulty file, which must name line and field and quote nothing. */
async function fault(content: string | Uint8Array, options?: ReadPairsOptions): Promise<[number, string]> {
  const error = await readText(content, options).then(
    () => assert.fail('the file was taken'),
    (thrown: { code: string; message: string; stack: string; cause?: unknown; exitCode: number; details: object }) =>
      thrown,
  );
  assert.equal(error.code, 'PAIRS_INVALID');
  assert.equal(error.exitCode, 3);
  assert.doesNotMatch(`${error.message} ${error.stack} ${String(error.cause)}`, /SECRET/);
  assert.match(error.message, /pairs\.jsonl line \d+, field /);
  const { line: number, field } = error.details as { line: number; field: string };
  return [number, field];
}

describe('pairs file', () => {
  it('is read in order, with ids, metadata and every script', async () => {
    const pairs = await readPairs('test/oracle/llama/pairs.jsonl');
    assert.deepEqual(
      pairs.map(({ id }) => id),
      ['p0', 'p1', 'p2', 'p3'],
    );
    assert.equal(pairs[1]!.chosen, 'Suche in eigenen Notizen – kurz.');
    const [read] = await readText(line({ id: 7, metadata: { group: 'concise' }, score: 1 }));
    assert.deepEqual(read, { ...pair, id: '7', metadata: { group: 'concise' } });
  });

  it('names pairs without id by their line', async () => {
    const pairs = await readText(`${line()}\n\n${line({ id: null })}\n`);
    assert.deepEqual(
      pairs.map(({ id }) => id),
      ['line-1', 'line-3'],
    );
  });

  it('takes blank lines, Windows line ends, a byte order mark and a last line without end', async () => {
    assert.equal((await readText(`\uFEFF${line()}\r\n \r\n${line()}`)).length, 2);
  });

  it('puts lines together that lie across read boundaries', async () => {
    const long = 'é'.repeat(50_000);
    const pairs = await readText([1, 2, 3].map((id) => line({ id, prompt: long + id })).join('\n'));
    assert.deepEqual(
      pairs.map(({ prompt }) => prompt),
      [1, 2, 3].map((id) => long + id),
    );
  });

  it('keeps a pair whose answers are equal', async () => {
    assert.equal((await readText(line({ rejected: pair.chosen }))).length, 1);
  });

  for (const [what, content, at] of [
    ['a line that is not JSON', `${line()}\n{"prompt": SECRET}\n`, [2, '(line)']],
    ['a line that is cut off', line().slice(0, -3), [1, '(line)']],
    ['a line that is no object', '["SECRET"]', [1, '(line)']],
    ['a missing field', line({ rejected: undefined }), [1, 'rejected']],
    ['an empty prompt', line({ prompt: '' }), [1, 'prompt']],
    ['an empty answer', `${line()}\n${line({ chosen: '' })}`, [2, 'chosen']],
    ['a text of another type', line({ chosen: { text: 'SECRET' } }), [1, 'chosen']],
    ['messages without content', line({ prompt: [{ role: 'user', text: 'SECRET' }] }), [1, 'prompt']],
    ['metadata that is no object', line({ metadata: 'SECRET' }), [1, 'metadata']],
    ['an id of another type', line({ id: ['SECRET'] }), [1, 'id']],
    ['an id given twice', `${line({ id: 'SECRET' })}\n${line()}\n${line({ id: 'SECRET' })}`, [3, 'id']],
    ['a line that is too long', `${line()}\n${line({ prompt: 'SECRET'.repeat(200_000) })}`, [2, '(line)']],
    [
      'bytes that are not UTF-8',
      Buffer.concat([Buffer.from(`${line()}\n{"prompt": "`), Buffer.of(0xff, 0x22)]),
      [2, '(line)'],
    ],
    [
      'messages without a chat template',
      line({
        prompt: [{ role: 'user', content: 'SECRET' }],
        chosen: [{ role: 'assistant', content: 'SECRET' }],
        rejected: [{ role: 'assistant', content: 'B' }],
      }),
      [1, 'prompt'],
    ],
    ['text mixed with messages', line({ prompt: [{ role: 'user', content: 'SECRET' }] }), [1, 'chosen']],
    ['an answer of messages to a text', line({ chosen: [{ role: 'assistant', content: 'SECRET' }] }), [1, 'rejected']],
    ['tools that are no list', line({ tools: 'SECRET' }), [1, 'tools']],
    ['template variables that are no object', line({ chat_template_kwargs: ['SECRET'] }), [1, 'chat_template_kwargs']],
  ] as const) {
    it(`is refused for ${what}, naming line and field but no text`, async () => {
      assert.deepEqual(await fault(content), at);
    });
  }

  it('is refused when it holds nothing, is absent, or is too large', async () => {
    await assert.rejects(readText('\n \n'), { code: 'PAIRS_NONE' });
    await assert.rejects(readPairs('nowhere.jsonl'), { code: 'FILE_MISSING', exitCode: 2 });
    await using folder = await temporary();
    const file = join(folder.path, 'huge.jsonl');
    await writeFile(file, '');
    await truncate(file, 2 ** 30 + 1);
    await assert.rejects(readPairs(file), { code: 'PAIRS_INVALID' });
  });
});

describe('pairs of chat messages', () => {
  const chatml =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  const chat = {
    prompt: [{ role: 'user', content: 'Hi SECRET' }],
    chosen: [{ role: 'assistant', content: 'Yo' }],
    rejected: [{ role: 'assistant', content: 'Good day' }],
  };

  async function openTemplate(source: string): Promise<ChatTemplate> {
    await using folder = await temporary();
    await writeFile(join(folder.path, 'chat_template.jinja'), source);
    return (await ChatTemplate.open(folder.path, await Tokenizer.open('test/oracle/llama/model')))!;
  }

  it('become text by the chat template of the model', async () => {
    const template = await openTemplate(chatml);
    assert.deepEqual(await readText(line(chat), { template }), [
      {
        id: 'line-1',
        prompt: '<|im_start|>user\nHi SECRET<|im_end|>\n<|im_start|>assistant\n',
        chosen: 'Yo<|im_end|>\n',
        rejected: 'Good day<|im_end|>\n',
        boundary: 'generation prompt',
      },
    ]);
  });

  it('are refused, without their text, when the template refuses them', async () => {
    const template = await openTemplate("{{ raise_exception('no ' + messages[0]['content']) }}");
    assert.deepEqual(await fault(line(chat), { template }), [1, 'chosen']);
  });

  it('are refused when the whole conversation does not begin with the prompt', async () => {
    const template = await openTemplate(
      "{% if add_generation_prompt %}one{% else %}{{ messages[0]['content'] }}{% endif %}",
    );
    assert.deepEqual(template.renderPair([{ role: 'user', content: 'one two' }], [[]]), {
      prompt: 'one',
      answers: [' two'],
      boundary: 'generation prompt',
    });
    assert.deepEqual(await fault(line(chat), { template }), [1, 'chosen']);
  });

  const said = (role: string, content: string) => ({ role, content });
  const asked = [said('system', 'Be kind'), said('user', 'Hi SECRET')];

  it('begin with the messages that chosen and rejected share, where no prompt is given', async () => {
    const template = await openTemplate(chatml);
    const whole = {
      prompt: undefined,
      chosen: [...asked, said('assistant', 'Yo')],
      rejected: [...asked, said('assistant', 'Good day'), said('tool', '7'), said('assistant', 'Bye')],
    };
    const [read] = await readText(line(whole), { template });
    assert.equal(
      read!.prompt,
      '<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\nHi SECRET<|im_end|>\n<|im_start|>assistant\n',
    );
    assert.equal(read!.chosen, 'Yo<|im_end|>\n');
    assert.match(read!.rejected, /^Good day<\|im_end\|>\n<\|im_start\|>tool\n7.*Bye<\|im_end\|>\n$/s);
    // Equal conversations can be scored: they part before their last message.
    const [equal] = await readText(line({ ...whole, rejected: whole.chosen }), { template });
    assert.deepEqual([equal!.prompt, equal!.chosen, equal!.rejected], [read!.prompt, read!.chosen, read!.chosen]);
  });

  it('give their template what a line has for it, and nothing that is not theirs to set', async () => {
    const template = await openTemplate(
      "{{ tools[0].name if tools else '-' }} {{ mood }}:{% for m in messages %}{{ m.content }}{% endfor %}",
    );
    const own = { ...chat, tools: [{ name: 'look' }], chat_template_kwargs: { mood: 'calm' } };
    assert.equal((await readText(line(own), { template }))[0]!.prompt, 'look calm:Hi SECRET');
    for (const name of ['messages', 'bos_token', 'add_generation_prompt', 'strftime_now']) {
      const taken = { ...chat, chat_template_kwargs: { [name]: 'SECRET' } };
      assert.deepEqual(await fault(line(taken), { template }), [1, 'chat_template_kwargs']);
    }
  });

  for (const [what, changes, field] of [
    ['share no message', { prompt: undefined }, 'prompt'],
    ['have a text for a prompt', { prompt: 'Hi SECRET' }, 'prompt'],
    ['hold the prompt again in an answer', { chosen: [...asked, said('assistant', 'SECRET')] }, 'chosen'],
    [
      'part at what the user says',
      {
        prompt: undefined,
        chosen: [...asked, said('assistant', 'Yo'), said('user', 'SECRET'), said('assistant', 'A')],
        rejected: [...asked, said('assistant', 'Yo'), said('user', 'other SECRET'), said('assistant', 'B')],
      },
      'chosen',
    ],
    ['ask nothing', { prompt: [...asked, said('assistant', 'SECRET')] }, 'prompt'],
  ] as const) {
    it(`are refused, without their text, when they ${what}`, async () => {
      const template = await openTemplate(chatml);
      assert.deepEqual(await fault(line({ ...chat, ...changes }), { template }), [1, field]);
    });
  }

  it('need a template, which a model may lack', async () => {
    const tokenizer = await Tokenizer.open('test/oracle/llama/model');
    assert.equal(await ChatTemplate.open('test/oracle/llama/model', tokenizer), null);
  });
});
