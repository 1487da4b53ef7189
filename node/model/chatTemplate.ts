/**
 * A model's chat template: how a list of messages becomes the one text the model was trained on.
 *
 * Templates are Jinja, in `chat_template.jinja` or in `tokenizer_config.json`. Rendering gives text with the special
 * tokens written out; the tokenizer turns these back into tokens, and adds no second BOS.
 */
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import { fileSize } from './jsonFile.ts';
import { TEMPLATE_GLOBALS } from './templateGlobals.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** What a pair gives its template besides messages. */
export interface TemplateInput {
  /** Tool descriptions. */
  readonly tools?: readonly unknown[] | undefined;
  /** Variables of the template's own, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** A prompt, and answers to it, as the template writes them: prompt and answer together are the conversation. */
export interface RenderedPair {
  readonly prompt: string;
  readonly answers: string[];
  /**
   * Where the prompt ends: after the template's generation prompt, or, where conversations do not begin with that,
   * just before the text of the answer.
   */
  readonly boundary: 'generation prompt' | 'answer text';
}

/** Variables that the renderer sets itself. */
export const RESERVED_VARIABLES: readonly string[] = [
  'messages',
  'tools',
  'add_generation_prompt',
  'bos_token',
  'eos_token',
  ...Object.keys(TEMPLATE_GLOBALS),
];

/** Stands for an answer's text, to find where a template puts it; whitespace around it would be trimmed away. */
const PLACEHOLDER = 'the-text-of-the-answer-e2c1a9';

export class ChatTemplate {
  readonly #template: Template;
  readonly #file: string;
  readonly #specialTokens: Readonly<Record<string, string>>;

  /**
   * The template of a model folder, or null where it has none.
   *
   * @throws CHAT_TEMPLATE
   */
  static async open(folder: string, tokenizer: Tokenizer): Promise<ChatTemplate | null> {
    const file = join(folder, 'chat_template.jinja');
    const hasFile = (await fileSize(file)) !== undefined;
    const source = hasFile ? await readFile(file, 'utf8') : tokenizer.configTemplate;
    if (source === null) return null;
    return new ChatTemplate(source, hasFile ? file : join(folder, 'tokenizer_config.json'), tokenizer);
  }

  private constructor(source: string, file: string, tokenizer: Tokenizer) {
    this.#file = file;
    const text = (id: number | null) => (id === null ? '' : tokenizer.decode([id], { skipSpecialTokens: false }));
    this.#specialTokens = { bos_token: text(tokenizer.bosTokenId), eos_token: text(tokenizer.eosTokenId) };
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw new PrefmeshError('CHAT_TEMPLATE', { file, problem: 'cannot be parsed' }, { cause });
    }
  }

  /**
   * The text of a prompt, up to where the answer begins, and of each answer to it, up to the end of the conversation.
   *
   * The boundary is where the template asks for an answer. Templates that open a thinking block there, but write
   * finished answers without one, ask for something else than they write; with those the prompt ends just before the
   * answer's own text, wherever the template puts it.
   *
   * @throws CHAT_TEMPLATE when no prompt can be told apart that all conversations begin with
   */
  renderPair(
    prompt: readonly ChatMessage[],
    answers: readonly (readonly ChatMessage[])[],
    input: TemplateInput = {},
  ): RenderedPair {
    const asked = this.#render(prompt, input, true);
    const conversations = answers.map((answer) => this.#render([...prompt, ...answer], input, false));
    const begunBy = (start: string): boolean => conversations.every((text) => text.startsWith(start));
    const cut = (start: string, boundary: RenderedPair['boundary']): RenderedPair => {
      return { prompt: start, answers: conversations.map((text) => text.slice(start.length)), boundary };
    };
    if (begunBy(asked)) return cut(asked, 'generation prompt');

    const role = answers[0]?.[0]?.role ?? 'assistant';
    const withPlaceholder = this.#render([...prompt, { role, content: PLACEHOLDER }], input, false);
    const before = withPlaceholder.split(PLACEHOLDER, 1)[0]!;
    if (before === withPlaceholder || before === '' || !begunBy(before)) {
      throw new PrefmeshError('CHAT_TEMPLATE', {
        file: this.#file,
        problem: 'renders a conversation that does not begin with its prompt',
      });
    }
    return cut(before, 'answer text');
  }

  #render(messages: readonly ChatMessage[], { tools, variables }: TemplateInput, addGenerationPrompt: boolean): string {
    const names = {
      ...variables,
      ...TEMPLATE_GLOBALS,
      ...this.#specialTokens,
      ...(tools !== undefined && { tools }),
      messages,
      add_generation_prompt: addGenerationPrompt,
    };
    try {
      const environment = new Environment();
      for (const [name, value] of Object.entries(names)) environment.set(name, value);
      // The library's own `render` would let templates read the machine's clock.
      return String(new Interpreter(environment).run(this.#template.parsed).value);
    } catch {
      // No cause: the template may quote the messages.
      throw new PrefmeshError('CHAT_TEMPLATE', { file: this.#file, problem: 'refuses the messages of a pair' });
    }
  }
}
