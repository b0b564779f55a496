"""Details of a known kind: does a question ask for one, and does a sentence give one?

`DETAILS` is the table: what asks for a kind, what gives one, and examples of both, which are its tests. What gives
is drawn wide: to say that a detail is missing where it is given is the worse fault. In what asks, "@" is a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.numbers import quantities
from rag.text import STOPWORDS

_VERBS = (
    r"(?:made|built|developed|created|released|trained|designed|published|maintains?|owns?|makes?|develops?|hosts?)"
)
_ORGANISATION = r"(?:compan(?:y|ies)|universit(?:y|ies)|institut\w*|labs?|laborator\w+|teams?|groups?|organi[sz]ations?|firms?|vendors?)"
_TIME = r"(?:milli|micro)?seconds?|minutes?|hours?|days?|weeks?|months?|years?|ms|hrs?"
_METRIC = (
    r"accurac(?:y|ies)|f1|bleu|rouge|meteor|scores?|scored|top-?[15]|perplexity|ppl|map|auc|auroc|exact match|pass 1|"
    r"win ?rate|elo|bits per (?:character|byte)|bpc|wer|recall|precision|ndcg|mrr|error rate|performance"
)


class Detail(NamedTuple):
    """A kind of detail: `label` is what an answer calls it; `of_data` says that it is one on a named data set."""

    label: str
    asks: str
    gives: str
    asking: tuple[str, ...]
    giving: tuple[str, ...]
    silent: tuple[str, ...] = ()
    of_data: bool = False


DETAILS = (
    Detail("a licence", r"licen[cs]e[ds]?\b|licen[cs]ing\b",
           r"licen[cs]|\bcc[ -](?:by|0)|\bcc0\b|\bapache\b|\bgpl\b|\bmit\b|\bbsd\b|public domain|open[- ]access",
           ("What licence is @ under?", "is @ MIT or apache licensed", "@ license?"),
           ("It is released under CC BY-SA.", "The code has the MIT license."), ("We release the code.",)),
    Detail("a learning rate", r"learning[- ]rates?\b|\blr\b", r"learning[- ]rate|\blr\b",
           ("What learning rate did @ use?", "learning rate of @", "which learning rate did they train the @ model with?"),
           ("We train with a learning rate of 1e-4.",), ("We train with Adam.",)),
    Detail("a batch size", r"(?:what|which) (?:mini-?)?batch size (?:did|does|was|were|is|do)\b|^batch size (?:of|for) @", r"batch",
           ("What batch size did @ use?", "batch size of @"), ("The batch size is 4M tokens.",), ("We train with Adam.",)),
    Detail("a memory size", r"how much (?:\w+ )?(?:memory|v?ram)\b|(?:memory|v?ram) (?:need|requirement|footprint|consumption|size|usage)",
           r"\d ?[kmgt]i?b\b|memory[^.]*\d|\d[^.]*memory",
           ("How much GPU memory does @ need?", "memory footprint of @"), ("It needs 24GB.", "It cuts memory by 40%."), ("It runs on four A100 GPUs.",)),
    Detail("a training time", r"\b[gt]pu[- ](?:hours?|days?|time)|how long (?:does|did|do|was|is) .*\b(?:train\w*|take|run|last)\b|(?:training|wall[- ]clock|running) time\b",
           rf"\b(?:\d[\d,.]*|half|one|two|three|four|five|six|seven|eight|nine|ten|an?|few|several|many|per|of|in)[- ](?:[a-z0-9]+[- ]){{0,3}}(?:{_TIME})\b|\d ?(?:ms|s|h|hrs?)\b|faster|speed",
           ("how long did @ take to train", "training time of @"),
           ("It was trained for 3 days.", "It is twice faster."), ("It was trained on GPUs.",)),
    Detail("hardware", r"\b(?:hardware|accelerators?)\b|(?:which|what|how many|on) (?:\w+ )?(?:[gtc]pus?|devices?|nodes?)\b|what (?:was|were|is) @ (?:\w+ )?(?:trained|run|timed) on",
           r"\b[gtc]pus?\b|\b(?:[ahvpt]\d{2,3}s?|rtx|mi\d{3}\w?|jetson|raspberry)\b|hardware|machines?\b|cluster|processor|\bnodes?\b|accelerator|\bdevice|laptop|\bcores\b",
           ("what hardware was @ trained on", "On which GPU was @ run?", "how many GPUs does @ need"), ("It runs on a V100 GPU.",), ("It is trained on text.",)),
    Detail("a cost", r"(?<!computational )(?<!memory )(?<!compute )(?<!training )(?<!inference )(?<!time )\b(?:costs?|priced?|dollars?|usd|api fees|budget)\b(?! function| model)|how expensive|how much (?:money|was .* paid|were .* paid)",
           r"[$€£] ?\d|\d ?(?:dollars?|usd|cents?|euros?)\b|\b(?:costs?|price|fees?|budget)\b[^.]*\d|\d[^.]*\b(?:costs?|price|fees?|budget|cheaper|expensive)\b|cheaper|low-cost|inexpensive",
           ("How much did @ cost?", "price of @ in dollars?", "what does one run of @ cost", "and its cost?"),
           ("All at a cost of only $25.", "It cuts costs by 40%."), ("Human labels are costly.",)),
    Detail("who made it", rf"(?:which|what) {_ORGANISATION}\b|who (?:\w+ )?(?:{_VERBS}|funded|paid for|sponsored|is behind|are behind)\b|(?:funded|sponsored) by\b",
           r"universit|institut|\bcompan(?:y|ies)\b|\binc\b|google|openai|\bmeta\b|microsoft|nvidia|deepmind|amazon|\bapple\b|facebook|\bibm\b|hugging ?face|alibaba|baidu|tencent|anthropic|"
           r"\bfund|laborator|consorti|foundation(?! models?)|collective|\bteam\b|initiative",
           ("Which company made @?", "which university is behind @", "Who funded @?"), ("It was built at a university.",), ("We build a foundation model.",)),
    Detail("a number of parameters", r"\b(?:how many|number of|count of) (?:\w+ )?(?:parameters?|params|weights)\b|\bparam(?:eter)? count\b|^@ (?:parameters?|params)$|^(?:parameters?|params) of @|model size of\b",
           r"\d(?:\.\d+)?[ -]?[bmt]\b|\d[^.]*\bparam|\bparam[^.]*\d|billion|million|trillion",
           ("How many parameters does @ have?", "@'s parameters?", "parameter count of @"), ("A 7B model.", "It has 130 billion parameters."), ("It has few parameters.",)),
    Detail("a number of tokens", r"\b(?:how many|number of) (?:\w+ )?tokens\b", r"\d[^.]*\btokens?\b|\btokens?\b[^.]*\d|\b(?:hundreds|thousands|millions|billions|trillions?) of [^.]*tokens",
           ("number of tokens @ saw in pretraining", "On how many tokens was @ pre-trained?"), ("We pretrain on 3.4T tokens.",), ("It reads tokens.",)),
    Detail("a date", r"\bwhen (?:was|were|did|is|will) .*(?:releas|publish|made|creat|built|introduc|come out|came out|launch|appear)|(?:what|which) year\b|(?:release|publication) date\b|how old is @",
           r"\b(?:19|20)\d\d\b|\breleas|\bmonths?\b|\byears?\b|\b(?:january|february|april|june|july|august|september|october|november|december)\b",
           ("When was @ released?", "what year is @ from", "release date of @?"), ("It was built in 2019.",), ("It is new.",)),
    Detail("a link", r"\b(?:links?|urls?|github|repo(?:sitory)?|website|homepage|web page|project page|download)\b|where (?:is|can i|do i) .*\bcode\b",
           r"https?|www\.|github|\bcode\b|website|\bavailable\b|open-?source|publicly|\brelease",
           ("github link of @?", "where can I find the code of @", "@ url"), ("Code is available at https://x.org.",), ("It is fast.",)),
    Detail("a score", rf"\b(?:{_METRIC})\b", r"\d|half|twice|double",
           ("What accuracy does @ reach on ImageNet?", "ponet f1 on squad", "@ ImageNet top-1?"), ("It reaches 85.7% on ImageNet.",), ("It is tested on ImageNet.",), of_data=True),
)  # fmt: skip
_COMPILED = tuple((d, re.compile(d.asks, re.IGNORECASE), re.compile(d.gives, re.IGNORECASE)) for d in DETAILS)
METRIC = re.compile(rf"(?:{_METRIC})s?", re.IGNORECASE)
_ON = re.compile(r"\b(?:on|for|in) (?:the )?([\w-]*[A-Za-z][\w-]*(?: ?\d[\w-]*)?)")
_COUNTED = re.compile(r"\b(?:how many|number of)\b")
NUMBER = Detail(
    "a number", r"\b(?:how many|number of)\b", "", ("How many questions does @ have?",), ("It has 5 questions.",)
)


def wanted(template: str) -> Detail | None:
    """The kind of detail that a question asks for, as `shape.template` gives it; None is none that is known."""
    for detail, asks, _ in _COMPILED:
        if asks.search(template):
            return detail
    return NUMBER if _COUNTED.search(template) else None


def gives(detail: Detail, sentence: str) -> bool:
    """Does a readable sentence give a detail of that kind?"""
    if detail is NUMBER:
        return bool(quantities(sentence)) or bool(
            re.search(r"\b(?:several|dozens?|hundreds|thousands|millions)\b", sentence)
        )
    return any(pattern.search(sentence) for known, _, pattern in _COMPILED if known is detail)


def data_set(template: str) -> str:
    """What a score is asked on, where the library knows no name for it: "squad" of "f1 on squad"; "" is nothing."""
    found = _ON.findall(template)
    names: Sequence[str] = [name for name in found if name.lower() not in STOPWORDS and not METRIC.fullmatch(name)]
    return names[-1] if names else ""
