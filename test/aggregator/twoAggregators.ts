/** A federation of two aggregators, each a process of its own, whose addresses the manifest names. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import { freePort } from '../node/network/proxy.ts';
import { FederationFixture, MODEL, type FixtureOptions } from './federationFixture.ts';
import { Program, run } from './program.ts';

/** Folders of the aggregators, in the manifest's order. */
export const HOMES = ['aggregator', 'second'] as const;
export type Home = (typeof HOMES)[number];

export interface TwoAggregatorsOptions extends Omit<FixtureOptions, 'aggregators' | 'addresses'> {
  /** What the manifest names in place of the addresses listened on. */
  readonly namedAddresses?: (listening: Readonly<Record<Home, string>>) => Promise<Readonly<Record<Home, string>>>;
}

export class TwoAggregators implements Disposable {
  readonly fixture: FederationFixture;
  readonly id: Readonly<Record<Home, string>>;
  /** Where each listens, without its peer id, and where the manifest says it does. */
  readonly listening: Readonly<Record<Home, string>>;
  readonly named: Readonly<Record<Home, string>>;

  private constructor(
    fixture: FederationFixture,
    listening: Readonly<Record<Home, string>>,
    named: Readonly<Record<Home, string>>,
  ) {
    this.fixture = fixture;
    this.listening = listening;
    this.named = named;
    const [first, second] = fixture.federation.content.aggregators;
    this.id = { aggregator: first!.id, second: second!.id };
  }

  static async make({ namedAddresses, ...options }: TwoAggregatorsOptions): Promise<TwoAggregators> {
    const listening = { aggregator: await unused(), second: await unused() };
    const named = namedAddresses ? await namedAddresses(listening) : listening;
    const addresses = HOMES.map((home) => named[home]);
    const fixture = await FederationFixture.make({ ...options, aggregators: ['second'], addresses });
    return new TwoAggregators(fixture, listening, named);
  }

  /** Starts one of them; `extra` are more arguments. */
  start(home: Home, ...extra: string[]): Program<AggregatorEvent> {
    const { fixture } = this;
    // prettier-ignore
    return new Program<AggregatorEvent>([
      'aggregator', 'start', '--home', fixture.path(home), '--federation', fixture.file, '--model', MODEL,
      '--evaluation-pairs', fixture.evaluationPairs, '--root-pairs', fixture.rootPairs, '--network', 'local',
      '--listen', this.listening[home], '--take-over-after', '2s', '--exit-when-finished', ...extra,
    ]);
  }

  /** Writes the log of one of them, which must not be running, as files; returns the folder. */
  audit(home: Home): string {
    const out = this.fixture.path(`audit of ${home}`);
    run('aggregator', 'export', '--home', this.fixture.path(home), '--federation', this.fixture.file, '--out', out);
    return out;
  }

  [Symbol.dispose](): void {
    this.fixture[Symbol.dispose]();
  }
}

/** The envelopes of the receipts of an audit, from the first round on. */
export function receiptsOf(audit: string): Uint8Array[] {
  const names = readdirSync(join(audit, 'receipts')).sort();
  return names.map((name) => new Uint8Array(readFileSync(join(audit, 'receipts', name))));
}

/** An address of this machine that nobody listens on now: a manifest names addresses before anybody listens. */
async function unused(): Promise<string> {
  return `/ip4/127.0.0.1/tcp/${await freePort()}`;
}
