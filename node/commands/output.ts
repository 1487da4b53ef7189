/**
 * Where a command's words go. With `--json`, stdout carries JSON lines and everything for people goes to stderr;
 * without it, words go to the terminal, or to stderr when stdout is a file or a pipe.
 */
import { stripVTControlCharacters, styleText } from 'node:util';
import { Progress, type ProgressOptions } from './progress.ts';

type Style = Parameters<typeof styleText>[0];

export interface OutputStreams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export class Output {
  readonly #json: boolean;
  readonly #stdout: NodeJS.WriteStream;
  readonly #people: NodeJS.WriteStream;

  constructor(options: { readonly json: boolean }, streams: OutputStreams = process) {
    this.#json = options.json;
    this.#stdout = streams.stdout;
    this.#people = !options.json && streams.stdout.isTTY ? streams.stdout : streams.stderr;
  }

  /** Whether a person is watching, so that lines may be redrawn and text streamed. */
  get interactive(): boolean {
    return this.#people.isTTY === true;
  }

  /** One JSON value on one line of stdout; nothing without `--json`. */
  json(value: unknown): void {
    if (this.#json) this.#stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** One line, or several, for people. Colours are dropped where no terminal shows them. */
  human(text: string): void {
    this.#people.write(`${this.interactive ? text : stripVTControlCharacters(text)}\n`);
  }

  /** The command's product itself (a generated text, an invite): on stdout even into a pipe; nothing with `--json`. */
  product(text: string): void {
    if (!this.#json) this.#stdout.write(text);
  }

  /** Text in a terminal style, for `human`. */
  style(style: Style, text: string): string {
    return styleText(style, text, { validateStream: false });
  }

  /** Rows as aligned columns, the first row being the heading. Numbers are expected as text. */
  table(rows: readonly (readonly string[])[]): void {
    const widths: number[] = [];
    for (const row of rows) {
      for (const [column, cell] of row.entries()) {
        widths[column] = Math.max(widths[column] ?? 0, stripVTControlCharacters(cell).length);
      }
    }
    for (const [index, row] of rows.entries()) {
      const cells = row.map((cell, column) => {
        const room = ' '.repeat((widths[column] ?? 0) - stripVTControlCharacters(cell).length);
        return column === 0 ? cell + room : room + cell;
      });
      const line = cells.join('  ').trimEnd();
      this.human(index === 0 ? this.style('dim', line) : line);
    }
  }

  /** Progress with rate and time left: a redrawn line on a terminal, a plain line now and then elsewhere. */
  progress(options: ProgressOptions): Progress {
    return new Progress(this.#people, options);
  }
}
