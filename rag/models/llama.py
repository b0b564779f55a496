"""A process that serves one GGUF file on loopback, as `rag.models.gguf` starts it, until its standard input ends.

Its first line of input is JSON: the file, the tokens of context, the key that callers must show. It prints its URL.
"""

from __future__ import annotations

import json
import os
import sys

BATCH = 512  # tokens read at once: a caller who leaves is noticed in between


def serve(file: str, context: int, key: str) -> None:
    """Load the file, say where it is served, and stay until nobody holds the other end of standard input."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = file, {os.path.basename(file)}
    params.n_ctx, params.n_batch, params.n_parallel = context, BATCH, 1
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.cpuparams.poll = params.cpuparams_batch.poll = (
        0  # to wait costs nothing, and half the time on a busy machine
    )
    params.cache_ram_mib, params.verbosity = 0, 0
    params.offline, params.ui, params.warmup = True, False, False
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # without waiting for a reply that nobody reads


if __name__ == "__main__":
    serve(**json.loads(sys.stdin.readline()))
