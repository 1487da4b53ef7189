/**
 * Keeps libp2p's relay search and address checks from walking through the DHT at random for more peers to ask.
 *
 * On a network of few peers such a walk comes back empty at once and begins again, without a pause, in microtasks: the
 * event loop stands still for good (`libp2p` 3.3.11, `random-walk.ts`). Both services hear of every peer that connects
 * anyway, and the peers that matter here are the ones that a node was told of.
 */

/** What a service is made from, without random peers in it. */
export function withoutRandomWalk<Components extends object>(components: Components): Components {
  return new Proxy(components, {
    get: (target, name) => (name === 'randomWalk' ? STANDSTILL : (Reflect.get(target, name) as unknown)),
  });
}

const STANDSTILL = { walk: () => nobody() };

async function* nobody(): AsyncGenerator<never> {
  // No peers at all: the services go on with those that connect.
}
