"""Doors from other programs: llama-index (`rag.integrations.llama_index`) and agents (`rag mcp`, `rag skill`)."""
