"""How the reader model in `rag/weights` was trained: data -> pairs -> network -> ONNX. README.md is its card."""
