"""A library inside llama-index: its retriever, query engine and chat engine, without a key and without its Settings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, LLMMetadata
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeRelationship, QueryBundle
from llama_index.core.tools import QueryEngineTool, RetrieverTool
from made import FLASH, POKER, S4, library

import rag
from rag.integrations.llama_index import LibraryChatEngine, LibraryQueryEngine, LibraryRetriever

ASKED = "Which attention is IO-aware?"
SAID = "FlashAttention is exact and IO-aware [1]."


class Canned(CustomLLM):
    """An LLM object of llama-index that completes every prompt in the same way."""

    said: str = SAID
    prompts: list[str] = []  # noqa: RUF012  pydantic copies it

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="canned", context_window=16_000)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self.prompts.append(prompt)
        return CompletionResponse(text=self.said)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        self.prompts.append(prompt)
        so_far = ""
        for word in self.said.split(" "):
            so_far += word + " "
            yield CompletionResponse(text=so_far, delta=word + " ")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    with rag.Library.open(library(tmp_path_factory.mktemp("llama") / "mine", S4, FLASH, POKER)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _settings_untouched():
    """Reading `Settings.llm` or `.embed_model` makes one, of OpenAI's; that would show in these."""
    before = dict(vars(Settings))
    yield
    assert dict(vars(Settings)) == before
    assert Settings._llm is Settings._embed_model is None


def test_a_retriever_gives_passages_with_their_places(mine):
    nodes = LibraryRetriever(mine, k=2).retrieve(ASKED)
    node = nodes[0].node
    assert node.text == FLASH.abstract[node.start_char_idx : node.end_char_idx]
    assert (node.node_id, len(nodes), nodes[0].score > nodes[1].score) == (f"{FLASH.id}.0", 2, True)
    assert node.metadata == {"title": FLASH.title, "paper": FLASH.id, "key": f"flashattention-{FLASH.id}", "rank": 1}
    assert node.relationships[NodeRelationship.SOURCE].node_id == FLASH.id
    assert asyncio.run(LibraryRetriever(mine, k=2).aretrieve(QueryBundle(ASKED))) == nodes
    assert LibraryRetriever(str(mine.path), k=1).retrieve(ASKED)[0].node.node_id == node.node_id
    with pytest.raises(rag.UsageError, match="the question is empty"):
        LibraryRetriever(mine).retrieve(" ")


def test_a_query_engine_answers_with_quotes(mine):
    engine = LibraryQueryEngine(mine)
    response = engine.query(ASKED)
    source = response.source_nodes[0]
    assert len(response.source_nodes) == len(mine.ask(ASKED).citations)
    assert str(response) == mine.ask(ASKED).text
    assert source.node.text == FLASH.abstract[source.node.start_char_idx : source.node.end_char_idx]
    assert (source.node.metadata["number"], response.metadata["status"]) == (1, "answered")
    assert rag.Answer.from_dict(response.metadata["answer"]).text == str(response)
    assert str(asyncio.run(engine.aquery(ASKED))) == str(response)
    assert engine.retrieve(QueryBundle(ASKED))[0].node.metadata["paper"] == FLASH.id
    nothing = engine.query("How do I bake sourdough bread?")
    assert (nothing.source_nodes, nothing.metadata["status"]) == ([], "refused")


def test_a_chat_engine_understands_what_came_before(mine):
    engine = LibraryChatEngine(mine)
    first = engine.chat(ASKED)
    second = engine.chat("And its accuracy on Path-X?")
    assert "61.4%" in second.response
    assert second.source_nodes[0].node.metadata["number"] == first.source_nodes[0].node.metadata["number"] == 1
    assert [str(message.role.value) for message in engine.chat_history] == ["user", "assistant"] * 2
    third = engine.chat("And its accuracy on Path-X?", chat_history=engine.chat_history[:2])
    assert ("61.4%" in third.response, len(engine.chat_history)) == (True, 4)
    engine.reset()
    assert engine.chat_history == []
    system = ChatMessage(role="system", content="Be kind.")
    assert engine.chat(ASKED, [system]).response == first.response
    assert asyncio.run(LibraryChatEngine(mine).achat(ASKED)).response == first.response


def test_a_chat_engine_streams(mine):
    engine = LibraryChatEngine(mine)
    response = engine.stream_chat(ASKED)
    assert "".join(response.response_gen).strip() == response.response == mine.ask(ASKED).text
    assert (len(response.source_nodes), len(engine.chat_history)) == (len(mine.ask(ASKED).citations), 2)

    async def told():
        response = await engine.astream_chat("And its accuracy on Path-X?")
        return "".join([piece async for piece in response.async_response_gen()]), response.source_nodes

    text, nodes = asyncio.run(told())
    assert ("61.4%" in text, bool(nodes), len(engine.chat_history)) == (True, True, 4)


def test_their_models_write_our_answers(mine):
    llm = Canned()
    response = LibraryQueryEngine(mine, model=llm).query(ASKED)
    assert (str(response), response.metadata["model"]) == ("FlashAttention is exact and IO-aware. [1]", "canned")
    assert any("Which attention is IO-aware?" in prompt for prompt in llm.prompts)
    streamed = LibraryChatEngine(mine, model=llm).stream_chat(ASKED)
    assert "".join(streamed.response_gen).strip() == str(response)
    assert rag.answer(ASKED, library=str(mine.path), model=llm).text == str(response)


def test_our_retriever_serves_their_engine_and_their_tools(mine):
    llm = Canned(said="It is FlashAttention.")
    synthesizer = get_response_synthesizer(llm=llm, callback_manager=CallbackManager())
    engine = RetrieverQueryEngine(LibraryRetriever(mine, k=1), response_synthesizer=synthesizer)
    assert str(engine.query(ASKED)) == "It is FlashAttention."
    assert FLASH.abstract[:40] in llm.prompts[0]
    assert f"title: {FLASH.title}" in llm.prompts[0]
    assert "paper:" not in llm.prompts[0]
    tool = QueryEngineTool.from_defaults(LibraryQueryEngine(mine), name="library", description="Asks papers.")
    assert "FlashAttention" in tool("Which attention is IO-aware?").content
    assert "FlashAttention" in RetrieverTool.from_defaults(LibraryRetriever(mine, k=1))(ASKED).content
