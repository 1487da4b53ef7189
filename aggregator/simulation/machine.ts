/**
 * A simulated machine: a clock that is off by something, a disk, and a process on it that may die at any effect.
 *
 * A dead process does nothing more: its timers do not ring, its answers do not arrive, its writes throw. What was on
 * the disk is there for the next one.
 */
import type { Clock } from '../../node/clock.ts';
import type { RandomStream } from '../../node/training/randomStream.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import { SimulatedDisk } from './disk.ts';
import type { Schedule } from './schedule.ts';

/** Thrown inside a process that has just died, to unwind what it was doing. */
export class Crashed extends Error {
  override readonly name = 'Crashed';
}

export interface MachineComponents {
  readonly id: ParticipantId;
  readonly schedule: Schedule;
  /** Decides when it dies. */
  readonly random: RandomStream;
  /** How far its clock is off, in ms. */
  readonly skew: number;
  /** Starts the program; called at every start. */
  readonly program: (process: SimulatedProcess) => void;
  /** Told when the process dies. */
  readonly onCrash: () => void;
}

export class Machine {
  readonly id: ParticipantId;
  readonly disk = new SimulatedDisk();
  /** How far its clock is off, in ms. May change at any time. */
  skew: number;
  /** Chance of dying at one effect. */
  crashChance = 0;
  /** How long it stays down, in ms, when it dies. */
  downtime: () => number = () => 0;
  starts = 0;
  readonly #components: MachineComponents;
  #process: SimulatedProcess | undefined;

  constructor(components: MachineComponents) {
    this.#components = components;
    this.id = components.id;
    this.skew = components.skew;
  }

  get schedule(): Schedule {
    return this.#components.schedule;
  }

  get up(): boolean {
    return this.#process !== undefined;
  }

  /** Starts the program, if none runs. */
  start(): void {
    if (this.#process !== undefined) return;
    this.starts += 1;
    this.#process = new SimulatedProcess(this);
    this.#components.program(this.#process);
  }

  /** Kills the process, and starts another after the downtime. */
  crash(): void {
    if (this.#process === undefined) return;
    const { mourners } = this.#process;
    this.#process.alive = false;
    this.#process = undefined;
    this.disk.losePower(this.#components.random);
    this.#components.onCrash();
    for (const mourn of mourners) mourn();
    this.schedule.after(this.downtime(), () => this.start());
  }

  /** Whether the process dies at this effect. */
  dies(): boolean {
    return this.crashChance > 0 && this.#components.random.uniform() < this.crashChance;
  }
}

export class SimulatedProcess {
  alive = true;
  readonly machine: Machine;
  /** Told when it dies: whoever waits for an answer of it sees the connection cut. */
  readonly mourners = new Set<() => void>();
  readonly clock: Clock;

  constructor(machine: Machine) {
    this.machine = machine;
    const { schedule } = machine;
    const ifAlive = (run: () => void) => () => {
      try {
        if (this.alive) run();
      } catch (error) {
        if (!(error instanceof Crashed)) throw error;
      }
    };
    this.clock = {
      now: () => Math.floor(schedule.now + machine.skew),
      alarm: (at, ring) => schedule.at(at - machine.skew, ifAlive(ring)),
      after: (wait, ring) => schedule.after(wait, ifAlive(ring)),
    };
  }

  get id(): ParticipantId {
    return this.machine.id;
  }

  /** A moment between two effects on the outside world: the process may die in it. Throws Crashed when it does, or is dead. */
  effect(): void {
    if (this.alive && this.machine.dies()) this.machine.crash();
    if (!this.alive) throw new Crashed();
  }

  /** Lets time pass. A dead process never comes back from it. */
  pass(wait: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.clock.after(wait, resolve);
    return promise;
  }
}

/** 16 bytes in hexadecimal. */
export function nonce(random: RandomStream): string {
  return Array.from({ length: 4 }, () => random.bits().toString(16).padStart(8, '0')).join('');
}
