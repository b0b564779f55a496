"""The Python door: the functions and the `Library` that `import rag` gives."""
