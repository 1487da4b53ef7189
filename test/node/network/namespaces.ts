/**
 * Several hosts on one machine, each a network namespace with an interface of its own, joined by a bridge in another.
 * Needs the right to make namespaces (root on Linux) and the commands `ip` and `tc`.
 */
import { spawnSync } from 'node:child_process';

/** Why the machine lets nobody make such a network; undefined where it does. */
export function whyNoNamespaces(): string | undefined {
  const name = `pm${process.pid}-try`;
  const steps = [
    ['ip', 'netns', 'add', name],
    ['ip', '-n', name, 'link', 'add', 'bridge0', 'type', 'bridge'],
    ['ip', '-n', name, 'link', 'add', 'one', 'type', 'veth', 'peer', 'name', 'two'],
    ['ip', 'netns', 'exec', name, 'tc', 'qdisc', 'add', 'dev', 'one', ...rate('1mbit')],
  ];
  try {
    for (const step of steps) {
      const problem = attempt(step);
      if (problem !== undefined) return `no network namespaces here: ${step.join(' ')}: ${problem}`;
    }
    return undefined;
  } finally {
    attempt(['ip', 'netns', 'del', name]);
  }
}

export class NamespaceNetwork implements Disposable {
  readonly #names: readonly string[];
  readonly #bridge = `pm${process.pid}-net`;

  constructor(names: readonly string[]) {
    this.#names = names;
    must('ip', 'netns', 'add', this.#bridge);
    must('ip', '-n', this.#bridge, 'link', 'add', 'bridge0', 'type', 'bridge');
    must('ip', '-n', this.#bridge, 'link', 'set', 'bridge0', 'up');
    for (const name of names) {
      const host = this.#host(name);
      must('ip', 'netns', 'add', host);
      // prettier-ignore
      must('ip', '-n', this.#bridge, 'link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host);
      must('ip', '-n', this.#bridge, 'link', 'set', `to-${name}`, 'master', 'bridge0', 'up');
      must('ip', '-n', host, 'address', 'add', `${this.address(name)}/24`, 'dev', 'eth0');
      must('ip', '-n', host, 'link', 'set', 'eth0', 'up');
      must('ip', '-n', host, 'link', 'set', 'lo', 'up');
    }
  }

  /** IPv4. */
  address(name: string): string {
    return `10.77.0.${1 + this.#names.indexOf(name)}`;
  }

  /** What to put before a command so that it runs on this host. */
  launcher(name: string): string[] {
    return ['ip', 'netns', 'exec', this.#host(name)];
  }

  /** Lets so much through towards this host, as `tc` writes it: "2mbit". */
  narrow(name: string, bandwidth: string): void {
    must(...this.#onBridge('tc', 'qdisc', 'replace', 'dev', `to-${name}`, ...rate(bandwidth)));
  }

  /** Pulls this host's cable: nothing passes, and nobody is told. */
  part(name: string): void {
    must('ip', '-n', this.#bridge, 'link', 'set', `to-${name}`, 'down');
  }

  heal(name: string): void {
    must('ip', '-n', this.#bridge, 'link', 'set', `to-${name}`, 'up');
  }

  [Symbol.dispose](): void {
    for (const name of [...this.#names.map((each) => this.#host(each)), this.#bridge]) {
      attempt(['ip', 'netns', 'del', name]);
    }
  }

  #host(name: string): string {
    return `pm${process.pid}-${name}`;
  }

  #onBridge(...command: string[]): string[] {
    return ['ip', 'netns', 'exec', this.#bridge, ...command];
  }
}

function rate(bandwidth: string): string[] {
  return ['root', 'tbf', 'rate', bandwidth, 'burst', '32kb', 'latency', '400ms'];
}

function must(...command: string[]): void {
  const problem = attempt(command);
  if (problem !== undefined) throw new Error(`${command.join(' ')}: ${problem}`);
}

/** Runs a command to its end; what is wrong, if something is. */
function attempt(command: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command[0]!, command.slice(1), { encoding: 'utf8' });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : stderr.trim() || `ended with ${status}`;
}
