"""JUnit XML, which every CI system reads: a testcase a question, and one a reason of the gate.

A question fails when it is broken (right before, wrong now), not when it has always been wrong: the
report says what this change did. An error row is an error. What XML cannot hold is replaced.
"""

from __future__ import annotations

import re

from junitparser import Error, Failure, JUnitXml, Properties, Property, Skipped, TestCase, TestSuite

from rag.text import printable

from .questions import Item
from .summary import Summary

_NOT_XML = re.compile("[\ufffe\uffff]")


def suites(summary: Summary) -> str:
    """The document."""
    questions = TestSuite("questions")
    questions.add_testcases([_question(item) for item in summary.items])
    gate = TestSuite("gate")
    gate.add_testcases(_gate(summary))
    document = JUnitXml("rag eval")
    document.add_testsuite(questions)
    document.add_testsuite(gate)
    document.update_statistics()
    text: bytes = document.tostring()
    return text.decode("utf-8") + "\n"


def _question(item: Item) -> TestCase:
    side = item.after
    case = TestCase(item.question.id, classname=item.question.kind)
    if side is None:
        return case
    if item.how == "broken":
        case.result = [Failure(_clean(f"{item.question.question} -> {side.outcome}"), "broken")]
    elif item.how == "error":
        case.result = [Error(_clean(side.text), "error")]
    values = {"outcome": side.outcome, "right": f"{side.right} of {side.samples}", "change": item.how or "not compared"}
    properties = Properties()
    for name, value in values.items():
        properties.add_property(Property(name, _clean(value)))
    case.append(properties)
    return case


def _gate(summary: Summary) -> list[TestCase]:
    """A testcase for every reason of the verdict; one that passes when there is none."""
    words = summary.words
    kinds = {"regression": Failure, "inconclusive": Skipped, "invalid": Error, "not comparable": Error}
    if words.verdict not in kinds:
        return [TestCase("verdict", classname="gate")]
    cases: list[TestCase] = []
    for reason in (words.why, *words.more):
        name = _clean(reason.split(":")[0])
        again = sum(case.name.split(" #")[0] == name for case in cases)
        case = TestCase(f"{name} #{again + 1}" if again else name, classname="gate")
        case.result = [kinds[words.verdict](_clean(reason), words.verdict)]
        cases.append(case)
    return cases


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", printable(text))
