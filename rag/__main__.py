"""`python -m rag` is `rag`."""

from rag.cli import main

raise SystemExit(main())
