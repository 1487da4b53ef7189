"""
One contender of the benchmark: LoRA-DPO steps in PyTorch, on the checkpoint, pairs and adapter of a workload file.

    python3 step.py WORKLOAD.json ordinary|shortcuts

`ordinary` is what trainers do by default: a forward pass of the reference in each step, logits at every position.
`shortcuts` computes the reference once and applies the head at scored positions only. Speaks lines of JSON: `ready`,
then an answer to each line `step`, and the peak memory at `end`.
"""
import json
import os
import resource
import sys
import time

import numpy
import torch

import safetensors_file
from model import Llama

workload = json.load(open(sys.argv[1]))
shortcuts = {"ordinary": False, "shortcuts": True}[sys.argv[2]]
torch.set_num_threads(workload["threads"])
started = time.perf_counter()

folder, beta = workload["checkpoint"], workload["beta"]
model = Llama(
    json.load(open(os.path.join(folder, "config.json"))),
    safetensors_file.read(os.path.join(folder, "model.safetensors")),
    torch.from_numpy(numpy.fromfile(workload["adapter"], dtype=numpy.float32)),
    workload["rank"],
    workload["scale"],
    workload["targets"],
)
optimizer = torch.optim.AdamW(model.parameters(), lr=workload["learningRate"], weight_decay=0)
pairs = workload["pairs"]
prompt = len(pairs[0]["prompt"])
tokens = torch.tensor([p["prompt"] + p["chosen"] for p in pairs] + [p["prompt"] + p["rejected"] for p in pairs])


def margins(log_probs):
    chosen, rejected = log_probs.chunk(2)
    return chosen - rejected


@torch.no_grad()
def reference_margins():
    return margins(model.log_probs(tokens, prompt, adapted=False, scored_only=shortcuts))


cached = reference_margins() if shortcuts else None


def step():
    reference = cached if shortcuts else reference_margins()
    policy = margins(model.log_probs(tokens, prompt, scored_only=shortcuts))
    loss = torch.nn.functional.softplus(-beta * (policy - reference)).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), workload["maxGradNorm"])
    optimizer.step()
    return loss.item()


def say(**line):
    print(json.dumps(line), flush=True)


say(ready=True, startSeconds=time.perf_counter() - started)
for line in sys.stdin:
    if line.strip() == "end":
        break
    before = time.perf_counter()
    loss = step()
    say(seconds=time.perf_counter() - before, loss=loss)
say(peakMiB=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
