/**
 * Verifying receipts for many participants at once. Verification is a pure function, and a thousand participants ask
 * it of the same bytes; so the part that is the same for all is done once, and each participant's own part every time.
 *
 * Witnesses repeat rounds from blobs and messages of their own. Where all of these are, byte for byte, what another
 * witness gave, so is what comes of them; one that differs is looked at anew.
 */
import type { OpenedManifest } from '../../protocol/manifest.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import { checkInclusion, verifyReceipt } from '../../protocol/verification.ts';
import type { Verification, VerificationContext } from '../../protocol/verification.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';

export interface SharedTask {
  readonly receipt: Uint8Array;
  readonly previous: Uint8Array | null;
  readonly own: VerificationContext['own'] | null;
  readonly envelopes: readonly Uint8Array[] | null;
}

/** What a verification asks for, by hash. */
interface Evidence {
  readonly blobs: (hash: Sha256) => Uint8Array | undefined;
  readonly envelopes: (hash: Sha256) => Uint8Array | undefined;
}

/** A verification with the answers that led to it. */
interface Repeated {
  readonly blobs: ReadonlyMap<Sha256, Uint8Array | undefined>;
  readonly envelopes: ReadonlyMap<Sha256, Uint8Array | undefined>;
  readonly verification: Verification;
}

export class SharedVerification {
  readonly #federation: OpenedManifest;
  readonly #known = new WeakMap<Uint8Array, Map<Uint8Array | null, Verification>>();
  readonly #repeated = new WeakMap<Uint8Array, Map<Uint8Array | null, Repeated[]>>();

  constructor(federation: OpenedManifest) {
    this.#federation = federation;
  }

  /** As `verifyReceipt`; with `evidence` the round is repeated. */
  verify({ receipt, previous, own }: SharedTask, evidence?: Evidence): Verification {
    const shared = evidence ? this.#repeat(receipt, previous, evidence) : this.#read(receipt, previous);
    if (own === null || shared.receipt === null) return shared;
    try {
      checkInclusion(shared.receipt.content, own);
      return shared;
    } catch (error) {
      if (!isPrefmeshError(error)) throw error;
      return { ...shared, ok: false, failures: [...shared.failures, error] };
    }
  }

  #read(receipt: Uint8Array, previous: Uint8Array | null): Verification {
    const known = entry(this.#known, receipt, () => new Map<Uint8Array | null, Verification>());
    let found = known.get(previous);
    if (found === undefined) known.set(previous, (found = verifyReceipt(receipt, this.#context(previous))));
    return found;
  }

  #repeat(receipt: Uint8Array, previous: Uint8Array | null, { blobs, envelopes }: Evidence): Verification {
    const byPrevious = entry(this.#repeated, receipt, () => new Map<Uint8Array | null, Repeated[]>());
    const before = byPrevious.get(previous) ?? [];
    const same = before.find((each) => answersAs(each.blobs, blobs) && answersAs(each.envelopes, envelopes));
    if (same !== undefined) return same.verification;
    const asked = { blobs: new Map<Sha256, Uint8Array | undefined>(), envelopes: new Map() };
    const verification = verifyReceipt(receipt, {
      ...this.#context(previous),
      blobs: noting(asked.blobs, blobs),
      envelopes: noting(asked.envelopes, envelopes),
    });
    byPrevious.set(previous, [...before, { ...asked, verification }]);
    return verification;
  }

  #context(previous: Uint8Array | null): VerificationContext {
    return { federation: this.#federation, previous: previous && openReceipt(previous) };
  }
}

function entry<Key extends object, Value>(map: WeakMap<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

function noting(answers: Map<Sha256, Uint8Array | undefined>, give: Evidence['blobs']): Evidence['blobs'] {
  return (hash) => {
    const answer = give(hash);
    answers.set(hash, answer);
    return answer;
  };
}

/** Whether every answer would be the same. */
function answersAs(answers: Repeated['blobs'], give: Evidence['blobs']): boolean {
  for (const [hash, answer] of answers) {
    const other = give(hash);
    if (other === answer) continue;
    if (
      other === undefined ||
      answer === undefined ||
      !Buffer.from(other.buffer, other.byteOffset, other.length).equals(answer)
    )
      return false;
  }
  return true;
}
