/**
 * Which programs load a PEFT folder as it stands, from what each is known to read.
 *
 * The dangerous cases are the silent ones: keys that match nothing leave a base unchanged, and a scale that is not read
 * makes an adapter too weak. What `prefmesh adapter export --format peft` writes has none of them.
 */
import type { AdapterConfig } from './peftConfig.ts';

export interface Portability {
  readonly program: 'PEFT' | 'vLLM' | 'llama.cpp' | 'Ollama' | 'MLX';
  readonly loads: boolean;
  /** Why not, or what to mind; null where there is nothing to say. */
  readonly note: string | null;
}

/** Most ranks that vLLM serves unless told otherwise. */
const VLLM_RANK = 16;

/** @param plainKeys whether every tensor has the name that PEFT saves it under */
export function adapterPortability(
  { rank, givenAlpha, rankStabilised }: AdapterConfig,
  plainKeys: boolean,
): readonly Portability[] {
  const keys = plainKeys ? null : 'its keys are not those that PEFT saves, so nothing would be adapted';
  const scaling = rankStabilised ? 'use_rslora is not read there, so the adapter would be too weak' : null;
  const whole = Number.isInteger(givenAlpha) ? null : 'lora_alpha must be a whole number there';
  const judged = (program: Portability['program'], reasons: readonly (string | null)[], note: string | null = null) => {
    const reason = reasons.find((each) => each !== null) ?? null;
    return { program, loads: reason === null, note: reason ?? note };
  };
  return [
    judged('PEFT', [keys]),
    judged('vLLM', [keys], rank > VLLM_RANK ? `needs --max-lora-rank ${rank} or more` : null),
    judged('llama.cpp', [keys, scaling], 'by its converter, or exported with --format gguf'),
    judged('Ollama', [keys, scaling, whole], 'as a folder on bases of the Llama family only; as --format gguf on all'),
    judged('MLX', ['another format: export with --format mlx']),
  ];
}
