/** A participant's way to its aggregators over the simulated network: the parts that `AggregatorLink` asks for. */
import type { AggregatorLinkComponents } from '../../node/participant/aggregatorLink.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import type { SimulatedProcess } from './machine.ts';
import type { Services, SimulatedNetwork } from './network.ts';

type Remote = Pick<AggregatorLinkComponents, 'host' | 'client' | 'providers'>;

/** @param onSend told every envelope that leaves, and for whom */
export function remoteAggregator(
  process: SimulatedProcess,
  network: SimulatedNetwork,
  onSend: (envelope: Uint8Array, to: ParticipantId) => void,
): Remote {
  const reached = new Set<ParticipantId>();
  const connected = (): ParticipantId[] => [...reached].filter((id) => network.reaches(process.id, id));
  const to = (address: string): ParticipantId => address.slice(address.lastIndexOf('/') + 1) as ParticipantId;
  return {
    host: {
      get connectedPeers() {
        return connected();
      },
      connection: (peers, signal) => network.connection(process, () => connected().find((id) => peers.has(id)), signal),
      connect: async (target, options) => {
        const id = to(target);
        await network.request(process, id, 'dial', () => null, options);
        reached.add(id);
        return id;
      },
      hold: () => undefined,
    },
    client: {
      request: (aggregator, envelope, options) => {
        onSend(envelope, to(aggregator));
        const serve = (services: Services, signal: AbortSignal) =>
          offered(services.message)(envelope, process.id, signal);
        const size = (reply: Uint8Array) => reply.length;
        return network.request(process, to(aggregator), 'message', serve, { ...options, size });
      },
      evidence: async (aggregator, _federation, round, options) => {
        const serve = (services: Services) => {
          const found = offered(services.evidence)(round, process.id);
          if (found === undefined) throw new PrefmeshError('ROUND_NOT_PUBLISHED', { round });
          return [...found];
        };
        const size = (found: Uint8Array[]) => found.reduce((total, { length }) => total + length, 0);
        return network.request(process, to(aggregator), 'evidence', serve, { ...options, size });
      },
      log: (aggregator, _federation, size, options) => {
        const serve = (services: Services) => {
          const answer = offered(services.log)(size, process.id);
          if (answer === undefined) throw new PrefmeshError('LOG_TOO_SHORT', { size });
          return answer;
        };
        return network.request(process, to(aggregator), 'log', serve, options);
      },
      cosign: async (aggregator, _federation, checkpoint, options) => {
        const serve = (services: Services) => offered(services.cosign)(checkpoint);
        await network.request(process, to(aggregator), 'cosign', serve, options);
      },
      // The simulated owner revokes nobody.
      revocations: (_aggregator, _federation, list) =>
        Promise.reject(new PrefmeshError('REVOCATIONS_MISSING', { round: 0, hash: list ?? 'newest' })),
    },
    // Nobody is found otherwise than by the manifest's addresses.
    providers: async function* none() {},
  };
}

function offered<Service>(service: Service | undefined): Service {
  if (service === undefined) throw new PrefmeshError('PROTOCOL_UNSUPPORTED', { peer: 'a participant' });
  return service;
}
