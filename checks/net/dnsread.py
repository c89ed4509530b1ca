"""What came in, told as what it says about a question: by the quick reader, else by the codec. No I/O."""

from enum import Enum
from typing import Final, Literal

from checks.model import Reason
from checks.net.answers import AnswerClass, Said
from checks.net.dnsquestion import Question
from checks.net.dnsquick import read_plain


class Missing(Enum):
    """Why nothing is said yet."""

    TRUNCATED = "truncated"
    SILENT = "silent"


TRUNCATED: Final = Missing.TRUNCATED
SILENT: Final = Missing.SILENT


def read(question: Question, number: int, wire: bytes) -> Said | Literal[Missing.TRUNCATED] | str:
    """Return what a reply to `question` with id `number` says, or a word for what is wrong when it is none.

    One that is damaged behind our id and question is malformed_answer.
    """
    said = read_plain(question, wire) if wire[:2] == number.to_bytes(2) else None
    if said is not None:
        return said
    from checks.net import dnscodec  # noqa: PLC0415 - 60 ms and 6 MiB, which plain replies never need

    try:
        found = dnscodec.Question(question.name, question.kind, number).read(wire)
    except dnscodec.MalformedError as error:
        return Said(AnswerClass.ERROR, Reason.MALFORMED_ANSWER, str(error))
    if isinstance(found, str):
        return found
    return TRUNCATED if found.truncated else found.said()
