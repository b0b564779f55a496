"""A llama.cpp server on loopback: `python serve.py MODEL.gguf KEY` prints its URL; it ends with its standard input."""

from __future__ import annotations

import sys

import xllamacpp

CONTEXT = 2048  # tokens

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.model_alias = {"smollm2"}
params.api_keys = [sys.argv[2]]
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = CONTEXT
params.n_parallel = 1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # with more, a busy machine comes to a halt
params.cache_ram_mib = 256
params.verbosity = 0
params.offline, params.warmup = True, False
params.sampling.temp = 0.0
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
