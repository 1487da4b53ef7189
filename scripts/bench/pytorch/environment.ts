/**
 * The best set-up for PyTorch that this machine has: Debian's package with OpenBLAS on OpenMP in place of the reference
 * BLAS it comes with, the core type whose kernels are fastest here and right, and jemalloc with huge pages.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const PACKAGES = ['python3-torch', 'libopenblas0-openmp', 'libjemalloc2'];

/** Debian's own Python: another one in the path has no Debian packages. */
const PYTHON = '/usr/bin/python3';

/** OpenBLAS picks by the processor's name, and older versions do not know newer names. */
const CORE_TYPES = ['Haswell', 'Zen', 'SkylakeX', 'Cooperlake', 'Sapphirerapids'];

/** Largest error of a float32 product of this size that rounding explains. */
const RIGHT = 1e-5;

export interface PytorchEnvironment {
  readonly python: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Finds the set-up, and installs its packages where they are missing and may be installed. */
export async function pytorchEnvironment(threads: number, say: (text: string) => void): Promise<PytorchEnvironment> {
  const libraries = `/usr/lib/${await multiarch()}`;
  const openblas = join(libraries, 'openblas-openmp');
  const jemalloc = join(libraries, 'libjemalloc.so.2');
  if (!existsSync(openblas) || !existsSync(jemalloc) || !(await hasTorch())) install(say);

  const common = {
    LD_LIBRARY_PATH: openblas,
    LD_PRELOAD: jemalloc,
    MALLOC_CONF: 'thp:always,background_thread:true,metadata_thp:auto',
    OMP_NUM_THREADS: String(threads),
    OPENBLAS_NUM_THREADS: String(threads),
  };
  let best: { gflops: number; env: Record<string, string> } | undefined;
  for (const type of CORE_TYPES) {
    const env = { ...common, OPENBLAS_CORETYPE: type };
    const script = join(import.meta.dirname, 'blas.py');
    const { stdout } = await run(PYTHON, [script, String(threads)], { env: { ...process.env, ...env } });
    const { gflops, error } = JSON.parse(stdout) as { gflops: number; error: number };
    say(`OpenBLAS as ${type}: ${gflops.toFixed(0)} GFLOP/s, error ${error.toExponential(1)}`);
    if (error <= RIGHT && gflops > (best?.gflops ?? 0)) best = { gflops, env };
  }
  if (best === undefined) throw new Error('no core type of OpenBLAS multiplies matrices right on this machine');
  say(`PyTorch runs with OpenBLAS as ${best.env['OPENBLAS_CORETYPE']}`);
  return { python: PYTHON, env: best.env };
}

async function multiarch(): Promise<string> {
  const { stdout } = await run('dpkg-architecture', ['-qDEB_HOST_MULTIARCH']).catch(() => ({ stdout: '' }));
  return stdout.trim() || (process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu');
}

async function hasTorch(): Promise<boolean> {
  return run(PYTHON, ['-c', 'import torch, numpy']).then(
    () => true,
    () => false,
  );
}

function install(say: (text: string) => void): void {
  say(`installing ${PACKAGES.join(', ')}`);
  const { status } = spawnSync('apt-get', ['install', '-y', '--no-install-recommends', ...PACKAGES], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error(`install these Debian packages and run again: ${PACKAGES.join(' ')}`);
}
