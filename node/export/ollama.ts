/**
 * A Modelfile: how Ollama is told to run a base model with an adapter on it.
 *
 * Ollama renders chats by a Go template of its own, so the model's Jinja template is translated: it is rendered with
 * marks in place of the texts, and what stands around each mark becomes the text around Ollama's `.System` and
 * `.Prompt`. A template that does more than put words around messages has no translation, and no TEMPLATE is written;
 * Ollama then looks for a template in the base's own file. Source: Ollama's documentation (Modelfile, template).
 */
import { Template } from '@huggingface/jinja';

export interface ModelfileOptions {
  /** What `FROM` names: a GGUF file, or a model that Ollama has. */
  readonly base: string;
  /** The adapter's GGUF file, relative to the Modelfile. */
  readonly adapter: string;
  /** The base's Jinja template, where it has one. */
  readonly template: string | null;
  readonly specialTokens: { readonly bos: string; readonly eos: string };
}

export function modelfile({ base, adapter, template, specialTokens }: ModelfileOptions): string {
  const translated = template === null ? null : ollamaTemplate(template, specialTokens);
  const lines = [`FROM ${base}`, `ADAPTER ${adapter}`];
  if (translated !== null) lines.push(`TEMPLATE """${translated}"""`);
  if (specialTokens.eos !== '') lines.push(`PARAMETER stop ${JSON.stringify(specialTokens.eos)}`);
  return `${lines.join('\n')}\n`;
}

const MARKS = { system: 'Mark of System', user: 'Mark of User', assistant: 'Mark of Assistant' } as const;

/** The Go template that renders one turn as the Jinja template does, or null where there is none. */
export function ollamaTemplate(source: string, { bos, eos }: ModelfileOptions['specialTokens']): string | null {
  const render = renderer(source, bos, eos);
  if (render === null) return null;
  const [system, user, assistant] = (['system', 'user', 'assistant'] as const).map((role) => {
    return { role, content: MARKS[role] };
  }) as [Message, Message, Message];
  const prompt = render([user], true);
  const turn = render([user], false);
  const answered = render([user, assistant], false);
  if (prompt === null || turn === null || !prompt.startsWith(turn) || answered?.startsWith(prompt) !== true)
    return null;
  const generation = prompt.slice(turn.length);
  const asked = around(turn, MARKS.user);
  const answer = around(answered.slice(prompt.length), MARKS.assistant);
  if (asked === null || answer === null || answer[0] !== '' || generation.includes('{{')) return null;

  // A template may refuse a system message, or begin otherwise with one than without; then it is left out.
  const whole = render([system, user], true);
  const told = whole?.endsWith(prompt) === true ? around(whole.slice(0, -prompt.length), MARKS.system) : null;
  const first = told === null ? '' : `{{ if .System }}${told[0]}{{ .System }}${told[1]}{{ end }}`;
  const second = `{{ if .Prompt }}${asked[0]}{{ .Prompt }}${asked[1]}{{ end }}`;
  const translated = `${first}${second}${generation}{{ .Response }}${answer[1]}`;
  return translated.includes('"""') ? null : translated;
}

interface Message {
  readonly role: string;
  readonly content: string;
}

type Render = (messages: readonly Message[], addGenerationPrompt: boolean) => string | null;

function renderer(source: string, bos: string, eos: string): Render | null {
  let template: Template;
  try {
    template = new Template(source);
  } catch {
    return null;
  }
  return (messages, addGenerationPrompt) => {
    try {
      const text = template.render({
        messages: [...messages],
        add_generation_prompt: addGenerationPrompt,
        bos_token: bos,
        eos_token: eos,
      });
      // Ollama puts the first token before the text itself.
      return bos !== '' && text.startsWith(bos) ? text.slice(bos.length) : text;
    } catch {
      return null;
    }
  };
}

/** What stands before and after a mark, where it occurs once and neither side could be read as Go template. */
function around(text: string, mark: string): readonly [string, string] | null {
  const parts = text.split(mark);
  if (parts.length !== 2 || parts.some((part) => part.includes('{{'))) return null;
  return [parts[0]!, parts[1]!];
}
