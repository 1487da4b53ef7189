/**
 * The aggregator's door: takes one request a stream, hands it to the federation's code, sends back what that returns.
 *
 * Whatever a peer sends, it costs at most its own stream: a frame that is too long, cannot be read, or comes too often
 * is answered with a code, and so is every refusal of the code behind the door.
 */
import type { Stream } from '@libp2p/interface';
import { PrefmeshError, isPrefmeshError } from '../../../protocol/errors.ts';
import type { ParticipantId } from '../../../protocol/identity.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { RoundNumber, Sha256 } from '../../../protocol/names.ts';
import { Allowance } from '../allowance.ts';
import { within } from '../deadline.ts';
import { Frames } from '../frames.ts';
import type { Host } from '../host.ts';
import { refusalOf } from '../refusal.ts';
import {
  FEDERATION_PROTOCOL,
  type FederationReply,
  type FederationRequest,
  REQUEST_BYTES,
  requestSchema,
} from './messages.ts';

export interface FederationServerInit {
  /**
   * Answers an envelope. What it throws is answered by its code; a fault without one by UNEXPECTED.
   * `from` is who sent the stream, proven by the transport; the envelope's own sender is the handler's to check.
   */
  readonly onMessage: (
    envelope: Uint8Array,
    from: ParticipantId,
    options: { readonly signal: AbortSignal },
  ) => Promise<Uint8Array>;
  /** The envelope of a federation's manifest, or undefined when this aggregator does not run it. */
  readonly manifest: (federation: Sha256) => Promise<Uint8Array | undefined> | Uint8Array | undefined;
  /** The update messages that the receipt of a round lists, or undefined where there is no such receipt. */
  readonly evidence: (federation: Sha256, round: RoundNumber) => readonly Uint8Array[] | undefined;
  /** The newest checkpoint with the proof from `size` on, or undefined where the log is not that long. */
  readonly log: (federation: Sha256, size: number) => LogAnswer | undefined;
  /** Takes the cosignatures of a checkpoint of the log; the checkpoint with all it has. Throws NOT_A_WITNESS. */
  readonly cosign: (federation: Sha256, checkpoint: string) => LogAnswer;
  /** Who may take part; a server without it knows of nobody who was revoked or invited. */
  readonly admission?: AdmissionAnswers;
  /** Requests that one peer may make at once; the allowance refills within `LIMITS.requestRefill`. */
  readonly requests?: number;
}

export interface AdmissionAnswers {
  /** A list of revocations by its hash, or the newest; undefined where there is none. */
  readonly revocations: (list: Sha256 | null) => Uint8Array | undefined;
  /** Takes a newer list; gives the newest. Throws REVOCATIONS_STALE, and what is wrong with the list. */
  readonly revoke: (list: Uint8Array) => Uint8Array;
  /** Who was let in by which invite. Throws NOT_ADMITTED for whom it does not concern. */
  readonly guests: (asker: ParticipantId) => Extract<FederationReply, { t: 'guests' }>['guests'];
}

/** What an aggregator says of its log. */
export interface LogAnswer {
  /** A signed note: see `protocol/checkpoint.ts`. */
  readonly checkpoint: string;
  readonly proof: readonly Uint8Array[];
}

export class FederationServer implements AsyncDisposable {
  readonly #host: Host;
  readonly #init: FederationServerInit;
  readonly #allowance: Allowance;
  readonly #stop = new AbortController();
  #registration: AsyncDisposable | undefined;

  private constructor(host: Host, init: FederationServerInit) {
    this.#host = host;
    this.#init = init;
    this.#allowance = new Allowance({
      units: init.requests ?? LIMITS.requests.value,
      refill: LIMITS.requestRefill.value,
    });
  }

  static async start(host: Host, init: FederationServerInit): Promise<FederationServer> {
    const server = new FederationServer(host, init);
    server.#registration = await host.serve(FEDERATION_PROTOCOL, (stream, from) => server.#serve(stream, from), {
      throughRelay: true,
    });
    return server;
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the server is stopping'));
    await this.#registration?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #serve(stream: Stream, from: ParticipantId): Promise<void> {
    const frames = new Frames(stream, from, { maxFrame: REQUEST_BYTES });
    const { signal } = this.#stop;
    try {
      this.#allowance.use(from);
      const request = await frames.read(requestSchema, { what: 'request', wait: LIMITS.requestWait.value, signal });
      const reply = await within(LIMITS.replyWait.value, signal, (either) => this.#answer(request, from, either));
      await frames.write(reply, { what: 'reply', wait: LIMITS.requestWait.value, signal });
    } catch (error) {
      if (isPrefmeshError(error, 'STREAM_CUT') || isPrefmeshError(error, 'PEER_SILENT'))
        return frames.abort(error.code);
      if (!isPrefmeshError(error)) this.#host.log.error({ from, error }, 'a request could not be answered');
      await frames.write(refusalOf(error), { what: 'refusal', wait: LIMITS.requestWait.value, signal });
    }
    await frames.close({ wait: LIMITS.requestWait.value, signal });
  }

  async #answer(request: FederationRequest, from: ParticipantId, signal: AbortSignal): Promise<FederationReply> {
    if (request.t === 'message') {
      return { t: 'reply', envelope: await this.#init.onMessage(request.envelope, from, { signal }) };
    }
    const { federation } = request;
    const envelope = await this.#init.manifest(federation);
    if (envelope === undefined) throw new PrefmeshError('FEDERATION_UNKNOWN', { federation });
    switch (request.t) {
      case 'manifest':
        return { t: 'reply', envelope };
      case 'evidence': {
        const envelopes = this.#init.evidence(federation, request.round);
        if (envelopes === undefined) throw new PrefmeshError('ROUND_NOT_PUBLISHED', { round: request.round });
        return { t: 'evidence', envelopes: [...envelopes] };
      }
      case 'log': {
        const answer = this.#init.log(federation, request.size);
        if (answer === undefined) throw new PrefmeshError('LOG_TOO_SHORT', { size: request.size });
        return { t: 'log', checkpoint: answer.checkpoint, proof: [...answer.proof] };
      }
      case 'cosign': {
        const { checkpoint, proof } = this.#init.cosign(federation, request.checkpoint);
        return { t: 'log', checkpoint, proof: [...proof] };
      }
      case 'revocations': {
        const list = this.#init.admission?.revocations(request.list);
        if (list === undefined) {
          throw new PrefmeshError('REVOCATIONS_MISSING', { round: 0, hash: request.list ?? 'newest' });
        }
        return { t: 'reply', envelope: list };
      }
      case 'revoke':
        if (!this.#init.admission) throw new PrefmeshError('FEDERATION_UNKNOWN', { federation });
        return { t: 'reply', envelope: this.#init.admission.revoke(request.envelope) };
      case 'guests':
        return { t: 'guests', guests: this.#init.admission?.guests(from) ?? [] };
    }
  }
}
