/** The commands that a page of the documentation shows, as the words of each. */
import { readFileSync } from 'node:fs';

/** Words after `npx prefmesh`, in the order of the page; comments are left out. */
export function shownCommands(page: string): string[][] {
  const blocks = [...readFileSync(page, 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
  const lines = blocks.join('\n').replaceAll(/\\\n/g, ' ').split('\n');
  return lines.flatMap((line) => {
    const plain = line.replace(/ +# .*$/, '');
    const words = [...plain.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2]!);
    const start = words.indexOf('prefmesh');
    const before = words.slice(0, Math.max(0, start));
    const isCommand = before.at(-1) === 'npx' && before.slice(0, -1).every((word) => /^[A-Z_]+=/.test(word));
    return isCommand ? [words.slice(start + 1)] : [];
  });
}
