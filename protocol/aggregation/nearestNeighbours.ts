/**
 * Nearest-neighbour mixing: every update is replaced by the mean of the n − f updates nearest to it, itself among
 * them, before another rule. Where honest updates differ because their data differ, this pulls them together, and a
 * hostile one is drawn among the honest ones or left with few.
 *
 * Honest updates of different data are nearly at right angles, hence about equally far from each other. Which f of
 * them are the furthest is then an accident, and the same accident for all who look alike: a few equal updates would
 * have the same honest ones left out everywhere. So those about as far as the last one left out take turns: update i
 * leaves out the ones that follow it. Where all are equally far, each is left out by exactly f others.
 *
 * Source: Allouah et al. 2023, "Fixing by mixing: a recipe for optimal Byzantine ML under heterogeneity"
 * (arXiv 2302.01772), algorithm 1; the turns are our own, see docs/decisions/0043-equally-far-takes-turns.md.
 */
import { sketches, squaredSketchDistance } from './sketch.ts';
import type { RuleInputs } from './rule.ts';

/** Squared distances that differ by no larger share count as equal: a sixteenth in length, little over a sketch's error. */
const ABOUT_EQUAL = 1 / 8;

/** For each update, shortened by its factor, the f updates that are not mixed into it. */
export function furthestNeighbours(inputs: RuleInputs, factors: Float64Array, f: number): number[][] {
  // A sketch is linear: that of a shortened update is the shortened sketch.
  const all = sketches(inputs).map((sketch, n) => sketch.map((value) => value * factors[n]!));
  const { count } = inputs;
  const distances = all.map(() => new Float64Array(count));
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < i; j++) distances[i]![j] = distances[j]![i] = squaredSketchDistance(all[i]!, all[j]!);
  }
  return distances.map((row, i) => furthest(row, i, f));
}

/**
 * The f furthest from update `i`, by the squared distances from it to all, in the order of the hashes. Of those about
 * as far as the f-th, the ones that follow `i` come first, and after the last of all the first.
 */
export function furthest(distances: Float64Array, i: number, f: number): number[] {
  if (f === 0) return [];
  const count = distances.length;
  const following = Array.from({ length: count - 1 }, (_, k) => (i + 1 + k) % count);
  const edge = Float64Array.from(following, (j) => distances[j]!).sort()[count - 1 - f]!;
  const [least, most] = [edge * (1 - ABOUT_EQUAL), edge * (1 + ABOUT_EQUAL)];
  const clearly = following.filter((j) => distances[j]! > most);
  const about = following.filter((j) => distances[j]! >= least && distances[j]! <= most);
  return [...clearly, ...about.slice(0, f - clearly.length)];
}
