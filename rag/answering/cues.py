"""The wordings by which a question leans on what was said before, or shows that it does not."""

from __future__ import annotations

import re

OPENS = re.compile(r"^\s*(?:ok\b\W*)?(?:and|but|so|also|or|what about|how about|then)\b", re.IGNORECASE)
POINTS = re.compile(
    r"^\s*(?:what else|why|why not|how so|how come|really)\b\W*$|\bhow come\b|"
    r"\b(?:it|its|they|their|them|this|these|those|he|she|the same|(?:this|that|which) one|the (?:first|second|third|"
    r"other|former|latter|last)(?: one| paper| method| model| system)?)\b|"
    r"\b(?:is|was|does|did|of|about|than|like|with|why|behind) that\b|\bthat (?:paper|model|method|work|result|help)\w*\b|"
    r"\bthat\W*$",
    re.IGNORECASE,
)
OTHER = re.compile(
    r"\b(?:another|(?:any|some|the) other|other|a second|second|a different|further|more)\s+(?:[\w-]+\s+)?"
    r"(?:papers?|works?|stud(?:y|ies)|benchmarks?|data ?sets?|one on|source)\b|"
    r"\b(?:anything|something) else (?:on|about|in)\b|\b(?:anyone|anybody|someone|who|did others|any others?) else\b|"
    r"\bor others\b|\bothers (?:find|say|do|agree)\b",
    re.IGNORECASE,
)
CHANGES = re.compile(
    r"^\W*(?:ok\b\W*)?(?:(?:a )?(?:different|new|another|other|unrelated) (?:question|topic|subject|thing)|separately|"
    r"changing (?:the )?(?:topic|subject))\b",
    re.IGNORECASE,
)
IT = re.compile(r"(?:\w+ )?(?:it|its|they|their|them|that|this)", re.IGNORECASE)  # may stand for a word of the question
BACK = re.compile(
    r"\b(?:back to|going back|come back|return(?:ing)? to|earlier|previous(?:ly)?|again)\b", re.IGNORECASE
)
THE_OTHER = re.compile(r"\bthe other(?: one| paper| method| model| system| benchmark)?\b(?! [\w-]+s?\b)", re.IGNORECASE)
COMPARES = re.compile(r"\b(?:compare[sd]?|comparison|versus|vs|differs?|different|difference)\b", re.IGNORECASE)
COMPARING = re.compile(
    r"\b(?:than|vs\.?|versus|in common|simil\w+|contrast\w*|beats?|outperforms?|better|worse|(?:of|between) (?:the two|them|these|those|both)|"
    r"(?:which|what) (?:one )?is (?:\w+er|more \w+)|same as|alike)\b",
    re.IGNORECASE,
)
TWO = re.compile(
    r"\b(?:the (?:first|last) two(?: (?:papers|ones))?|the two|those two|these two|both|the both of them|the (?:first|former) (?:and|with|to|or) the (?:second|latter))\b",
    re.IGNORECASE,
)
FIRST_TWO = re.compile(r"\bthe first two\b", re.IGNORECASE)
PRONOUN = re.compile(r"\b(?:its|it|their|they|them|that(?: one)?|this(?: one)?|those|these)\b", re.IGNORECASE)
OPENING = re.compile(
    r"^\W*(?:(?:and|but|so|also|or|then|ok|okay|well|now|hm+|yes|no|sure|thanks|great)\b\W*)+(?:(?:what|how) about\b\W*)?",
    re.IGNORECASE,
)
ELLIPSIS = re.compile(
    r"\b(?:what about|how about|and|ok|okay|same (?:question|thing|again)?|question|for|then|the|one|ones|too|also|as well|paper|model|method|instead|but|so|now|do|does|tell me about)\b",
    re.IGNORECASE,
)
VERDICT = re.compile(
    r"\W*(?:(?:and|but|so|ok|also)\W+)*(?:does|do|did|is|are|was|were|has|have|can|could)\b", re.IGNORECASE
)
ORDINAL = re.compile(r"\bthe (first|second|third|former|latter|last|other)\b", re.IGNORECASE)
THE_NTH = re.compile(
    r"\bthe (?:first|second|third|former|latter|last|other)(?: (?:one|paper|benchmark|model|method|system|data ?set|of (?:them|these|those)))?\b(?! [\w-]+)",
    re.IGNORECASE,
)
COMPARE_WITH = re.compile(r"(compare) (with|to|against)\b", re.IGNORECASE)
PLACES = {"first": 0, "former": 0, "second": 1, "latter": 1, "other": 1, "third": 2, "last": -1}
TYPED = re.compile(r"(?<![\w-])[^\W\d_]+(?![\w-])")
NAME = re.compile(r"(?<=\s)[^\W\d_]*[A-Z]\w*")  # a capital anywhere but in the first word
NAMED = re.compile(r"\[(\d+)\]")
DEFINES = re.compile(r"\b(?:what|who|define|explain|describe|means?|meaning)\b(?! about)|\bwhat['’]?s\b", re.IGNORECASE)
PAPERS = re.compile(
    r"\b(?:papers?|abstracts?|works?|articles?|stud(?:y|ies)|publications?|anything|any ?one|any ?body|ones)\b",
    re.IGNORECASE,
)
UNKNOWN = re.compile(r"\W*(?:(?:what|how) about )?([^\W_][\w.+-]*\w)\W*(?:then|too|instead)?\W*", re.IGNORECASE)
WHICH_OF = re.compile(
    r"\W*(?:(?:and|but|so|ok|then)\W+)*(?:which|what|who)(?: (?:one|model|method|paper|benchmark|data ?set|system|of them|of the two))? "
    r"(?:(?:is|was|are|has|have|had|does|do|did|gets?|got|needs?|uses?|runs?|works?|performs?|scales?|came|comes|covers?|wins?)\b.*(?:\w+er\b|more|better|best|most|\w+est\b|fewer|less|first|wins?)|"
    r"should i|would you|do you recommend|wins\b)",
    re.IGNORECASE,
)
