import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OpenAiJudge, type OpenAiJudgeOptions } from '../../../../node/evaluation/judges/openai.ts';
import { isPrefmeshError } from '../../../../protocol/errors.ts';

interface Received {
  readonly path: string | undefined;
  readonly authorization: string | undefined;
  readonly body: { model: string; temperature: number; messages: { role: string; content: string }[] };
}

type Answer = (response: ServerResponse, attempt: number) => void;

const completion = (content: string): Answer => {
  return (response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ id: 'x', choices: [{ index: 0, message: { role: 'assistant', content } }] }));
  };
};
const status = (code: number, headers: Record<string, string> = {}): Answer => {
  return (response) => response.writeHead(code, headers).end('{"error":{"message":"secret echo of the prompt"}}');
};
/** The first answers in turn, then the last one again and again. */
const inTurn = (...answers: Answer[]): Answer => {
  return (response, attempt) => answers[Math.min(attempt, answers.length) - 1]?.(response, attempt);
};

describe('the openai judge', () => {
  let server: Server;
  let url: string;
  let answer: Answer;
  let received: Received[];
  let pauses: number[];

  before(async () => {
    server = createServer((request: IncomingMessage, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        const body = JSON.parse(text) as Received['body'];
        received.push({ path: request.url, authorization: request.headers.authorization, body });
        answer(response, received.length);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    received = [];
    pauses = [];
  });

  function judge(options: Partial<OpenAiJudgeOptions> = {}): OpenAiJudge {
    const pause = (ms: number) => {
      pauses.push(ms);
      return Promise.resolve();
    };
    return new OpenAiJudge({ baseUrl: url, model: 'judge-1', pause, ...options });
  }
  const compare = (options: Partial<OpenAiJudgeOptions> = {}) => judge(options).compare('Why?', 'Because.', 'Hm.');

  async function failsWith(code: string, promise: Promise<unknown>): Promise<string> {
    let text = '';
    await assert.rejects(promise, (error) => {
      assert.ok(isPrefmeshError(error), String(error));
      text = `${error.message} ${error.fix}`;
      return error.code === code;
    });
    assert.doesNotMatch(text, /Why|Because|Hm|secret/, 'the error holds text of the evaluation');
    return text;
  }

  it('reads the three verdicts', async () => {
    const verdicts = { A: 'first', B: 'second', TIE: 'tie', ' a\n': 'first' };
    for (const [reply, verdict] of Object.entries(verdicts)) {
      answer = completion(reply);
      assert.equal(await compare(), verdict);
    }
  });

  it('sends the prompt, the two answers in the order given, the model and nothing else', async () => {
    answer = completion('A');
    await compare({ key: 'k-1' });
    const [request] = received;
    assert.ok(request);
    assert.equal(request.path, '/v1/chat/completions');
    assert.equal(request.authorization, 'Bearer k-1');
    assert.deepEqual(Object.keys(request.body).toSorted(), ['messages', 'model', 'temperature']);
    assert.equal(request.body.model, 'judge-1');
    const [system, user, ...rest] = request.body.messages;
    assert.deepEqual([system?.role, user?.role, rest.length], ['system', 'user', 0]);
    assert.equal(
      user?.content,
      'Question:\nWhy?\n\nAnswer A:\nBecause.\n\nAnswer B:\nHm.\n\nWhich is better, A, B or TIE?',
    );
  });

  it('sends no authorisation without a key', async () => {
    answer = completion('A');
    await compare();
    assert.equal(received[0]?.authorization, undefined);
  });

  it('asks again after an overload, longer each time, and takes the verdict then', async () => {
    answer = inTurn(status(429), status(500), completion('B'));
    assert.equal(await compare(), 'second');
    assert.deepEqual(pauses, [500, 1000]);
  });

  it('waits as long as an overloaded server asks, within a bound', async () => {
    answer = inTurn(status(429, { 'retry-after': '7' }), status(429, { 'retry-after': '86400' }), completion('A'));
    assert.equal(await compare(), 'first');
    assert.deepEqual(pauses, [7000, 30_000]);
  });

  it('gives up with JUDGE_UNREACHABLE when the overload lasts', async () => {
    answer = status(503);
    assert.match(await failsWith('JUDGE_UNREACHABLE', compare()), /HTTP status 503/);
    assert.equal(received.length, 4);
  });

  it('does not ask again where a retry changes nothing', async () => {
    for (const code of [400, 401, 403, 404]) {
      received = [];
      answer = status(code);
      await failsWith('JUDGE_REFUSED', compare());
      assert.equal(received.length, 1);
    }
  });

  it('never guesses at a reply that is no verdict', async () => {
    for (const reply of ['Answer A is better', 'AB', '', 'first', 'A or B']) {
      received = [];
      answer = completion(reply);
      await failsWith('JUDGE_ANSWER_UNUSABLE', compare());
      assert.equal(received.length, 4);
    }
  });

  it('takes a verdict that comes after a reply that is none', async () => {
    answer = inTurn(completion('Let me think.'), completion('TIE'));
    assert.equal(await compare(), 'tie');
  });

  it('refuses a body that is not a chat completion, or is endless', async () => {
    const bodies: Answer[] = [
      (response) => response.end('<html>'),
      (response) => response.end('{"choices":[]}'),
      (response) => response.end('{"choices":[{"message":{"content":null}}]}'),
      (response) => response.end(`{"choices":[{"message":{"content":"A"}}],"pad":"${'x'.repeat(2 ** 21)}"}`),
    ];
    for (answer of bodies) await failsWith('JUDGE_ANSWER_UNUSABLE', compare({ attempts: 1 }));
  });

  it('gives up with JUDGE_UNREACHABLE on a server that does not answer in time', async () => {
    answer = () => {};
    assert.match(await failsWith('JUDGE_UNREACHABLE', compare({ timeout: 20, attempts: 2 })), /within 20 ms/);
    assert.equal(received.length, 2);
  });

  it('gives up with JUDGE_UNREACHABLE where nothing listens, naming the reason', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const text = await failsWith('JUDGE_UNREACHABLE', compare({ baseUrl: `http://127.0.0.1:${port}/v1` }));
    assert.match(text, /ECONNREFUSED/);
  });

  it('does not follow a redirect with key and texts', async () => {
    answer = status(307, { location: '/v1/elsewhere' });
    await failsWith('JUDGE_UNREACHABLE', compare({ attempts: 1, key: 'k-1' }));
    assert.deepEqual(
      received.map(({ path }) => path),
      ['/v1/chat/completions'],
    );
  });

  it('stops at once when asked to, without another attempt', async () => {
    const stop = new AbortController();
    answer = () => stop.abort();
    await assert.rejects(judge().compare('Why?', 'Because.', 'Hm.', { signal: stop.signal }), { name: 'AbortError' });
    assert.equal(received.length, 1);
  });

  it('says in its name and description which model sees what', () => {
    const { name, description } = judge();
    assert.equal(name, 'openai:judge-1');
    assert.ok(description.includes(url));
    assert.match(description, /prompts and the two answers to each, and nothing else/);
  });
});
