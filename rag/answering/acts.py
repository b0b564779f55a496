"""What is said in a conversation without asking anything of the papers: thanks, "go on", "shorter please".

`ACTS` is the table of acts, each with examples that are its tests. Some are answered with one line, others from what
is on screen; none is searched.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Act = Literal["small talk", "hello", "help", "sure", "more", "others", "shorter", "again", "summary"]


class Form(NamedTuple):
    """Wordings of an act, as a pattern of the small-lettered text without marks, and examples."""

    act: Act
    pattern: str
    examples: tuple[str, ...]


_YOU = r"(?:can you |could you |would you |please |just |now |ok |okay |and |so |well |hm+ |yes |no |but )*"
_THAT = r"(?: (?:it|that|this|them|these|the (?:answer|above|paper|abstract|last one)))?"
_OK = (
    r"ok(?:ay)?|k|great|good|nice|cool|fine|perfect|awesome|amazing|excellent|wow|interesting|very (?:good|nice|interesting|helpful)|"
    r"helpful|that helps|hm+|aha?|oh|i see|got it|understood|makes sense|sounds good|good (?:answer|job)|well done|alright|all right|right|sure|yes|yeah|yep|no|nope|"
    r"lol|haha+|never ?mind|no problem|that is all|that's all|that's it|that's (?:great|good|nice|interesting|cool|helpful)|i like it|(?:that was |that is |that's )?not (?:what i (?:asked|meant)|helpful)(?: for)?|you're welcome|(?:good|bad) bot|no more|(?:that's )?enough|(?:good|next|another|new) question"
)
_THANKS = (
    r"(?:many |a lot of )?thanks(?: a lot| a bunch| so much| very much| again)?|thank (?:you|u)(?: so much| very much| a lot| again)?|"
    r"thx|tnx|ty|tysm|cheers|much appreciated|appreciate it|danke(?: schön)?|vielen dank|merci(?: beaucoup)?|gracias|muchas gracias|grazie|obrigad[oa]|谢谢|ありがとう"
)
_BYE = r"bye(?: bye)?|good ?bye|see you(?: later| soon)?|good night|ciao|cya|later"
_TEST = r"test(?:ing)?(?: test| testing)*|ping|one two three|123|asdf\w*|foo|hello world"
_STOP = r"stop|quit|exit|q|cancel|abort|end|stop it|clear|reset|close"
_HELLO = r"hello|hi+|hey+|hello there|hi there|hey there|howdy|yo|greetings|good (?:morning|afternoon|evening|day)|hallo|hola|bonjour|moin|how are you(?: today| doing)?|what's up|sup"

ACTS = (
    Form("small talk", rf"(?:(?:{_OK}|{_THANKS}|{_BYE}|{_TEST}|{_STOP}|then|so|you|friend|everyone|all)(?: |$))+",
         ("thanks", "thank you!", "ok", "got it, thx", "lol ok", "great, thanks a lot", "hm, interesting", "bye", "test", "stop", "q", "Danke schön")),
    Form("hello", rf"(?:(?:{_HELLO})(?: |$))+(?:(?:you|all|everyone|again|rag|bot)(?: |$))*", ("hello", "hi there", "good morning", "Hey, how are you?")),
    Form("help", r"(?:please )?help(?: me)?(?: please)?|what can (?:you do|i ask)(?: you| here| for me)?|how (?:does this|do you) work|who are you|what are you|"
         r"what is this|how (?:do|can) i use (?:this|you|it)|what should i ask", ("Help me", "what can you do?", "who are you")),
    Form("sure", rf"{_YOU}(?:(?:are )?you (?:really |quite |absolutely )?sure(?: about (?:it|that|this))?|really|seriously|honestly|is (?:it|that|this) (?:really )?(?:right|true|correct|so|certain)|"
         r"says who|how do you know(?: that| this)?|how (?:sure|certain|confident) are you(?: (?:about|of) (?:it|that|this))?|prove (?:it|that)|where (?:does it|do they|is (?:it|that)) (?:say|said|written|stated)(?: (?:it|that|this|so))?|"
         r"(?:what (?:is|are) |what's )?(?:your |the )?sources?(?: (?:for|of) (?:it|that|this))?|i (?:don't|do not) believe (?:it|you|that)|that's (?:wrong|not (?:right|true))|can i trust (?:it|that|this))",
         ("are you sure?", "how sure are you?", "source?", "where does it say that?", "really?", "is that right?", "ok but are you sure about that")),
    Form("more", rf"{_YOU}(?:(?:tell me |say |show me |give me |anything |something |what )?(?:more|else)(?: (?:about|on|of)(?: it| that| this))?(?: details?| information)?|go on|go ahead|continue|keep going|carry on|next|"
         rf"proceed|elaborate(?: on)?{_THAT}|expand(?: on)?{_THAT}|(?:any |give me |some |a bit |a little |more |further )*(?:details?|information|info|context)(?: (?:about|on) (?:it|that|this))?|(?:explain|say|tell me|describe) (?:it |that |this )?(?:a bit |a little )?(?:more|further|in (?:more |greater )?detail)|"
         rf"in (?:more |greater )?detail|i (?:want|would like|'d like)(?: to know| to hear| to read)? more(?: (?:about|on) (?:it|that|this))?|what else(?: does it say| is there| do (?:they|we) (?:say|know))?|"
         rf"(?:is there )?anything else(?: (?:about|on|in)(?: it| that| this| there))?|and then|go deeper|longer)(?: please)?",
         ("tell me more", "explain that in more detail", "any further information?", "thanks, go on", "more", "go on", "please continue", "anything else about it?", "more details please", "can you elaborate on that?", "what else?")),
    Form("others", rf"{_YOU}(?:(?:are there |is there |do you have |have you |show me |give me |what about |how about )?(?:any |some |the )?others?(?: ones?)?(?: (?:papers?|like (?:it|that|this)|too|here|than that))?|another(?: (?:one|paper))?|"
         r"any ?(?:one|body) else|who else|which others?|more papers|any more(?: papers| of (?:them|these|those))?|only (?:that|this|one)(?: one)?|"
         r"(?:is|was) that all|something else|(?:(?:are there |is there |show me |find |give me |what )?(?:any(?:thing)? |some |other |more |all )*(?:similar|related|comparable)(?: (?:papers?|works?|ones?|things?))?|"
         r"(?:are there |is there |show me |find |give me )?(?:any |other |more |anything )*(?:papers? |works? |ones? )?like (?:this|that|it)(?: one| paper)?|what other papers(?: are there)?)(?: (?:are there|here|in here|to (?:it|this|that)))*)(?: please)?",
         ("any others?", "similar papers?", "anything like this?", "great, any others?", "others", "are there any other papers?", "who else?", "another one", "any more?")),
    Form("shorter", rf"{_YOU}(?:(?:make (?:it|that) |a bit |much |be |say (?:it|that) )?(?:shorter|briefer|brief|concise|more (?:concise|briefly)|simpler)|in (?:one|a) (?:single )?(?:sentence|line|word)|in (?:short|brief|a nutshell)|tl ?dr|"
         r"too long|briefly|simply|in (?:simple|plain|easy) (?:words|terms|english)|(?:explain|say|put) (?:it |that |this )?(?:more )?(?:simply|simpler)|the short version|(?:give me |say |tell me |sum it up |summari[sz]e (?:it |that )?|make (?:it |that )?)?(?:it |that )?in (?:one|a|a single|1) (?:single |short )?(?:sentence|line|word)|(?:just )?one (?:sentence|line)|(?:shorten|condense) (?:it|that)|bottom line)(?: please)?",
         ("shorter please", "cool, in one sentence please", "give me that in one line", "in one sentence?", "tl;dr", "can you make it shorter?", "too long")),
    Form("again", rf"{_YOU}(?:(?:say|tell me|show me)?(?: it| that| this)? ?again|repeat{_THAT}|come again|pardon(?: me)?|sorry|what|huh|i (?:don't|do not|didn't) (?:understand|get)(?: (?:it|that|this))?|what do you mean(?: by that)?|once more|one more time|what did you (?:just )?say|what was that)(?: please)?",
         ("again", "say that again", "I don't understand", "what?", "repeat that please", "what did you say?")),
    Form("summary", rf"{_YOU}(?:(?:give me |show me |i want |write )?(?:a |the )?(?:short |brief |quick )?(?:summary|recap|overview|abstract)(?: of (?:it|that|this|the paper))?|summari[sz]e{_THAT}|sum{_THAT} up|recap|sum up{_THAT})(?: please)?",
         ("give me a summary", "summarize it", "sum that up please", "a short summary")),
)  # fmt: skip
_COMPILED = tuple((form.act, re.compile(form.pattern)) for form in ACTS)
_BEFORE = re.compile(rf"(?:(?:{_OK}|{_THANKS}|{_HELLO}|please|then|so|and|but|well) )+")  # "thanks, any others?"

NOTHING_ASKED = "Nothing was asked yet. Ask a question about the papers."
LINES = {
    "small talk": "Ask another question about the papers whenever you like.",
    "hello": "Hello. Ask a question about the papers of this library.",
    "help": "Ask a question about the papers, such as “What is X?”, “Compare X and Y” or “Which papers mention X?”.",
}
NOTHING_ON_SCREEN = "There is no paper on screen to go on from. Ask a question about the papers."
NO_MORE = "The abstract says no more."
SURE_QUOTED = "Every sentence of the last answer stands word for word in the abstract that its mark names."
SURE_CHECKED = "Every sentence of the last answer was checked against the abstract that its mark names; read the quotes to be sure."
SURE_REFUSED = "The last answer rests on no paper: the library was found not to say."


def act(text: str) -> Act | None:
    """The act that a text is, if it is one and nothing else."""
    said = " ".join(re.sub(r"[^\w\s']", " ", text.lower().replace("’", "'").replace(";", "")).split())
    before = _BEFORE.match(said)
    texts = [said, said[before.end() :]] if before else [said]
    return next((kind for text in texts for kind, pattern in _COMPILED if text and pattern.fullmatch(text)), None)
