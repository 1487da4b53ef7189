"""How fast the installed BLAS multiplies float32 matrices, and how wrong: one line of JSON. usage: blas.py THREADS"""
import json
import sys
import time

import numpy
import torch

torch.set_num_threads(int(sys.argv[1]))
generator = torch.Generator().manual_seed(0)
x = torch.randn(1536, 576, generator=generator)
w = torch.randn(1536, 576, generator=generator)
exact = x.double().numpy() @ w.double().numpy().T
error = float(numpy.abs((x @ w.T).numpy() - exact).max() / numpy.abs(exact).max())
rates = []
for _ in range(12):
    before = time.perf_counter()
    x @ w.T
    rates.append(2 * 1536 * 1536 * 576 / (time.perf_counter() - before) / 1e9)
print(json.dumps({"gflops": sorted(rates)[-3], "error": error}))
