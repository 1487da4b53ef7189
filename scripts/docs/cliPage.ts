import type { Command, Option } from 'commander';
import { commandTree } from '../../prefmesh.ts';
import { addCommonOptions } from '../../node/commands/options.ts';

/** The reference page of the command line, from the very definitions that parse it. */
export async function cliPage(): Promise<string> {
  const root = await commandTree();
  return [
    '# The command line',
    '<!-- Generated from the commands by npm run docs. Edit their definitions. -->',
    'In a clone the program is called as `npx prefmesh …`, from an installed package as `prefmesh …`. Words for ' +
      'people go to the terminal or to stderr; with `--json`, stdout carries JSON and nothing else. Every failure ends ' +
      'in two lines, `error CODE: what happened` and `fix: what to do`; the codes are listed in [errors.md](errors.md).',
    ['| exit code | meaning |', '| --: | --- |', ...EXIT_CODES.map(([code, text]) => `| ${code} | ${text} |`)].join(
      '\n',
    ),
    '## Common options',
    'Every command that does work takes these. `--config FILE` reads them, and all others, from a JSON object whose ' +
      'keys are the names of the flags without the dashes; a flag on the command line wins, an unknown key is an error.',
    optionTable(addCommonOptions(root.createCommand('any')).options),
    ...leaves(root).flatMap(section),
  ].join('\n\n');
}

const EXIT_CODES: readonly (readonly [number, string])[] = [
  [0, 'done'],
  [1, 'unexpected fault'],
  [2, 'wrong usage or configuration'],
  [3, 'bad input data: file, line and field are named'],
  [4, 'network: what could not be reached is named'],
  [5, 'refused by a check: signature, hash, admission, evaluation gate'],
  [130, 'interrupted: what was kept is named'],
];

const COMMON = new Set(['--home', '--device', '--threads', '--json', '--log-level', '--seed', '--config']);

/** Commands that do work, in the order of the help. */
function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function section(command: Command): string[] {
  const own = command.options.filter(({ long }) => long === undefined || !COMMON.has(long));
  const words = command.registeredArguments.map((word) => (word.required ? ` <${word.name()}>` : ` [${word.name()}]`));
  return [
    `## \`prefmesh ${path(command)}\``,
    command.description(),
    `\`\`\`text\nprefmesh ${path(command)}${words.join('')} [options]\n\`\`\``,
    ...(own.length === 0 ? [] : [optionTable(own)]),
  ];
}

function path(command: Command): string {
  const above = command.parent?.parent == null ? '' : `${path(command.parent)} `;
  return above + command.name();
}

function optionTable(options: readonly Option[]): string {
  const rows = options.map((option) => {
    const description = [option.description, choices(option)].filter(Boolean).join('; ');
    return `| \`${option.flags.replaceAll('|', '\\|')}\` | ${description.replaceAll('|', '\\|')} | ${preset(option)} |`;
  });
  return ['| option | what it does | default |', '| --- | --- | --- |', ...rows].join('\n');
}

function choices({ argChoices }: Option): string {
  return argChoices === undefined ? '' : `one of ${argChoices.map((choice) => `\`${choice}\``).join(', ')}`;
}

function preset({ mandatory, defaultValue, defaultValueDescription }: Option): string {
  if (mandatory && defaultValue === undefined) return '**required**';
  if (defaultValueDescription !== undefined) return defaultValueDescription;
  if (defaultValue === undefined || defaultValue === false) return '';
  return `\`${Array.isArray(defaultValue) ? defaultValue.join(',') : String(defaultValue)}\``;
}
