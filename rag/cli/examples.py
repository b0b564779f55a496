"""What each command is typed like: the end of its help."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "ask": (
        'rag ask "Which sequence model first solved Path-X?"',
        'rag ask --library mine --year 2020- "How many roofs were measured?" --json',
        'rag ask --model qwen2.5:7b --base-url ollama "What does FlashAttention reduce?"',
    ),
    "search": ('rag search "state space models" -k 5', 'rag search --explain "long sequences" --library mine'),
    "chat": ("rag chat", "rag chat -c", "rag chat --library mine --author Smith"),
    "log": ("rag log", "rag log sequence models -n 5", "rag log --feedback"),
    "replay": ("rag replay 3.2", "rag replay 3.2 --model qwen2.5:7b --base-url ollama"),
    "cite": (
        'rag cite "S4 generates 60 times faster than Transformers."',
        "rag cite draft.tex --in-place --bib refs.bib",
        "rag cite --check draft.tex",
    ),
    "table": ('rag table "task; data set; best result"', 'rag table "method; year" --where "year>=2023" -o table.xlsx'),
    "list": ("rag list", "rag list --library mine 'year>=2023' author:Smith", "rag list --json"),
    "show": ("rag show ab71d384aa75", 'rag show "FlashAttention: Fast and Memory-Efficient Exact Attention"'),
    "export": (
        "rag export --library mine -o mine.bib",
        "rag export --library mine --format ris --year 2023 > recent.ris",
    ),
    "bib": ("rag bib ab71d384aa75", "rag bib --library mine --format csl vaswani2017attention"),
    "status": ("rag status", "rag status --library mine --json"),
    "add": (
        "rag add my.bib exports/ --library mine",
        "rag add doi:10.1000/xyz arxiv:2205.14135 --library mine",
        'rag add "zotero:Theory/Water" --library water',
    ),
    "sync": ("rag sync --library mine", "rag sync --library mine --prune --dry-run"),
    "remove": ("rag remove ab71d384aa75 --library mine", 'rag remove --library mine "Attention is all you need"'),
    "undo": ("rag undo --library mine",),
    "library": (
        "rag library list",
        "rag library rename mine thesis",
        "rag library remove thesis",
        "rag library embed mine --embedder nomic-embed-text --embed-url ollama",
    ),
    "doctor": ("rag doctor", "rag doctor --library mine --repair"),
    "backup": ("rag backup mine.zip --library mine",),
    "restore": ("rag restore mine.zip --library mine2", "rag restore mine.zip --library mine --force"),
    "models": ("rag models --base-url ollama", "rag models --base-url http://localhost:8080/v1 --json"),
    "completion": ("source <(rag completion bash)", "rag completion fish > ~/.config/fish/completions/rag.fish"),
    "mcp": ("rag mcp", "rag mcp --library mine", "rag mcp --model qwen2.5:7b --base-url ollama"),
    "skill": ("rag skill > SKILL.md",),
    "help": ("rag help add", "rag help"),
}
