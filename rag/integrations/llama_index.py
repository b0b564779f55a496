"""A library inside llama-index: as its retriever, its query engine and its chat engine.

    from rag.integrations.llama_index import LibraryChatEngine, LibraryQueryEngine, LibraryRetriever
    nodes = LibraryRetriever(k=3).retrieve("state space models")
    response = LibraryQueryEngine().query("Which attention is IO-aware?")
    response.source_nodes[0].node.start_char_idx       # the quote's place in its abstract

Every LLM object of llama-index writes answers: `LibraryQueryEngine(model=llm)`, or `rag.answer(q, model=llm)`. Nothing
here reads or changes llama-index's global `Settings`. Errors are RagErrors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.base.response.schema import Response
from llama_index.core.callbacks import CallbackManager
from llama_index.core.chat_engine.types import AgentChatResponse, BaseChatEngine, StreamingAgentChatResponse
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from rag import bibliography
from rag.api.library import Library
from rag.records import Answer, Hit, Paper

__all__ = ["LibraryChatEngine", "LibraryQueryEngine", "LibraryRetriever"]

Named = Library | str | Path | None


class LibraryRetriever(BaseRetriever):  # type: ignore[misc]
    """The `k` passages of a library nearest to a query, one a paper, best first.

    A node has the id of its chunk, its place in the abstract (`start_char_idx`, `end_char_idx`, in code points), the paper
    as its source, and what is known of the paper as metadata; its score is 0..1 within one query.

    `library` is an open `rag.Library`, a name or path, or None for the default one; `where` as in `rag.answer`.
    """

    def __init__(
        self,
        library: Named = None,
        *,
        k: int = 8,
        where: str | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self._library, self._k, self._where = _opened(library), k, where

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [_found(hit) for hit in self._library.search(query_bundle.query_str, k=self._k, where=self._where)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class LibraryQueryEngine(BaseQueryEngine):  # type: ignore[misc]
    """Answers from a library, each sentence with its quotes as `source_nodes`; none where the library does not say.

    A source node is a quote, word for word, with its place in the abstract; `metadata` of the response has the "status"
    ("answered", "partial" or "refused"), the "model", and the whole "answer" as `rag.Answer.to_dict` writes it.

    `library` and `where` as for `LibraryRetriever`; `options` (model, judge, k, ...) as for `rag.Library.open`.
    """

    def __init__(
        self,
        library: Named = None,
        *,
        where: str | None = None,
        callback_manager: CallbackManager | None = None,
        **options: Any,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self._library, self._where = _opened(library, **options), where

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """The passages nearest to a query, as `LibraryRetriever` finds them."""
        return [_found(hit) for hit in self._library.search(query_bundle.query_str, where=self._where)]

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}

    def _query(self, query_bundle: QueryBundle) -> Response:
        return _response(self._library.ask(query_bundle.query_str, where=self._where))

    async def _aquery(self, query_bundle: QueryBundle) -> Response:
        return _response(await self._library.aask(query_bundle.query_str, where=self._where))


class LibraryChatEngine(BaseChatEngine):  # type: ignore[misc]
    """A conversation with a library: a follow-up such as "and its cost?" is understood, papers keep their numbers.

    `source_nodes` and the parameters as for `LibraryQueryEngine`; those of a stream are there once it is read to its end.
    A `chat_history` that is given takes the place of what was said so far; messages of a system or a tool are passed over.
    """

    def __init__(self, library: Named = None, *, where: str | None = None, **options: Any) -> None:
        self._library, self._where = _opened(library, **options), where
        self._said: list[Any] = []  # Answers, and the messages that were given

    def reset(self) -> None:
        """Forget what was said."""
        self._said.clear()

    @property
    def chat_history(self) -> list[ChatMessage]:
        """What was said, oldest first."""
        return [message for said in self._said for message in _messages(said)]

    def chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """Answer a message."""
        self._take(chat_history)
        return self._told(self._library.ask(message, history=self._said, where=self._where))

    async def achat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """`chat` for asyncio."""
        self._take(chat_history)
        return self._told(await self._library.aask(message, history=self._said, where=self._where))

    def stream_chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> StreamingAgentChatResponse:
        """Answer a message sentence by sentence, each when it has passed its check."""
        self._take(chat_history)
        response = StreamingAgentChatResponse(is_writing_to_memory=False)

        def pieces() -> Iterator[ChatResponse]:
            with self._library.stream(message, history=list(self._said), where=self._where) as stream:
                for piece in stream:
                    yield _piece(piece)
            self._ended(response, stream.answer)

        response.chat_stream = pieces()
        return response

    async def astream_chat(
        self, message: str, chat_history: list[ChatMessage] | None = None
    ) -> StreamingAgentChatResponse:
        """`stream_chat` for asyncio."""
        self._take(chat_history)
        response = StreamingAgentChatResponse(is_writing_to_memory=False)

        async def pieces() -> AsyncIterator[ChatResponse]:
            async with self._library.astream(message, history=list(self._said), where=self._where) as stream:
                async for piece in stream:
                    yield _piece(piece)
            self._ended(response, stream.answer)

        response.achat_stream = pieces()
        return response

    def _take(self, chat_history: list[ChatMessage] | None) -> None:
        if chat_history is not None:
            self._said = [{"role": message.role.value, "content": message.content} for message in chat_history]

    def _told(self, answer: Answer) -> AgentChatResponse:
        self._said.append(answer)
        response = _response(answer)
        return AgentChatResponse(response.response, source_nodes=response.source_nodes, metadata=response.metadata)

    def _ended(self, response: StreamingAgentChatResponse, answer: Answer) -> None:
        self._said.append(answer)
        response.source_nodes.extend(_quotes(answer))
        response.is_done = True


def _opened(library: Named, **options: Any) -> Library:
    if isinstance(library, Library):
        return library.using(**options) if options else library
    return Library.open(library, **options)


def _piece(text: str) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=text)


def _messages(said: Any) -> Iterator[ChatMessage]:
    if isinstance(said, Answer):
        yield ChatMessage(role=MessageRole.USER, content=said.question)
        yield ChatMessage(role=MessageRole.ASSISTANT, content=said.text)
    else:
        yield ChatMessage(role=said["role"], content=said["content"])


def _response(answer: Answer) -> Response:
    facts = {"status": answer.status, "model": answer.model, "answer": answer.to_dict()}
    return Response(answer.text, source_nodes=_quotes(answer), metadata=facts)


def _quotes(answer: Answer) -> list[NodeWithScore]:
    """The quotes that an answer rests on, in order of first mention."""
    scores = {evidence.paper.id: evidence.score for evidence in answer.evidence}
    return [
        NodeWithScore(
            node=_node(f"{one.paper.id}:{one.start}-{one.end}", one.paper, one.start, one.end, {"number": one.number}),
            score=scores.get(one.paper.id),
        )
        for one in answer.citations
    ]


def _found(hit: Hit) -> NodeWithScore:
    chunk = hit.chunk
    return NodeWithScore(node=_node(chunk.id, hit.paper, chunk.start, chunk.end, {"rank": hit.rank}), score=hit.score)


def _node(id: str, paper: Paper, start: int, end: int, more: dict[str, int]) -> TextNode:
    facts: dict[str, Any] = {"title": paper.title, "paper": paper.id, "key": bibliography.key(paper)}
    facts |= {"authors": "; ".join(paper.authors), "year": paper.year, "venue": paper.venue}
    facts |= {"doi": paper.doi, "url": paper.url}
    metadata = {name: value for name, value in facts.items() if value} | more
    unread: Sequence[str] = [name for name in metadata if name != "title"]  # by a model, or an embedder
    return TextNode(
        id_=id,
        text=paper.abstract[start:end],
        start_char_idx=start,
        end_char_idx=end,
        metadata=metadata,
        excluded_llm_metadata_keys=list(unread),
        excluded_embed_metadata_keys=list(unread),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=paper.id)},
    )
