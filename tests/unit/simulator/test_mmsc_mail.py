"""MM4 as the simulated MMSC speaks it."""

from collections.abc import Mapping

import pytest

from trebuchet.model.receipt import ReceiptState
from trebuchet.protocols import mm4
from trebuchet.simulator import mmsc_mail as mail
from trebuchet.simulator.base import File, Reply
from trebuchet.simulator.mmsc_base import Report, Written
from trebuchet.simulator.mmsc_mail import Judgement, Said
from trebuchet.simulator.mmsc_onair import Asked
from trebuchet.simulator.mmsc_settings import MmscSettings, parse_settings
from trebuchet.simulator.scenario import Answer

A, B, C = "+12025550123", "+12025550124", "+12025550125"
OURS = "+12345678901"
SETTINGS = MmscSettings()
OK = Reply(Answer.ACCEPTED)
LOST, BUSY, THROTTLED, DOWN = (
    Reply(answer) for answer in (Answer.LOST, Answer.BUSY, Answer.THROTTLED, Answer.DOWN)
)
UNRESOLVED, DENIED = "Error-sending-address-unresolved", "Error-service-denied"


def refused(code: int) -> Reply:
    return Reply(Answer.REFUSED, error_code=code)


# ---- what a forward comes to ----


@pytest.mark.parametrize(
    ("replies", "code", "answers"),
    [
        ({A: OK}, 250, (Said("Ok"),)),
        ({A: OK, B: OK}, 250, (Said("Ok"),)),
        ({A: refused(4720)}, 250, (Said(UNRESOLVED, 4720),)),
        ({A: refused(4720), B: refused(4720)}, 250, (Said(UNRESOLVED, 4720),)),
        ({A: OK, B: refused(4720)}, 250, (Said(UNRESOLVED, 4720, (B,)),)),
        (
            {A: refused(4720), B: refused(4750)},
            250,
            (Said(UNRESOLVED, 4720, (A,)), Said(DENIED, 4750, (B,))),
        ),
        ({A: LOST}, 250, ()),
        ({A: OK, B: LOST}, 250, ()),
        ({A: BUSY}, 451, ()),
        ({A: OK, B: BUSY}, 451, ()),
        ({A: refused(4720), B: THROTTLED}, 452, ()),
        ({A: DOWN}, 451, ()),
    ],
)
def test_the_networks_replies_make_one_reply_and_the_answers(
    replies: Mapping[str, Reply], code: int, answers: tuple[Said, ...]
) -> None:
    """Whoever is refused is named unless all are, for one reason; what was lost is not answered."""
    judgement = mail.judge(replies, answers=True)
    assert (judgement.reply.code, judgement.answers) == (code, answers)


@pytest.mark.parametrize(
    ("replies", "code"),
    [({A: OK}, 250), ({A: refused(4720)}, 550), ({A: OK, B: refused(4720)}, 250), ({A: LOST}, 250)],
)
def test_without_answers_a_refusal_of_all_is_a_reply(replies: Mapping[str, Reply], code: int) -> None:
    """The same with answers, if the carrier refuses so."""
    assert mail.judge(replies, answers=False) == Judgement(mail.judge(replies, answers=False).reply)
    assert mail.judge(replies, answers=False).reply.code == code
    assert mail.judge(replies, answers=True, by_smtp=True).reply.code == code


@pytest.mark.parametrize(
    ("asked", "attempt", "code", "answers"),
    [
        (Asked(smtp=451), 1, 451, ()),
        (Asked(smtp=554), 2, 554, ()),
        (Asked(answer=DENIED), 2, 250, (Said(DENIED),)),
        (Asked(answer="Error-network-problem"), 1, 250, (Said("Error-network-problem"),)),
    ],
)
def test_what_a_text_asks_for_is_said(
    asked: Asked, attempt: int, code: int, answers: tuple[Said, ...]
) -> None:
    """At each attempt what is for good, at the first what is not."""
    judgement = mail.asked_for(asked, attempt, answers=True)
    assert judgement is not None
    assert (judgement.reply.code, judgement.answers) == (code, answers)


@pytest.mark.parametrize(
    ("asked", "attempt"),
    [
        (Asked(), 1),
        (Asked(report="Expired"), 1),
        (Asked(answer="Ok"), 1),
        (Asked(smtp=451), 2),
        (Asked(answer="Error-network-problem"), 2),
    ],
)
def test_what_a_text_does_not_ask_for_is_the_networks(asked: Asked, attempt: int) -> None:
    """Nothing is made of it here."""
    assert mail.asked_for(asked, attempt, answers=True) is None


# ---- what is reported ----


def report(state: ReceiptState, code: int | None = None, said: str = "") -> Report:
    return Report(
        message_id="m", origin="o@x", source=OURS, recipient=A, state=state, code=code, said=said, at_ms=0
    )


@pytest.mark.parametrize(
    ("given", "reports", "words"),
    [
        (report(ReceiptState.DELIVERED), "retrieved", ("Retrieved",)),
        (report(ReceiptState.DELIVERED), "forwarded", ("Forwarded",)),
        (report(ReceiptState.DELIVERED), "indeterminate", ("Indeterminate",)),
        (report(ReceiptState.DELIVERED), "none", ()),
        (report(ReceiptState.ENROUTE), "retrieved", ("Deferred",)),
        (report(ReceiptState.EXPIRED, 5650), "retrieved", ("Expired",)),
        (report(ReceiptState.UNDELIVERABLE, 4700), "retrieved", ("Unrecognised",)),
        (report(ReceiptState.UNDELIVERABLE, 9999), "retrieved", ("Indeterminate",)),
        (report(ReceiptState.DELIVERED, said="Rejected"), "retrieved", ("Rejected",)),
        (report(ReceiptState.DELIVERED, said="Deferred"), "retrieved", ("Deferred", "Retrieved")),
        (report(ReceiptState.DELIVERED, said="Strange"), "retrieved", ("Strange",)),
    ],
)
def test_the_words_of_a_report(given: Report, reports: str, words: tuple[str, ...]) -> None:
    """What became of it, or what the text asks for; after what is not final, the ordinary one."""
    assert mail.words_of(given, parse_settings({"reports": reports})) == words


def test_a_report_is_about_one_recipient() -> None:
    """Under the peer's message id, with our code only for what really happened."""
    given = report(ReceiptState.REJECTED, 4753)
    made = mail.delivery_report(given, "Rejected", SETTINGS, "t")
    assert (made.message_id, made.internal_code) == ("m", 753)
    assert made.status_extension == "Rejection-By-MMS-Recipient"
    assert made.source == mm4.Address(mm4.Kind.PHONE, A, SETTINGS.domain)
    asked = mail.delivery_report(report(ReceiptState.DELIVERED, said="Expired"), "Expired", SETTINGS, "t")
    assert asked.internal_code is None
    silent = mail.delivery_report(given, "Rejected", parse_settings({"internal_status": False}), "t")
    assert silent.internal_code is None


# ---- what is heard and written ----


def test_a_forward_is_delivered_by_its_envelope_and_shown_by_its_headers() -> None:
    """Mailboxes are nobody's; a subject stands for a text that is not there."""
    request = mm4.ForwardReq(
        transaction_id="t",
        message_id="<m@x>",
        source=mm4.Address(mm4.Kind.PHONE, OURS),
        to=(mail.address(A), mail.address(B)),
        cc=(mail.address(A),),
        subject="#report:Expired",
        system="relay@x.example",
        parts=(mm4.MimePart(content_type="image/png", octets=b"x", name="a.png"),),
    )
    heard = mail.hear(request, (f"{A}/TYPE=PLMN@y", f"{A}@y", "somebody@y.example"), "", SETTINGS.dialect)
    assert (heard.message_id, heard.recipients, heard.shown) == ("m@x", (A,), (A, B))
    assert (heard.text, heard.report_as, heard.origin) == ("#report:Expired", "Expired", "relay@x.example")
    assert heard.files == (File("a.png", "image/png", b"x"),)


def test_what_is_typed_is_a_forward() -> None:
    """With the files beside a presentation, to all recipients; in the peer's way of writing addresses."""
    written = Written(
        id="w", handset=A, recipients=(OURS, "12345"), text="hi", files=[File("a", "image/png", b"x")]
    )
    made = mail.forward(written, SETTINGS, "t", 5_000)
    assert (made.message_id, made.date_s, made.ack_request) == (f"w@{SETTINGS.domain}", 5, True)
    assert [each.value for each in made.to] == [OURS, "12345"]
    assert [part.content_type for part in made.parts] == ["application/smil", "image/png", "text/plain"]
    plain = parse_settings({"plus": False, "type_plmn": False, "peer_domain": "p.example"})
    assert mail.recipients(written, plain) == ("12345678901@p.example", "12345@p.example")


# ---- settings ----


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"reports": "poems"}, "reports"),
        ({"busy": 2}, "busy"),
        ({"domain": "a b"}, "domain"),
        ({"tls": "implicit"}, "tls_certificate_file"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_wrong_setting_is_named(given: Mapping[str, object], named: str) -> None:
    """What it allows is said, too."""
    with pytest.raises(ValueError, match=named):
        parse_settings(given)


def test_passwords_are_not_shown() -> None:
    """Neither the peer's nor those of accounts."""
    settings = parse_settings({"peer_password": "secret-1", "accounts": {"relay": "secret-2"}})
    assert "secret" not in repr(settings)
