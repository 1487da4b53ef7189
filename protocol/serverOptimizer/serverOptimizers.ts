/** The server optimisers by name. A new one is one file and one line here. */
import type { RuleName } from '../aggregation/rules.ts';
import { diloco } from './diloco.ts';
import { fedAdam } from './fedAdam.ts';
import { fedAvgM } from './fedAvgM.ts';
import type { OptimizerParameters, ServerOptimizer } from './serverOptimizer.ts';

export const SERVER_OPTIMIZERS = { fedavgm: fedAvgM, fedadam: fedAdam, diloco } as const satisfies Record<
  string,
  ServerOptimizer
>;

export type ServerOptimizerName = keyof typeof SERVER_OPTIMIZERS;

export const SERVER_OPTIMIZER_NAMES = Object.keys(SERVER_OPTIMIZERS) as [ServerOptimizerName, ...ServerOptimizerName[]];

/** A manifest's choice; parameters that it leaves out have their defaults. */
export interface ServerOptimizerTerms {
  readonly name: ServerOptimizerName;
  readonly parameters: OptimizerParameters;
}

export function serverOptimizerByName(name: ServerOptimizerName): ServerOptimizer {
  return SERVER_OPTIMIZERS[name];
}

/** What is wrong with a manifest's choice; undefined when nothing is. */
export function checkServerOptimizer({ name, parameters }: ServerOptimizerTerms, rule: RuleName): string | undefined {
  // Factoring anew turns and mixes the directions that the memory is about.
  if (rule === 'svd') return 'rule svd factors anew in every round: nothing can be remembered of its factors';
  const known = serverOptimizerByName(name).parameters;
  for (const [given, value] of Object.entries(parameters)) {
    const parameter = known.find((candidate) => candidate.name === given);
    if (!parameter) return `server optimiser ${name} has no parameter ${given}`;
    if (!(value >= parameter.min && value <= parameter.max)) {
      return `${given} of server optimiser ${name} must lie between ${parameter.min} and ${parameter.max}`;
    }
  }
  return undefined;
}

/** The parameters with the defaults of those that are left out. */
export function resolveOptimizerParameters({ name, parameters }: ServerOptimizerTerms): OptimizerParameters {
  const defaults = serverOptimizerByName(name).parameters.map((parameter) => [parameter.name, parameter.default]);
  return { ...Object.fromEntries(defaults), ...parameters };
}
