/**
 * The rules of this codebase that no linter knows, each with a sentence that says what to do instead.
 */
import { basename, dirname } from 'node:path';

export interface HouseRuleViolation {
  readonly file: string;
  /** Counted from 1; 0 when the whole file is meant. */
  readonly line: number;
  readonly message: string;
}

interface LineRule {
  readonly applies: (file: string) => boolean;
  readonly pattern: RegExp;
  readonly message: string;
}

const VAGUE_NAME = /^(utils?|helpers?|common|managers?|misc|shared|stuff)$/i;
const TOP_LEVEL = new Set(['protocol', 'node', 'aggregator', 'plugin-bridge', 'docs', 'scripts', 'test', '.ci']);

const isCode = (file: string) => /\.(ts|js|mjs)$/.test(file);
const isTest = (file: string) => file.startsWith('test/');

// The patterns are put together from halves, so that this file does not break its own rules.
const LINE_RULES: readonly LineRule[] = [
  {
    applies: isCode,
    pattern: new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`),
    message: 'finish it, or open an issue and take the note out',
  },
  {
    applies: isTest,
    pattern: new RegExp('\\b(describe|it|context|suite|test)\\.' + 'only\\('),
    message: 'an exclusive test silences all others; take the exclusiveness out',
  },
  {
    applies: (file) => isTest(file) && file.endsWith('.test.ts'),
    pattern: new RegExp('\\b(describe|it)\\.' + 'skip\\(|\\bx(it|describe)\\('),
    message: 'a test skips itself only at run time, with this.skip() and a reason in its title',
  },
  {
    applies: (file) => isCode(file) && !file.endsWith('.config.ts'),
    pattern: /^export default /,
    message: 'export it by name',
  },
  {
    applies: (file) => file.startsWith('protocol/'),
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\brandomBytes\(|\brandomUUID\(/,
    message: 'protocol/ has no clock or randomness of its own; take the value as an argument',
  },
  {
    applies: (file) => file.endsWith('.ts') && !file.startsWith('scripts/'),
    pattern: /^import .* from '\.[^']*(?<!\.ts)';$/,
    message: 'relative imports name the file with its .ts',
  },
];

/** Every violation in the given files (paths relative to the repository), in their order. */
export function houseRuleViolations(files: ReadonlyMap<string, string>): HouseRuleViolation[] {
  const violations: HouseRuleViolation[] = [];
  for (const [file, text] of files) {
    violations.push(...nameViolations(file));
    for (const [index, line] of text.split('\n').entries()) {
      for (const rule of LINE_RULES) {
        if (rule.applies(file) && rule.pattern.test(line)) {
          violations.push({ file, line: index + 1, message: rule.message });
        }
      }
    }
  }
  return violations;
}

function nameViolations(file: string): HouseRuleViolation[] {
  const violations: HouseRuleViolation[] = [];
  const parts = [...dirname(file).split('/'), basename(file).split('.')[0] ?? ''];
  const vague = parts.find((part) => VAGUE_NAME.test(part));
  if (vague !== undefined)
    violations.push({ file, line: 0, message: `'${vague}' names no subject; name what it holds` });
  const top = file.includes('/') ? file.split('/')[0] : undefined;
  if (top !== undefined && !TOP_LEVEL.has(top)) {
    const rooms = [...TOP_LEVEL].join(', ');
    violations.push({ file, line: 0, message: `top-level folders are ${rooms}; put it in one of them` });
  }
  return violations;
}
