/**
 * A model's chat template: how a list of messages becomes the one text the model was trained on.
 *
 * Templates are Jinja, in `chat_template.jinja` or in `tokenizer_config.json`. Rendering gives text with the special
 * tokens written out; the tokenizer turns these back into tokens, and adds no second BOS.
 */
import { Template } from '@huggingface/jinja';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import { fileSize } from './jsonFile.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

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
   * The text of a prompt, up to where the answer begins, and of each answer to it, up to the end of its turn.
   *
   * @throws CHAT_TEMPLATE when a conversation does not begin with its prompt
   */
  renderPair(
    prompt: readonly ChatMessage[],
    answers: readonly (readonly ChatMessage[])[],
  ): { prompt: string; answers: string[] } {
    const promptText = this.#render(prompt, true);
    const rendered = answers.map((answer) => {
      const whole = this.#render([...prompt, ...answer], false);
      if (!whole.startsWith(promptText)) {
        throw new PrefmeshError('CHAT_TEMPLATE', {
          file: this.#file,
          problem: 'renders a conversation that does not begin with its prompt',
        });
      }
      return whole.slice(promptText.length).trimEnd(); // ChatML ends a turn with a line break after the end token
    });
    return { prompt: promptText, answers: rendered };
  }

  #render(messages: readonly ChatMessage[], addGenerationPrompt: boolean): string {
    try {
      return this.#template.render({
        ...this.#specialTokens,
        messages,
        add_generation_prompt: addGenerationPrompt,
      });
    } catch {
      // No cause: the template may quote the messages.
      throw new PrefmeshError('CHAT_TEMPLATE', { file: this.#file, problem: 'refuses the messages of a pair' });
    }
  }
}
