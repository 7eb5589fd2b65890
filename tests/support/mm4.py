"""Any MM4 message that can be written, for property tests."""

from hypothesis import strategies as st

from trebuchet.protocols.mm4 import (
    Address,
    DeliveryReportReq,
    DeliveryReportRes,
    ForwardReq,
    ForwardRes,
    Kind,
    MessageClass,
    MimePart,
    MmStatus,
    Pdu,
    Priority,
    ReadReplyReq,
    ReadReplyRes,
    ReadStatus,
    RequestStatus,
    StatusExtension,
)

# What a header holds: anything but controls, line separators and halves of pairs; no blanks around it.
lines = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.sampled_from('=?_" ,;<>'), max_size=120
).map(str.strip)
ids = st.from_regex(r'[!-~]{1,60}|"[!-~ ]{1,60}"|<[!-~]{1,60}>', fullmatch=True).filter(
    lambda written: written.strip(" \"'<>") != ""
)
domains = st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10}){1,3}", fullmatch=True)
mailboxes = st.builds("{}@{}".format, st.from_regex(r"[A-Za-z0-9+/=_.-]{1,30}", fullmatch=True), domains)
phones = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
addresses = st.one_of(
    st.builds(Address, st.just(Kind.PHONE), phones, domains | st.just("")),
    st.builds(
        Address,
        st.just(Kind.SHORT_CODE),
        st.from_regex(r"[2-9][0-9]{2,5}", fullmatch=True),
        domains | st.just(""),
    ),
    st.builds(
        Address,
        st.just(Kind.ALPHANUMERIC),
        st.from_regex(r"[A-Za-z][A-Za-z0-9 &_<>,\"()\\-]{0,9}[A-Za-z]", fullmatch=True),
        domains | st.just(""),
    ),
    st.builds(
        Address,
        st.just(Kind.EMAIL),
        st.from_regex(r"[A-Za-z][A-Za-z0-9._+ -]{0,20}[A-Za-z]", fullmatch=True),
        domains,
    ),
    st.builds(Address, st.just(Kind.IP), st.ip_addresses().map(str), domains | st.just("")),
)
lists = st.lists(addresses, max_size=12).map(tuple)
moments = st.none() | st.integers(0, 253_402_300_799)
flags = st.none() | st.booleans()
counts = st.none() | st.integers(0, 999_999_999)
extras = st.lists(
    st.tuples(st.from_regex(r"X-Mms-Peculiar-[A-Za-z0-9]{1,20}", fullmatch=True), lines), max_size=3
).map(tuple)
names = (
    st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="/\\"), max_size=150
    )
    .map(str.strip)
    .filter(lambda name: name not in {".", ".."} and not name.startswith("cid:"))
)
leaf_types = st.sampled_from(
    ["image/jpeg", "text/plain", "application/smil", "video/3gpp", "text/x-vcard", "x/y"]
)


@st.composite
def mime_parts(draw: st.DrawFn) -> MimePart:
    """With a name that reading gives back: from the Content-Location, the name, or the Content-ID."""
    name = draw(names)
    location = name if draw(st.booleans()) and name.isascii() and name.isalnum() else ""
    content_id = draw(st.just("") | st.from_regex(r"[A-Za-z0-9.@-]{1,30}", fullmatch=True))
    return MimePart(
        content_type=draw(leaf_types),
        octets=draw(st.binary(max_size=300)),
        charset=draw(st.sampled_from(["", "utf-8", "iso-8859-1"])),
        name=name or ("" if content_id in {".", ".."} else content_id),
        content_id=content_id,
        content_location=location,
    )


_common = {
    "transaction_id": ids,
    "message_id": ids,
    "version": st.from_regex(r"[0-9]\.[0-9]{1,2}\.[0-9]", fullmatch=True),
    "system": mailboxes | st.just(""),
    "mail_id": st.just("") | mailboxes,
    "date_s": moments,
    "extra": extras,
}
_answer = {
    **_common,
    "to": mailboxes | st.just(""),
    "status": st.sampled_from(RequestStatus) | lines.filter(bool),
    "status_text": lines,
    "internal_code": st.none() | st.integers(0, 999),
}
_report = {
    **_common,
    "source": st.none() | addresses,
    "to": st.none() | addresses,
    "status_text": lines,
    "ack_request": st.booleans(),
}
leaf = st.just((MimePart(content_type="text/plain", octets=b"hello"),))
forward_reqs = (
    st.builds(
        ForwardReq,
        **_common,
        source=addresses,
        to=lists,
        cc=lists,
        bcc=lists,
        subject=lines,
        originator_system=mailboxes | st.just(""),
        ack_request=st.booleans(),
        delivery_report=st.booleans(),
        read_reply=st.booleans(),
        message_class=st.none() | st.sampled_from(MessageClass),
        priority=st.none() | st.sampled_from(Priority),
        sender_visible=flags,
        forward_counter=counts,
        previously_sent_by=st.lists(lines.filter(bool), max_size=3).map(tuple),
        previously_sent_at=st.lists(lines.filter(bool), max_size=3).map(tuple),
        originator_rs_delivery_report=flags,
        adaptation_allowed=flags,
        content_class=lines,
        drm_content=flags,
        applic_id=lines,
        reply_applic_id=lines,
        aux_applic_info=lines,
        parts=st.lists(mime_parts(), min_size=1, max_size=3).map(tuple),
    )
    | st.builds(
        ForwardReq, **_common, source=addresses, parts=leaf, expires_s=st.integers(0, 253_402_300_799)
    )
    | st.builds(
        ForwardReq, **_common, source=addresses, parts=leaf, expires_after_s=st.integers(0, 999_999_999)
    )
)
any_message: st.SearchStrategy[Pdu] = st.one_of(
    forward_reqs,
    st.builds(ForwardRes, **_answer, recipients=lists),
    st.builds(
        DeliveryReportReq,
        **_report,
        status=st.sampled_from(MmStatus),
        status_extension=st.just("") | st.sampled_from(StatusExtension),
        forward_to_originator_ua=flags,
        internal_code=st.none() | st.integers(0, 999),
    ),
    st.builds(DeliveryReportRes, **_answer),
    st.builds(ReadReplyReq, **_report, status=st.sampled_from(ReadStatus)),
    st.builds(ReadReplyRes, **_answer),
)
