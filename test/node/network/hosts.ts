import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { Host, type HostOptions } from '../../../node/network/host.ts';
import { type Proxy, type ProxyOptions, freePort, startProxy } from './proxy.ts';
import { type Identity, identityFromSeed } from '../../../protocol/identity.ts';

/** Silent, unless PREFMESH_TEST_LOG names a level. */
export const log = pino({ level: process.env.PREFMESH_TEST_LOG ?? 'silent' });

export function newIdentity(): Identity {
  return identityFromSeed(randomBytes(32));
}

/** A host on loopback with a key of its own. */
export function startHost(options: Partial<HostOptions> & { identity?: Identity } = {}): Promise<Host> {
  const { identity = newIdentity(), ...rest } = options;
  return Host.start(identity, { preset: 'local', role: 'participant', log, ...rest });
}

/** Two hosts, the second connected to the first. */
export async function startPair(): Promise<AsyncDisposable & { readonly first: Host; readonly second: Host }> {
  const first = await startHost({ role: 'aggregator' });
  const second = await startHost({ bootstrap: first.addresses });
  await second.ready();
  return {
    first,
    second,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([first.stop(), second.stop()]);
    },
  };
}

/**
 * A host that can be reached through a proxy only, since that is the address it tells others. Who dials it should not
 * listen, or it may be dialled back past the proxy.
 */
export async function startBehindProxy(
  proxyOptions: ProxyOptions = {},
): Promise<AsyncDisposable & { readonly host: Host; readonly proxy: Proxy }> {
  const port = await freePort();
  const proxy = await startProxy(port, proxyOptions);
  const host = await startHost({
    role: 'aggregator',
    listen: [`/ip4/127.0.0.1/tcp/${port}`],
    announce: [proxy.address],
  });
  return {
    host,
    proxy,
    [Symbol.asyncDispose]: async () => {
      await host.stop();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

/** Resolves with the first event of this name that passes. */
export function eventOf<T>(target: EventTarget, name: string, passes: (detail: T) => boolean = () => true): Promise<T> {
  return new Promise((resolve) => {
    const listener = (event: Event) => {
      const { detail } = event as CustomEvent<T>;
      if (!passes(detail)) return;
      target.removeEventListener(name, listener);
      resolve(detail);
    };
    target.addEventListener(name, listener);
  });
}
