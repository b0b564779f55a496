"""XML of six families, told apart by the root: PubMed, EndNote, Atom, OAI-PMH, arXiv and ACL Anthology.

The file is streamed through Python's own expat, and only one record at a time is a tree, so that
memory is bounded and every record knows its line (lxml stops counting at 65,535). Entities that a
file declares are refused, as they are what XML bombs and foreign files are made of; nothing is ever
fetched. After broken markup the reader goes on with the next record. Text is put together from all
that stands in an element, so that <i> and <sup> are lost and their words are not.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from rag.readers.fields import arxiv_id, doi_in, gathered, line, names, pmid_in, unfolded
from rag.readers.record import Found, Record, Skipped

DEPTH = 200  # no format nests deeper
BROKEN = 1000  # places in one file after which it is read no further
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_REFERENCE = re.compile(r"&#(?:(\d{1,9})|[xX]([0-9A-Fa-f]{1,8}));")
_STEP = 2**16
ERRORS = ("error", "ERROR")  # of OAI-PMH and of PubMed's E-utilities
OTHERS = {  # roots of XML that is not read -> what it is called
    "modsCollection": "MODS", "mods": "MODS", "TEI": "TEI, as HAL and GROBID write", "resource": "DataCite XML", "RDF": "RDF",
    "Sources": "Word's list of sources", "article": "JATS, a whole article", "articles": "JATS, whole articles",
    "rss": "RSS", "dblp": "DBLP", "pmc-articleset": "PubMed Central's whole articles", "eFetchResult": "PubMed's error",
    "eSearchResult": "PubMed's list of numbers", "crossref_result": "Crossref XML", "doi_batch": "Crossref XML",
    "opml": "OPML", "bibtex": "BibTeXML", "search-results": "Scopus XML",
}  # fmt: skip
INSTEAD = "export it as RIS, BibTeX or CSV instead"

Reader = Callable[[Element, str, Mapping[str, str]], Record | Skipped]  # a record, its source, what stood around it


class Bomb(Exception):
    """The file declares entities, or nests deeper than any format."""


class Unclosed(Exception):
    """A record begins inside another: that one was never closed."""


@dataclass(frozen=True, slots=True)
class Family:
    """The elements that are a record, how one is read, and elements whose text the records inherit."""

    label: str
    records: tuple[str, ...]
    read: Reader
    context: tuple[str, ...] = ()


@dataclass(slots=True)
class _Stream:
    """What the handlers of one expat parser share: the record being built, and those that are complete."""

    family: Family
    shift: int  # lines before the text that this parser sees
    parser: expat.XMLParserType = field(init=False)
    open: list[str] = field(default_factory=list)
    builder: TreeBuilder | None = None
    began: int = 0  # the depth, line and element of the record being built
    line: int = 0
    root: str = ""
    done: list[tuple[int, Element]] = field(default_factory=list)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _local(tag)
        self.open.append(name)
        if len(self.open) > DEPTH:
            raise Bomb(f"nests elements deeper than {DEPTH}")
        if self.builder is not None and name == self.root:
            raise Unclosed("a record that is not closed")
        if self.builder is None and name in (*self.family.records, *self.family.context, *ERRORS):
            self.builder, self.began, self.root = TreeBuilder(), len(self.open), name
            self.line = self.parser.CurrentLineNumber + self.shift
        if self.builder is not None:
            self.builder.start(name, {_local(key): value for key, value in attributes.items()})
        elif attributes.get("id"):  # a volume or collection around the records
            self.done.append((0, Element(name, {"id": attributes["id"]})))

    def end(self, tag: str) -> None:
        if self.builder is not None:
            self.builder.end(_local(tag))
            if len(self.open) == self.began:
                self.done.append((self.line, self.builder.close()))
                self.builder = None
        self.open.pop()

    def data(self, text: str) -> None:
        if self.builder is not None:
            self.builder.data(text)

    def skipped(self, name: str, is_parameter: bool) -> None:
        if not is_parameter:  # &eacute; of a DTD that is not read
            self.data(html.unescape(f"&{name};"))


def _local(tag: str) -> str:
    return tag.rsplit(":", 1)[-1]


def _declared(*_: object) -> None:
    raise Bomb("declares entities of its own (an XML bomb?)")


def _parser(stream: _Stream) -> expat.XMLParserType:
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.UseForeignDTD(True)  # so that names of unread DTDs are skipped entities, not errors
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE)
    parser.ExternalEntityRefHandler = lambda *_: 1  # never fetched
    parser.EntityDeclHandler = _declared
    parser.StartElementHandler, parser.EndElementHandler = stream.start, stream.end
    parser.CharacterDataHandler, parser.SkippedEntityHandler = stream.data, stream.skipped
    stream.parser = parser
    return parser


def read(text: str, name: str) -> Found:
    """The records of an XML file, and what of it is broken or no paper."""
    records: list[Record] = []
    skipped: list[Skipped] = []
    family = family_of(text)
    if family is None:
        return [], [Skipped(f"{name}:1", text[:200], unread(text), "refused")]
    around: dict[str, str] = {}
    for number, found in _elements(_cleaned(text), family):
        if not isinstance(found, str) and found.tag in ERRORS:
            skipped.append(_failed(found, f"{name}:{number}"))
        elif isinstance(found, str):
            skipped.append(Skipped(f"{name}:{number}", "", found, "refused"))
        elif number == 0:
            around = {
                key: value for key, value in around.items() if key == "collection id" and found.tag != "collection"
            }
            around[f"{found.tag} id"] = found.get("id", "")
        elif found.tag in family.context:
            around |= {child.tag: _text(child) for child in found}
        else:
            made = family.read(found, f"{name}:{number}", around)
            (records if isinstance(made, Record) else skipped).append(made)  # type: ignore[arg-type]
    return records, skipped


def _cleaned(text: str) -> str:
    """Without characters that XML forbids, of which exports are full; every line stays where it is."""

    def legal(found: re.Match[str]) -> str:
        code = int(found[1]) if found[1] else int(found[2], 16)
        bad = (code < 32 and code not in (9, 10, 13)) or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF)
        return "\ufffd" if bad or code > 0x10FFFF else found[0]

    text = text[len(text) - len(text.lstrip("\ufeff \t")) :]
    return _REFERENCE.sub(legal, _CONTROL.sub("\ufffd", text))


def _elements(text: str, family: Family) -> Iterator[tuple[int, Element | str]]:
    """Records (and what stands around them) with their lines; a text is what went wrong at that line.

    After broken markup it goes on at the next record that begins, as if the file began there.
    """
    opening = re.compile(rf"<(?:[\w.-]+:)?(?:{'|'.join(family.records)})(?=[\s>])")
    begin, shift, broken = 0, 0, 0
    while begin < len(text):
        stream = _Stream(family, shift)
        at, error = yield from _parsed(text, begin, stream)
        if error is None:
            return
        line = stream.parser.CurrentLineNumber + shift
        following = opening.search(text, at + (not isinstance(error, Unclosed)))
        if isinstance(error, Bomb) or broken > BROKEN:
            yield (
                line,
                f"{error if isinstance(error, Bomb) else 'too much broken XML'}; nothing after this line is read",
            )
            return
        if stream.builder is not None:
            yield line, f"broken XML ({_said(error)}); the record that begins at line {stream.line} is lost"
        elif not begin or following:  # else it is the end of the root, which this parser never saw begin
            yield line, f"broken XML ({_said(error)})"
        if not following:
            return
        shift += text.count("\n", begin, following.start())
        begin, broken = following.start(), broken + 1


def _parsed(
    text: str, begin: int, stream: _Stream
) -> Generator[tuple[int, Element | str], None, tuple[int, Exception | None]]:
    """Parse from `begin` on, giving what is complete; returns where it went wrong, and how."""
    parser = _parser(stream)
    head = "<_>" if begin else ""
    fed, piece, at = len(head), "", begin
    try:
        parser.Parse(head)
        for at in range(begin, len(text), _STEP):
            piece = text[at : at + _STEP]
            parser.Parse(piece)
            fed += len(piece.encode())
            yield from stream.done
            stream.done.clear()
        parser.Parse("</_>" if begin else "", True)
        yield from stream.done
        return len(text), None
    except (expat.ExpatError, Bomb, Unclosed) as error:
        yield from stream.done
        inside = piece.encode()[: max(parser.CurrentByteIndex - fed, 0)] if parser.CurrentByteIndex >= fed else b""
        return at + len(inside.decode("utf-8", "ignore")), error


def _said(error: Exception) -> str:
    return str(error).split(":")[0] or "not well formed"


# --- the families -------------------------------------------------------------------------------


def _text(element: Element | None) -> str:
    return unfolded("".join(element.itertext())) if element is not None else ""


def _of(element: Element, *paths: str) -> str:
    """The text of the first of these that has any."""
    return next((text for path in paths for found in element.findall(path) if (text := _text(found))), "")


def _all(element: Element, path: str) -> list[str]:
    return [text for found in element.findall(path) if (text := _text(found))]


def _person(element: Element, family: str, given: str) -> str:
    return ", ".join(part for part in (_of(element, family), _of(element, given)) if part) or _of(
        element, "CollectiveName"
    )


def _pubmed(record: Element, source: str, _: Mapping[str, str]) -> Record | Skipped:
    citation = next(
        (found for tag in ("MedlineCitation", "BookDocument") if (found := record.find(tag)) is not None), record
    )
    article = citation.find("Article") if citation.find("Article") is not None else citation
    assert article is not None
    main, others = _abstracts(article, citation)
    ids = record.findall("PubmedData/ArticleIdList/ArticleId") + record.findall(".//ELocationID[@EIdType='doi']")
    ids += citation.findall("ArticleIdList/ArticleId")
    return gathered(
        source,
        _of(article, "ArticleTitle", "VernacularTitle", "Book/BookTitle"),
        main,
        authors=[_person(author, "LastName", "ForeName") for author in article.findall("AuthorList/Author")],
        year=_of(article, "Journal/JournalIssue/PubDate/Year", "Journal/JournalIssue/PubDate/MedlineDate",
                 "ArticleDate/Year", "Book/PubDate/Year", "ContributionDate/Year"),
        venue=_of(article, "Journal/Title", "Journal/ISOAbbreviation", "Book/BookTitle")
        or _of(citation, "MedlineJournalInfo/MedlineTA"),
        doi=next((_text(id) for id in ids if "doi" in (id.get("IdType"), id.get("EIdType"))), None),
        extra={
            "pmid": pmid_in(_of(citation, "PMID")),
            "language": _of(article, "Language"),
            "keywords": "; ".join(_all(citation, "KeywordList/Keyword")
                                  + _all(citation, "MeshHeadingList/MeshHeading/DescriptorName")),
        } | others,
        kinds=[
            *_all(article, "PublicationTypeList/PublicationType"),
            *("retracted" for one in citation.findall("CommentsCorrectionsList/CommentsCorrections")
              if one.get("RefType") == "RetractionIn"),
        ],
    )  # fmt: skip


def _abstracts(article: Element, citation: Element) -> tuple[str, dict[str, str]]:
    """The abstract, sections with their labels; and those in other languages, which stand in if there is none."""
    main = "\n".join(_section(part) for part in article.findall("Abstract/AbstractText") if _text(part))
    others = {}
    for other in [*citation.findall("OtherAbstract"), *article.findall("OtherAbstract")]:
        text = "\n".join(_section(part) for part in other.findall("AbstractText") if _text(part))
        if text:
            others[f"abstract ({other.get('Language') or other.get('Type') or 'other'})"] = text
    if not main and others:
        main = others.pop(next(iter(others)))
    return main, others


def _section(part: Element) -> str:
    label = line(part.get("Label") or "")
    return f"{label}: {_text(part)}" if label and label != "UNLABELLED" else _text(part)


def _endnote(record: Element, source: str, _: Mapping[str, str]) -> Record | Skipped:
    urls = _all(record, "urls/related-urls/url") + _all(record, "urls/web-urls/url")
    doi = _of(record, "electronic-resource-num") or next((url for url in urls if "doi" in url), "")
    numbers = " ".join([_of(record, "remote-database-name"), _of(record, "accession-num")])
    return gathered(
        source,
        _of(record, "titles/title"),
        _of(record, "abstract"),
        authors=_all(record, "contributors/authors/author"),
        year=_of(record, "dates/year", "dates/pub-dates/date"),
        venue=_of(record, "periodical/full-title", "titles/secondary-title", "full-title"),
        doi=doi,
        url=next(iter(urls), None),
        extra={
            "pmid": pmid_in(_of(record, "accession-num")) if re.search("pubmed|medline", numbers, re.I) else None,
            "arxiv": next((arxiv_id(url) for url in urls if "arxiv" in url.lower()), None),
            "keywords": "; ".join(_all(record, "keywords/keyword")),
            "language": _of(record, "language"),
        },
        kinds=[_of(record, "work-type"), _of(record, "notes"), *_all(record, "keywords/keyword")],
    )


def _atom(entry: Element, source: str, _: Mapping[str, str]) -> Record | Skipped:
    address = _of(entry, "id")
    if "/api/errors" in address or (_of(entry, "title").strip().lower() == "error" and entry.find("author") is None):
        why = _of(entry, "summary", "content") or "an error"
        return Skipped(
            source, why[:200], f"a feed's error, no paper: {why[:200]}; check the query and fetch it again", "refused"
        )
    return gathered(
        source,
        _of(entry, "title"),
        _of(entry, "summary", "content"),
        authors=_all(entry, "author/name"),
        year=_of(entry, "published", "updated"),
        venue=_of(entry, "journal_ref"),
        doi=_of(entry, "doi"),
        url=address if address.startswith("http") else None,
        extra={
            "arxiv": arxiv_id(address) if "arxiv" in address else None,
            "keywords": "; ".join(category.get("term", "") for category in entry.findall("category")),
        },
    )


def _failed(error: Element, source: str) -> Skipped:
    """What a server says went wrong, in place of records."""
    why = (
        " ".join(part for part in (error.get("code") or error.get("errorcode") or "", _text(error)) if part)
        or "an error"
    )
    return Skipped(
        source, why[:200], f"a server's error, no paper: {why[:200]}; check the query and fetch it again", "refused"
    )


def _oai(record: Element, source: str, _: Mapping[str, str]) -> Record | Skipped:
    header = record.find("header")
    if header is not None and header.get("status") == "deleted":
        return Skipped(source, _of(header, "identifier"), "a record that its archive has deleted")
    metadata = record.find("metadata")
    inside = next(iter(metadata), None) if metadata is not None else None
    if inside is None:
        return Skipped(source, _of(record, "header/identifier"), "an OAI record without metadata", "refused")
    return _dublin(inside, source) if inside.tag in ("dc", "qualifieddc") else _arxiv(inside, source, {})


def _arxiv(record: Element, source: str, _: Mapping[str, str]) -> Record | Skipped:
    people = [_person(author, "keyname", "forenames") for author in record.findall("authors/author")]
    whole = _of(record, "authors") if not people else ""
    number = arxiv_id(_of(record, "id"))
    return gathered(
        source,
        _of(record, "title"),
        _of(record, "abstract"),
        authors=[name for name in people if name.strip(" :,")] or names(whole),
        year=_of(record, "created", "version/date", "updated"),
        venue=_of(record, "journal-ref"),
        doi=_of(record, "doi"),
        url=f"https://arxiv.org/abs/{number}" if number else None,
        extra={"arxiv": number, "keywords": "; ".join(_of(record, "categories").split())},
    )


def _dublin(record: Element, source: str) -> Record | Skipped:
    said = [text for text in _all(record, "description") if not text.startswith("Comment:")]
    numbers = _all(record, "identifier") + _all(record, "relation")
    urls = [text for text in numbers if text.startswith("http")]
    return gathered(
        source,
        _of(record, "title"),
        max(said, key=len, default=""),
        authors=_all(record, "creator"),
        year=_of(record, "date"),
        venue=_of(record, "source", "publisher"),
        doi=next((text for text in numbers if doi_in(text)), None),
        url=next(iter(urls), None),
        extra={
            "arxiv": next((arxiv_id(text) for text in numbers if "arxiv" in text.lower()), None),
            "keywords": "; ".join(_all(record, "subject")),
            "language": _of(record, "language"),
        },
    )


def _acl(paper: Element, source: str, around: Mapping[str, str]) -> Record | Skipped:
    number = _of(paper, "url") or "-".join(
        part for part in (around.get("collection id"), around.get("volume id"), paper.get("id")) if part
    )
    return gathered(
        source,
        _of(paper, "title"),
        _of(paper, "abstract"),
        authors=[_person(author, "last", "first") for author in paper.findall("author")],
        year=_of(paper, "year") or around.get("year"),
        venue=_of(paper, "journal-title", "booktitle") or around.get("booktitle") or around.get("journal-title"),
        doi=_of(paper, "doi"),
        url=number if number.startswith("http") else f"https://aclanthology.org/{number}",
        extra={"language": _of(paper, "language")},
    )


PUBMED = Family("PubMed XML", ("PubmedArticle", "PubmedBookArticle", "MedlineCitation"), _pubmed)
FAMILIES = {
    "PubmedArticleSet": PUBMED, "PubmedArticle": PUBMED, "PubmedBookArticle": PUBMED, "PubmedBookArticleSet": PUBMED,
    "MedlineCitationSet": PUBMED, "MedlineCitation": PUBMED,
    "xml": Family("EndNote XML", ("record",), _endnote), "records": Family("EndNote XML", ("record",), _endnote),
    "feed": Family("Atom", ("entry",), _atom), "entry": Family("Atom", ("entry",), _atom),
    "OAI-PMH": Family("OAI-PMH", ("record",), _oai), "ListRecords": Family("OAI-PMH", ("record",), _oai),
    "arXiv": Family("arXiv XML", ("arXiv",), _arxiv), "arXivRaw": Family("arXiv XML", ("arXivRaw",), _arxiv),
    "collection": Family("ACL Anthology XML", ("paper",), _acl, ("meta",)),
    "volume": Family("ACL Anthology XML", ("paper",), _acl, ("meta",)),
}  # fmt: skip


class _Met(Exception):
    """The root element, met."""


def root(text: str) -> str:
    """The root element's name, "" if none begins in the first 64 thousand characters."""

    def met(tag: str, _: dict[str, str]) -> None:
        raise _Met(_local(tag))

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = met
    try:
        parser.Parse(_cleaned(text[:_STEP]))
    except _Met as found:
        return str(found)
    except expat.ExpatError:
        pass
    return ""


def family_of(text: str) -> Family | None:
    """The family of an XML text by its root, or None; MARCXML calls its root "collection" too."""
    if re.search(r"loc\.gov/MARC21|<(?:\w+:)?(?:leader|controlfield)\b", text[:5000]):
        return None
    return FAMILIES.get(root(text))


def unread(text: str) -> str:
    """Why an XML text is not read, by the name of its kind if that is known."""
    met = root(text)
    if met == "eFetchResult" and (error := re.search(r"<ERROR>([^<]{1,300})", text[:5000])):
        return f"is PubMed's error, no paper: {line(error[1])}; check the query and fetch it again"
    kind = "MARCXML" if met == "collection" or met == "record" else OTHERS.get(met, "")
    return f"is XML of a kind not read here (<{met or '?'}>{f', {kind}' if kind else ''}); {INSTEAD}"
