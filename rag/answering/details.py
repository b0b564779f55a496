"""Details of a known kind: does a question ask for one, and does a sentence give one?

`DETAILS` is the table: what asks for a kind, what gives one, and examples of both, which are its tests. What gives
is drawn wide: to say that a detail is missing where it is given is the worse fault. In what asks, "@" is a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.text import STOPWORDS, stem, words

_VERBS = r"(?:made|built|developed|created|released|trained|designed|published|maintains?|owns?|makes?|develops?|hosts?|runs?|operates?)"
_ORGANISATION = r"(?:compan(?:y|ies)|universit(?:y|ies)|institut\w*|labs?|laborator\w+|teams?|groups?|organi[sz]ations?|firms?|vendors?)"
_TIME = r"(?:milli|micro)?seconds?|minutes?|hours?|days?|weeks?|months?|years?|ms|hrs?"
_METRIC = (
    r"accurac(?:y|ies)|f1|bleu|rouge|meteor|scores?|scored|top-?[15]|perplexity|ppl|map|auc|auroc|exact match|pass 1|"
    r"win ?rate|elo|bits per (?:character|byte)|bpc|wer|recall|precision|ndcg|mrr|error rate|performance"
)


class Detail(NamedTuple):
    """A kind of detail: `label` is what an answer calls it.

    `of_data` says that it is one on a named data set; `figure` that it is a figure, which digits in a name are not.
    """

    label: str
    asks: str
    gives: str
    asking: tuple[str, ...]
    giving: tuple[str, ...]
    silent: tuple[str, ...] = ()
    of_data: bool = False
    figure: bool = False


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
    Detail("GPU hours", r"\b[gt]pu[- ](?:hours?|days?|time)",
           r"\b[gt]pus?[- ](?:hours?|days?|weeks?)\b|\b(?:[gt]pus?|train\w*|pretrain\w*)\b[^.]*\b(?:hours?|days?|weeks?|minutes)\b|\b(?:hours?|days?|weeks?|minutes)\b[^.]*\b(?:[gt]pus?|train\w*)\b",
           ("How many GPU hours did @ need?", "GPU days for @?"), ("It takes 60 GPU days.", "It was trained for 3 days."), ("It answers in 15 seconds.",)),
    Detail("a training time", r"how long (?:does|did|do|was|is) .*\b(?:train\w*|take|run|last)\b|(?:training|wall[- ]clock|running) time\b",
           rf"\b(?:\d[\d,.]*|half|one|two|three|four|five|six|seven|eight|nine|ten|an?)[- ](?:[a-z0-9]+[- ]){{0,2}}(?:{_TIME})\b|"
           r"\b(?:within|in|takes?|took|several|many|few|only|for) (?:hours|minutes|seconds|days|weeks)\b|\d ?(?:ms|s|h|hrs?)\b|faster|speed",
           ("how long did @ take to train", "training time of @"),
           ("It was trained for 3 days.", "It is twice faster.", "It takes minutes."), ("It was trained on GPUs.", "In recent years it grew.")),
    Detail("hardware", r"\b(?:hardware|accelerators?)\b|(?:which|what|how many|on) (?:\w+ )?(?:[gtc]pus?|devices?|nodes?)\b|what (?:was|were|is) @ (?:\w+ )?(?:trained|run|timed) on",
           r"\b[gtc]pus?\b|\b(?:[ahvpt]\d{2,3}s?|rtx|mi\d{3}\w?|jetson|raspberry)\b|hardware|machines?\b|cluster|processor|\bnodes?\b|accelerator|\bdevice|laptop|\bcores\b",
           ("what hardware was @ trained on", "On which GPU was @ run?", "how many GPUs does @ need"), ("It runs on a V100 GPU.",), ("It is trained on text.",)),
    Detail("a cost", r"(?<!computational )(?<!memory )(?<!compute )(?<!training )(?<!inference )(?<!time )\b(?:costs?|priced?|dollars?|usd|api fees|budget)\b(?! function| model)|how expensive|how much (?:money|was .* paid|were .* paid)",
           r"[$€£] ?\d|\d ?(?:dollars?|usd|cents?|euros?)\b|\b(?:costs?|price|fees?|budget)\b[^.]*\d|\d[^.]*\b(?:costs?|price|fees?|budget|cheaper|expensive)\b|cheaper|low-cost|inexpensive",
           ("How much did @ cost?", "price of @ in dollars?", "what does one run of @ cost", "and its cost?"),
           ("All at a cost of only $25.", "It cuts costs by 40%."), ("Human labels are costly.",)),
    Detail("who made it", rf"(?:which|what) {_ORGANISATION}\b|who (?:\w+ )?(?:{_VERBS}|funded|paid for|sponsored|is behind|are behind)\b|(?:funded|sponsored) by\b",
           r"universit|institut|\bcompan(?:y|ies)\b|\binc\b|google|openai|\bmeta\b(?![- ])|microsoft|nvidia|deepmind|amazon|\bapple\b|facebook|\bibm\b|hugging ?face|alibaba|baidu|tencent|anthropic|"
           r"\bfund(?:s|ed|ing|er)\b|laborator|consorti|(?<!\ba )(?<!\bthe )(?<!\bof )foundation(?! models?)|\bcollective\b|\bteam\b|initiative|\barchive\b|academy|hospital|\bagency\b|ministry|(?:research|medical|health) cent(?:er|re)|school of|\bcollege\b|\bsociety of\b|association of|alliance|corporation",
           ("Which company made @?", "which university is behind @", "Who funded @?"), ("It was built at a university.",),
           ("We build a foundation model.", "It is a fundamental idea.", "Collectively, the results hold.")),
    Detail("a number of parameters", r"\b(?:how many|number of|count of) (?:\w+ )?(?:parameters?|params|weights)\b|\bparam(?:eter)? count\b|^@ (?:parameters?|params)$|^(?:parameters?|params) of @|model size of\b",
           r"(?<![\d.])\d{1,3}(?:\.\d+)?[ -]?[bmt]\b|\d[^.]*\bparam|\bparam[^.]*\d|billion|million|trillion",
           ("How many parameters does @ have?", "@'s parameters?", "parameter count of @"), ("A 7B model.", "It has 130 billion parameters."), ("It has few parameters.", "Tested on Weather 2014T."), figure=True),
    Detail("a number of tokens", r"\b(?:how many|number of) (?:\w+ )?tokens\b", r"\d[^.]*\btokens?\b|\btokens?\b[^.]*\d|\b(?:hundreds|thousands|millions|billions|trillions?) of [^.]*tokens",
           ("number of tokens @ saw in pretraining", "On how many tokens was @ pre-trained?"), ("We pretrain on 3.4T tokens.",), ("It reads tokens.",), figure=True),
    Detail("a context length", r"\b(?:context|sequence|input) (?:length|window|size)s?\b|how long (?:an? )?(?:context|sequence|input|text)s?\b",
           r"\d[\d,.]* ?[km]?\b[^.]*\b(?:tokens?|contexts?|lengths?|windows?|words|long)\b|\b(?:contexts?|lengths?|windows?|tokens?)\b[^.]*\d",
           ("What context length does @ support?", "context window of @"), ("Contexts of 128K tokens.",), ("It reads long texts.",), figure=True),
    Detail("its size", r"\bhow (?:big|large) (?:is|are|was|were) @|^(?:what (?:is|was) )?(?:the )?size of @$|^@ size$",
           r"\d[\d,.]*(?: ?[kmbt])?\+?[ -](?!(?:x|times|percent|points?|is|are|was|were|and|or|of|to|in|on|for|by|with|at|as|from|the|an?|out|more|faster|higher|lower|better)\b|%)[a-z]|\b(?:hundreds|thousands|millions|billions) of",
           ("how big is @?", "What is the size of @", "@ size"), ("It has 1,227 questions.",), ("It is 30% faster.",), figure=True),
    Detail("an address to write to", r"\be-?mails?\b|\bcontact (?:address|details?|person)\b|how (?:can|do) i contact", r"\w@\w|e-?mail",
           ("what is the email of the authors of @", "how can I contact the authors of @"), ("Write to a@b.org.",), ("We thank all.",)),
    Detail("its authors", r"\bwho (?:is|are|was|were) (?:the )?(?:\w+ )?(?:authors?|writers?)\b|\bwho (?:wrote|authored)\b|\b(?:authors?|writers?) of @$|^@ authors?$|how many authors\b|\bnames? of (?:the )?authors?\b",
           r"(?!)", ("Who is the first author of @?", "who wrote @", "How many authors wrote @?"), ()),
    Detail("a venue", r"\b(?:which|what) (?:journal|conference|venue|workshop|proceedings)\b|where (?:was|were|is|did) .*\b(?:published|appear\w*|presented)\b", r"(?!)",
           ("In which journal did @ appear?", "where was @ published?"), ()),
    Detail("an optimizer", r"\b(?:what|which) optimi[sz]er\b|^optimi[sz]er (?:of|for) @", r"optimi[sz]er|\badamw?\b|\bsgd\b|gradient descent",
           ("Which optimizer was used to train @?", "what optimizer does @ use"), ("We use Adam.",), ("We train it.",)),
    Detail("a loss function", r"\b(?:what|which) (?:\w+ )?loss(?: function)?\b|^loss (?:function )?(?:of|for) @", r"\bloss(?:es)?\b|entropy|objective",
           ("What loss function does @ use?", "which loss is @ trained with"), ("The loss is new.",), ("We train it.",)),
    Detail("a programming language", r"\bprogramming language (?:is|was|does|did)\b|\b(?:what|which) (?:programming )?language (?:is|was) @ (?:written|implemented|coded)|(?:written|implemented|coded) in$",
           r"\b(?:python|java\w*|c\+\+|rust|pytorch|jax|tensorflow|cuda|triton|julia|matlab|fortran|perl|go|scala|haskell)\b",
           ("What programming language is @ written in?", "what is @ implemented in"), ("A Python package.",), ("A package.",)),
    Detail("a temperature", r"\b(?:what|which) (?:sampling )?temperature\b|^temperature (?:of|for) @", r"temperature|°",
           ("what temperature did @ use",), ("The temperature is 0.7.",), ("It is hot.",)),
    Detail("a hyper-parameter of that kind", r"\b(?:what|which|how much) (?:dropout|weight decay|momentum|warm-?up|random seeds?|seeds?|vocab\w*(?: size)?)\b|^(?:dropout|weight decay|vocab\w*(?: size)?) (?:of|for) @",
           r"dropout|decay|momentum|warm-?up|\bseeds?\b|vocab", ("What dropout did @ use?", "vocabulary size of @"), ("Dropout is 0.1.",), ("We train it.",)),
    Detail("a dose", r"\b(?:what|which) dos(?:e|age)s?\b|^dos(?:e|age) of @", r"\d ?(?:[mµμu]?g|ml|iu|mmol|nm|[µμu]m)\b|\bdos(?:e|es|age|ages)\b",
           ("What dose of @ was given?",), ("Patients took 5 mg.",), ("Patients took it.",)),
    Detail("a p value", r"\bp[- ]values?\b|\bsignificance level\b", r"\bp ?[<=>≤]|p-value", ("What is the p-value of @?",), ("It fell (P < 0.01).",), ("It fell.",)),
    Detail("whether it is open", r"^(?:is|are|was|were) .*@.*\b(?:open[- ]?sourced?|publicly available|free(?:ly)?(?: available)?|downloadable|public)\b|^can i (?:download|use|get|try) @",
           r"https?|www\.|github|\bcode\b|website|\bavailable\b|open-?source|\bopen\b|publicly|\breleas",
           ("is @ open source?", "Is @ freely available?", "can I download @"), ("We release the code.",), ("It is fast.",)),
    Detail("a date", r"\bwhen (?:was|were|did|is|will) .*(?:releas|publish|made|creat|built|introduc|come out|came out|launch|appear)|(?:what|which) year\b|(?:release|publication) date\b|how old is @",
           r"\b(?:19|20)\d\d\b|\b(?:january|february|april|june|july|august|september|october|november|december)\b",
           ("When was @ released?", "what year is @ from", "release date of @?"), ("It was built in 2019.",), ("It is new.", "Many were released in recent months.")),
    Detail("a link", r"\b(?:links?|urls?|github|website|homepage|web page|project page)\b", r"https?|www\.|github|website|\w\.(?:com|org|io)\b|hugging ?face",
           ("github link of @?", "@ url"), ("Code is available at https://x.org.",), ("The code will be released.",)),
    Detail("a place to get it from", r"\b(?:repo(?:sitory)?|download)\b|where (?:is|can i|do i) .*\bcode\b",
           r"https?|www\.|github|\bcode\b|website|\bavailable\b|open-?source|publicly|\brelease",
           ("where can I find the code of @", "where can i download @"), ("The code will be released.",), ("It is fast.",)),
    Detail("a score", rf"\b(?:{_METRIC})\b|\bhow (?:well|good|accurate\w*) (?:is|are|does|do|did|was|were) (?:[@\w.-]+ ){{1,4}}?(?:(?:do|does|perform|score|fare|work) )?(?:on|at)\b", r"\d|half|twice|double",
           ("What accuracy does @ reach on ImageNet?", "ponet f1 on squad", "@ ImageNet top-1?", "how well does @ do on @"),
           ("It reaches 85.7% on ImageNet.",), ("It is tested on ImageNet.",), of_data=True, figure=True),
)  # fmt: skip
_COMPILED = tuple((d, re.compile(d.asks, re.IGNORECASE), re.compile(d.gives, re.IGNORECASE)) for d in DETAILS)
METRIC = re.compile(rf"(?:{_METRIC})s?", re.IGNORECASE)
_NAMED_METRICS = re.compile(  # others are called a score, an accuracy or a result alike
    r"\b(?:f1|bleu|rouge|meteor|perplexity|ppl|auc|auroc|elo|wer|ndcg|mrr|win ?rate|recall|precision|bits per (?:character|byte)|bpc|pass 1)\b",
    re.IGNORECASE,
)
_SAME_METRIC = {
    "perplexity": r"perplexit|\bppl\b",
    "ppl": r"perplexit|\bppl\b",
    "auc": r"\bau(?:ro)?c",
    "auroc": r"\bau(?:ro)?c",
    "pass 1": r"pass ?@",
}
_ODD = re.compile(  # figures of a name: "GPT-3 175B", "ChatGPT 3.5"
    r"(?<![\w-])[A-Za-z][\w-]*\d[\w.-]*(?: \d+(?:\.\d+)?[BMT]\b)?|"
    rf"(?<=[\w,;] )(?!(?i:{_METRIC})\b)[A-Z][\w-]*[A-Za-z] \d{{1,2}}(?:\.\d)?(?![\d.,]*\d|\w| ?%| ?(?:points?|percent|times)\b)"
)
_WRITTEN = {"f1": "an F1 score", "bleu": "a BLEU score", "rouge": "a ROUGE score", "meteor": "a METEOR score", "ppl": "a perplexity", "auc": "an AUC", "auroc": "an AUROC",
            "elo": "an Elo rating", "wer": "a word error rate", "ndcg": "an nDCG", "mrr": "an MRR", "pass 1": "a pass@1"}  # fmt: skip
_SYSTEM = re.compile(rf"(?<=[\w,] )(?!(?i:{_METRIC})\b)[A-Z][\w-]*(?: \d+(?:\.\d+)?)?|(?<![\w-])[A-Za-z]+-?\d[\w.-]*")
_ON = re.compile(r"\b(?:on|for|in) (?:the )?([\w-]*[A-Za-z][\w-]*(?: ?\d[\w-]*)?)")
_ENDS = (
    r"(?:of|in|on|at|for|from|to|by|does|do|did|has|have|had|is|are|was|were|can|could|there|@|make|makes|\w+ed)(?!\w)"
)
_COUNTED = re.compile(
    rf"\b(?:how many|numbers? of|count of) (?P<what>(?!{_ENDS})[\w'-]+(?: (?!{_ENDS})[\w'-]+){{0,2}}?)(?= {_ENDS}|$)|\bsample size\b"
)
_ITEMS = "question sample example instance item problem prompt scenario query pair image video document sentence annotation case record entry row test exercise conversation dialogue text article paper abstract trial study experiment run clip"
_ALIKE = tuple(
    frozenset(stem(word) for word in group.split())
    for group in (
        _ITEMS,
        "task subtask dataset corpus environment scenario benchmark game category domain field topic area subject skill dimension class type kind level setting aspect",
        "people person participant patient subject annotator worker expert user student woman man women men child children adult individual volunteer human rater author case control",
        "parameter param weight",
        "model llm system method baseline architecture approach algorithm",
        "gpu tpu chip node accelerator device processor core",
        "token word character",
        "epoch iteration step update",
        "gene protein snp variant locus cell sample",
    )
)
_FIGURE = re.compile(
    r"\d|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|millions?|billions?|several|both)$",
    re.IGNORECASE,
)
_BEFORE, _AFTER = 6, 3  # words before and after what is counted among which its number stands


def number_of(what: str) -> Detail:
    """The detail that a number of something is."""
    return Detail(f"a number of {what}" if what else "a number", "", what, (), (), figure=True)


def wanted(template: str) -> Detail | None:
    """The kind of detail that a question asks for, as `shape.template` gives it; None is none that is known."""
    for detail, asks, _ in _COMPILED:
        if asks.search(template):
            return detail
    counted = _COUNTED.search(template)
    return number_of((counted["what"] or "people").strip()) if counted else None


def gives(detail: Detail, sentence: str) -> bool:
    """Does a readable sentence give a detail of that kind?"""
    if not detail.asks:
        return _counts(sentence, detail.gives)
    return any(pattern.search(sentence) for known, _, pattern in _COMPILED if known is detail)


def figures_of(sentence: str, own: Sequence[re.Pattern[str]] = ()) -> str:
    """A sentence without the digits that belong to names, those of its `own` aside: "GPT-4", "CIFAR-10", "GPT-3 175B"."""
    return _ODD.sub(lambda odd: odd[0] if any(name.search(odd[0]) for name in own) else " ", sentence)


def metric(template: str) -> tuple[str, re.Pattern[str]] | None:
    """The measure that a question names, in words and as a sentence must have it; None where any score will do."""
    found = _NAMED_METRICS.search(template)
    if not found:
        return None
    name = found[0].lower()
    pattern = _SAME_METRIC.get(name, rf"\b{name.replace(' ', '[ -]?')}")
    return _WRITTEN.get(name, f"a {name}"), re.compile(pattern, re.IGNORECASE)


def _counts(sentence: str, what: str) -> bool:
    """Does a number stand beside what is counted, or beside what is like it?"""
    asked = _roots(words(what)[-1:])
    alike = asked.union(*(group for group in _ALIKE if group & asked))
    said = re.findall(r"[\w.,-]*\w", sentence)
    for at, word in enumerate(said):
        if alike & _roots(words(word)[-1:]):
            around = [*said[max(0, at - _BEFORE) : at], *said[at + 1 : at + 1 + _AFTER]]
            if any(_FIGURE.match(one) for one in around):
                return True
    return False


def without(question: str) -> str:
    """A question without the words that ask for a detail."""
    detail = next((d for d, asks, _ in _COMPILED if asks.search(question)), None)
    return re.sub(detail.asks, " ", question, flags=re.IGNORECASE) if detail else _COUNTED.sub(" ", question)


def _roots(found: Sequence[str]) -> set[str]:
    """The stems of words; of "LLMs", which has no vowel, the word without its ending."""
    return {stem(word) for word in found} | {word.removesuffix("s") for word in found}


def system(before: str) -> str:
    """What a score is asked of, as it is typed before the data set: "Llama 2" of "how well does Llama 2 do on"; "" is nothing."""
    found = _SYSTEM.findall(before)
    return found[0] if found else ""


def data_set(question: str) -> str:
    """What a score is asked on, where the library knows no name for it; "" is nothing.

    It is written as a name, or is the last word: "squad" of "f1 on squad", not "hard" of "f1 on the hard version of".
    """
    found = [
        (name, question[at:].strip(" ?.!")) for name, at in ((one[1], one.end()) for one in _ON.finditer(question))
    ]
    names: Sequence[str] = [
        name
        for name, rest in found
        if name.lower() not in STOPWORDS and not METRIC.fullmatch(name) and (not rest or name != name.lower())
    ]
    return names[-1] if names else ""
