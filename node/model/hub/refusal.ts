/**
 * What a hub means by a refusal, as an error of the table.
 *
 * The hub names the reason in the header `X-Error-Code`; a repository that does not exist and one that is private look
 * the same to a stranger, on purpose. Source: huggingface_hub's error reference, "HfHubHTTPError".
 */
import { PrefmeshError } from '../../../protocol/errors.ts';

export interface RefusedSubject {
  readonly model: string;
  readonly revision: string;
  readonly file?: string;
  readonly endpoint: string;
  /** The token that was sent, if one was; taken out of whatever the hub says. */
  readonly token: string | undefined;
}

/** @returns HUB_GATED, HUB_MODEL_MISSING, HUB_REVISION_MISSING, HUB_FILE_MISSING, HUB_TOKEN_REFUSED or HUB_REFUSED */
export function refusalOf(response: Response, text: string, subject: RefusedSubject): PrefmeshError {
  const { model, revision, endpoint } = subject;
  const { status, headers } = response;
  const code = headers.get('x-error-code') ?? '';
  const said = sentence(headers.get('x-error-message') ?? text, subject.token);
  switch (code) {
    case 'GatedRepo':
      return new PrefmeshError('HUB_GATED', { model, page: `${endpoint}/${model}` });
    case 'RepoNotFound':
      return new PrefmeshError('HUB_MODEL_MISSING', { model, endpoint });
    case 'RevisionNotFound':
      return new PrefmeshError('HUB_REVISION_MISSING', { model, revision });
    case 'EntryNotFound':
      return new PrefmeshError('HUB_FILE_MISSING', { model, revision, file: subject.file ?? 'a file' });
  }
  if (status === 401 && subject.token !== undefined) return new PrefmeshError('HUB_TOKEN_REFUSED', { endpoint });
  if (status === 401 || status === 404) return new PrefmeshError('HUB_MODEL_MISSING', { model, endpoint });
  return new PrefmeshError('HUB_REFUSED', { endpoint, model, status, said });
}

/** What the network said, which `fetch` hides in the cause of its "fetch failed". */
export function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(inner instanceof Error)) return String(inner);
  return (inner as NodeJS.ErrnoException).code ?? inner.message;
}

/** One short line of a stranger's text, harmless to a terminal. */
function sentence(text: string, token: string | undefined): string {
  const shown = token === undefined ? text : text.replaceAll(token, '…');
  // Everything but letters, digits and plain punctuation: no control characters reach a terminal.
  const line = shown.replace(/[^\p{L}\p{N} .,:;'"()/_-]+/gu, ' ').trim();
  return line === '' ? 'no reason given' : line.slice(0, 200);
}
