import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { RULE_NAMES } from '../../protocol/aggregation/rules.ts';
import { ERRORS } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { MESSAGES } from '../../protocol/messages.ts';
import { receiptSchema } from '../../protocol/receipt.ts';
import { exampleManifest } from './exampleFederation.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/reference/protocol.md'), 'utf8');
const mentioned = new Set([...page.matchAll(/`([^`\n]+)`/g)].flatMap(([, quoted]) => quoted!.match(/[\w-]+/g) ?? []));

describe('the specification of the wire', () => {
  it('names every message and every field of it', () => {
    for (const [type, schema] of Object.entries(MESSAGES)) {
      for (const name of [type, ...Object.keys(schema.shape)]) assert.ok(mentioned.has(name), `${type}: ${name}`);
    }
  });

  it('names every field of manifest and receipt, and every rule', () => {
    const fields = (value: object): string[] =>
      Object.entries(value).flatMap(([name, part]) =>
        part !== null && typeof part === 'object' && !Array.isArray(part) ? [name, ...fields(part as object)] : [name],
      );
    for (const name of [...fields(exampleManifest()), ...Object.keys(receiptSchema.shape), ...RULE_NAMES]) {
      assert.ok(mentioned.has(name), name);
    }
  });

  it('names no code and no limit that does not exist', () => {
    for (const code of page.match(/\b[A-Z]+(?:_[A-Z]+)+\b/g) ?? []) assert.ok(Object.hasOwn(ERRORS, code), code);
    for (const limit of [
      'message',
      'document',
      'wireDepth',
      'wireItems',
      'typeName',
      'clockTolerance',
      'replayWindow',
    ]) {
      assert.ok(Object.hasOwn(LIMITS, limit) && mentioned.has(limit), limit);
    }
  });
});
