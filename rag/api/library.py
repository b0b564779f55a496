"""`rag.Library`: one library with all that can be done with it. The store below it is `rag.library.store.Library`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.api.asking import Asking, Options, filtered
from rag.errors import LibraryError, PaperNotFound, RagError, UsageError
from rag.records import Paper
from rag.remedies import Remedy

if TYPE_CHECKING:
    from rag.answering.assistant import Assistant
    from rag.library.embed import Embedder
    from rag.library.report import Added
    from rag.library.store import Library as Store

Files = str | Path | Iterable[str | Path]
Progress = Callable[[str, int, int], None]  # (what is going on, done, of how many)


class Library(Asking):
    """A library of papers: what is in it, how it is changed, and questions to it. Use it in a `with`.

    What is asked sees the library as it is at that moment, whatever is written meanwhile. Threads may share it.

    name   as it was opened; None for the shipped abstracts, which cannot be changed
    built  what `Library.build` did with each record; None for one that was opened

    >>> with rag.Library.open() as library:
    ...     len(library), library.ask("Which attention is IO-aware?").citations[0].paper in library
    (213, True)
    """

    def __init__(self, name: str | None, store: Store, options: Options, held: _Held | None = None) -> None:
        self._options, self._settings = options, replace(options.settings(name), library=name)
        self._held = held or _Held(store)
        super().__init__(self._assistant, options.keep_unverified)
        self.name = name
        self.built: Added | None = None

    # --- opening --------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        name: str | Path | None = None,
        *,
        model: Any = None,
        base_url: str | None = None,
        judge: Any = None,
        k: int | None = None,
        deadline: float | None = None,
        prompt_tokens: int | None = None,
        keep_unverified: bool = False,
        progress: Progress | None = None,
    ) -> Library:
        """The library of that name or path; None is the one that RAG_LIBRARY or the settings file names, else the shipped one.

        model, base_url   a chat model's name and its server, a GGUF file, or a llama-index LLM object; None is what
                          RAG_MODEL or the settings file says, "extractive" is none
        judge             a chat model that looks at what the model wrote, or "same"
        k                 papers an answer may draw on, 1 to 100; None is as many as its question needs
        deadline          seconds for one question, with all calls of the model; more than 0, at most 86,400
        prompt_tokens     tokens of passages that the model is shown, 100 to 1,000,000; None is what its context has room for
        keep_unverified   whether an answer's text ends with the sentences that were taken out, struck through, why behind each
        progress          told (stage, done, of how many) while the shipped library is built

        Raises LibraryMissing, LibraryDamaged, LibraryNewer, or UsageError for a wrong value.
        """
        options = Options(model, base_url, judge, k, deadline, prompt_tokens, keep_unverified)
        chosen = options.settings(name).library
        return cls(chosen, opened_store(chosen, progress), options)

    @classmethod
    def build(
        cls,
        paths: Files,
        name: str | Path,
        *,
        format: str | None = None,
        columns: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        embedder: str | None = None,
        embed_url: str | None = None,
        **options: Any,
    ) -> Library:
        """Read files into the library of that name or path, made if it is not there, and open it with `options` as `open` does.

        The others as in `rag.add`, whose report is `library.built`. Raises ReadError when no paper could be read.
        """
        report = added(
            paths, name, format=format, columns=columns, progress=progress, embedder=embedder, embed_url=embed_url
        )
        library = cls.open(name, **options)
        library.built = report
        return library

    def using(self, **options: Any) -> Library:
        """The same open library with other options of `open`; those that are not given stay. Closing one closes both.

        >>> with rag.Library.open() as library:
        ...     len(library.using(k=1).ask("Which attention is IO-aware?").numbers)
        1
        """
        if unknown := options.keys() - set(Options._fields):
            raise UsageError(f"no option is called {min(unknown)!r}; there are {', '.join(Options._fields)}")
        return Library(self.name, self.store, self._options._replace(**options), self._held)

    @property
    def store(self) -> Store:
        """What lies on disk, for those who look inside (`rag.library.store`). Raises LibraryError once it is closed."""
        return self._held.store

    def close(self) -> None:
        """Give the files back. What is asked of it afterwards raises LibraryError."""
        self._held.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _assistant(self) -> Assistant:
        return self._held.assistant(self._settings, *self._options.objects)

    # --- what is in it --------------------------------------------------------------------------

    def papers(self, where: str | None = None) -> tuple[Paper, ...]:
        """The papers in the order they were added, or those that a filter such as 'year>=2023 author:Smith' admits."""
        admitted = self.store.subsets.selected(chosen).ids if (chosen := filtered(where)) else None
        return tuple(paper for paper in self.store if admitted is None or paper.id in admitted)

    def get(self, paper: str) -> Paper:
        """The paper with that id, the beginning of one (4 or more digits), title or citation key. Raises PaperNotFound."""
        return self.store.paper(paper)

    def export(
        self,
        file: str | Path | None = None,
        *,
        format: str | None = None,
        papers: Iterable[str] = (),
        where: str | None = None,
        force: bool = False,
    ) -> str:
        """Papers whole, as text for other programs, also written to `file` if one is named.

        `format` is "bibtex", "csl", "jsonl" or "ris"; None is what the file's ending says, else BibTeX. `papers` are ids,
        titles or keys (none: all), of which `where` admits some. `force` replaces a file that is there. Raises UsageError,
        PaperNotFound, or RagError when the file cannot be written.

        >>> with rag.Library.open() as library:
        ...     print(library.export(papers=["ab71d384aa75"], format="ris").splitlines()[0])
        TY  - GEN
        """
        from rag import formats
        from rag.show import export

        place = Path(file).expanduser() if file is not None else None
        form = formats.named(format, formats.PAPERS) if format else formats.DEFAULT
        if place and not format:
            if place.suffix.lower() not in formats.PAPERS_BY_SUFFIX:
                endings = ", ".join(formats.PAPERS_BY_SUFFIX)
                raise UsageError(f"{place}: the ending says no format; use one of {endings}, or give format")
            form = formats.PAPERS_BY_SUFFIX[place.suffix.lower()]
        named, admitted = [self.get(paper) for paper in papers], self.papers(where)
        text = export.write_papers(form, [one for one in named if one in admitted] if named else admitted)
        if place:
            export.write(place, text, over=force)
        return text

    def status(self) -> dict[str, Any]:
        """What `rag status --json` says: where it lies, counts, generation, fingerprint, its files, and what answers.

        >>> with rag.Library.open() as library:
        ...     library.status()["papers"]
        213
        """
        from rag.library.status import status_of

        return status_of(self._settings)

    def journal(self) -> list[dict[str, Any]]:
        """The changes, oldest first: generation, at (ISO 8601, UTC), action, and its details."""
        return self.store.journal()

    @property
    def path(self) -> Path:
        """The folder it lies in."""
        return self.store.path

    @property
    def generation(self) -> int:
        """How often it has changed; 0 while it was never filled."""
        return self.store.generation

    @property
    def fingerprint(self) -> str:
        """12 hex digits of what it holds: the same papers give the same one anywhere."""
        return self.store.fingerprint

    def __len__(self) -> int:
        return len(self.store)

    def __iter__(self) -> Iterator[Paper]:
        return iter(self.store)

    def __contains__(self, paper: object) -> bool:
        """Is it a paper of the library, or what `get` finds one by?"""
        try:
            return isinstance(paper, Paper | str) and bool(self.get(paper.id if isinstance(paper, Paper) else paper))
        except PaperNotFound:
            return False

    def __repr__(self) -> str:
        try:
            held = f"{len(self):,} papers"
        except RagError:
            held = "closed or damaged"
        return f"Library({self.name[:120] if self.name else 'shipped abstracts'!r}, {held})"

    # --- changing it ----------------------------------------------------------------------------

    def add(
        self,
        paths: Files,
        *,
        format: str | None = None,
        columns: Mapping[str, str] | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Added:
        """`rag.add` to this library; what became of each record. Raises UsageError for the shipped abstracts."""
        return added(paths, self.name, format=format, columns=columns, dry_run=dry_run, progress=progress)

    def sync(self, *, prune: bool = False, dry_run: bool = False, progress: Progress | None = None) -> Added:
        """Look again at all that was added: read what is new or changed; what is gone is told, and with `prune` removed.

        Raises LibraryError, also when no file is known, or EmbedError.
        """
        from rag.library import changes

        own = own_name(self.name)
        return changes.sync(own, own_embedder(own), prune=prune, dry_run=dry_run, progress=progress)

    def remove(self, paper: str) -> Paper:
        """Remove the paper that `get` finds by these words; the paper. Raises PaperNotFound or LibraryError."""
        from rag.library import changes

        own = own_name(self.name)
        return changes.remove(paper, own, own_embedder(own))

    def undo(self) -> dict[str, Any]:
        """Take back the last change that was not taken back yet. Raises LibraryError when there is none.

        What it was: "action", "at" (ISO 8601, UTC), ids "removed" and "restored" by taking it back, and "papers" now.
        """
        from rag.library import changes

        own = own_name(self.name)
        return changes.undo(own, own_embedder(own))


class _Held:
    """What a library and its other forms (`Library.using`) have open together: made when it is first asked for."""

    def __init__(self, store: Store) -> None:
        import threading

        self._store, self._lock, self._is_closed = store, threading.Lock(), False
        self._made: dict[Any, Assistant] = {}

    @property
    def store(self) -> Store:
        """The store. Raises LibraryError once it is closed."""
        if self._is_closed:
            raise LibraryError(f"the library at {self._store.path} is closed; open it again with rag.Library.open")
        return self._store

    def assistant(self, settings: Any, model: Any, judge: Any) -> Assistant:
        """The assistant for these settings and model objects, opened once."""
        from rag.answering.opening import assistant_over

        key = (settings, None if model is None else id(model), None if judge is None else id(judge))
        with self._lock:
            if key not in self._made:
                base = next(iter(self._made.values()), None)
                self._made[key] = assistant_over(self.store, settings, model, judge, base=base)
            return self._made[key]

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            for one in self._made.values():
                one.close()
            self._store.close()
            self._made.clear()
            self._is_closed = True


def own_embedder(name: str, wanted: str | None = None, url: str | None = None) -> Embedder:
    """The embedder of a library of one's own; where there is none of that name yet, the one that is wanted."""
    from rag.library.served import embedder_for

    return embedder_for(name, wanted, url)


def opened_store(name: str | None, progress: Progress | None = None) -> Store:
    """The store of that name or path; None is the shipped one, which is built if need be."""
    from rag.answering.opening import open_library
    from rag.library.embed import open_embedder

    return open_library(name, open_embedder(), progress)


def own_name(name: str | Path | None) -> str:
    """The name of a library that may be changed. Raises UsageError for the shipped one."""
    if name is None:
        raise UsageError("the shipped library is never changed", Remedy.NAME_LIBRARY)
    return str(name)


def added(
    paths: Files,
    name: str | Path | None,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    embedder: str | None = None,
    embed_url: str | None = None,
) -> Added:
    """`rag.add`, to the library of that name or path."""
    from rag.library import changes
    from rag.readers import Way

    own = own_name(name)
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    way = Way(format, columns or {})
    report = changes.add(files, own, own_embedder(own, embedder, embed_url), way, dry_run=dry_run, progress=progress)
    if report.problem:
        raise report.problem
    return report
