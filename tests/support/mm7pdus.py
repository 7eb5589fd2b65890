"""Any MM7 message that can be written, for property tests."""

from hypothesis import strategies as st

from support.mm4 import mime_parts
from trebuchet.protocols.mm7 import (
    DeliverReq,
    DeliverRsp,
    DeliveryReportReq,
    DeliveryReportRsp,
    Kind,
    Party,
    Pdu,
    ReadReplyReq,
    ReadReplyRsp,
    RsError,
    SubmitReq,
    SubmitRsp,
    VaspError,
)

# What an element holds: what XML has, on one line and without blanks around it or in a row.
texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs", "Cn", "Co"]) | st.sampled_from("<&>'\""),
    max_size=60,
)
tokens = st.from_regex(r"[!-~]{1,40}", fullmatch=True)
parties = st.builds(
    Party, st.sampled_from(Kind), st.from_regex(r"[+0-9a-z@.]{1,30}", fullmatch=True), st.booleans()
)
lists = st.lists(parties, max_size=5).map(tuple)
namespaces = st.sampled_from(["http://www.3gpp.org/ftp/REL-5-MM7-1-0", "urn:another"])
heads = {"transaction_id": tokens, "namespace": namespaces, "version": st.sampled_from(["5.3.0", "6.8.0"])}
about = {
    "relay_id": texts,
    "vasp_id": texts,
    "vas_id": texts,
    "message_id": texts,
    "recipient": st.none() | parties,
    "sender": st.none() | parties,
    "mm_status": texts,
    "status_text": texts,
}
recipients = {"to": lists, "cc": lists, "bcc": lists}
more = {"vasp_id": texts, "vas_id": texts, "linked_id": texts, "priority": texts, "subject": texts}
content = {"sender": st.none() | parties, "parts": st.lists(mime_parts(), max_size=3).map(tuple)}
status = {"status": st.integers(1, 9999), "status_text": texts, "details": texts}

messages: st.SearchStrategy[Pdu] = st.one_of(
    st.builds(
        SubmitReq,
        **heads,
        **recipients,
        **more,
        **content,
        service_code=texts,
        expires=texts,
        delivery_report=st.booleans(),
        read_reply=st.booleans(),
    ),
    st.builds(DeliverReq, **heads, **recipients, **more, **content, relay_id=texts, time_stamp=texts),
    st.builds(DeliveryReportReq, **heads, **about, date=texts, mm_status_extension=texts),
    st.builds(ReadReplyReq, **heads, **about, time_stamp=texts),
    st.builds(SubmitRsp, **heads, **status, message_id=texts),
    st.builds(DeliverRsp, **heads, **status, service_code=texts),
    *(st.builds(each, **heads, **status) for each in (DeliveryReportRsp, ReadReplyRsp, RsError, VaspError)),
)
