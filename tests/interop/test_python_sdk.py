"""The newest official Python SDK, unchanged but for its base URL, against a real gateway."""

import asyncio
from pathlib import Path

import bandwidth
import pytest

from support.gateway import ACCOUNT, APPLICATION, HANDSET, NUMBER, SECRET, TOKEN, running
from support.http import catching

pytestmark = pytest.mark.anyio


def messages_api(base_url: str, secret: str = SECRET) -> bandwidth.MessagesApi:
    configuration = bandwidth.Configuration(
        host=f"{base_url}/api/v2", ignore_operation_servers=True, username=TOKEN, password=secret
    )
    return bandwidth.MessagesApi(bandwidth.ApiClient(configuration))


def message(**fields: object) -> bandwidth.MessageRequest:
    return bandwidth.MessageRequest(
        **{"applicationId": APPLICATION, "to": [HANDSET], "from": NUMBER, "text": "Hello", **fields}
    )


async def test_a_message_is_sent_answered_and_called_back(tmp_path: Path) -> None:
    """The SDK reads the 202, and its own callback model reads the delivered callback."""
    async with catching() as catcher, running(tmp_path, callback_url=catcher.url) as gateway:
        api = messages_api(gateway.url)
        sent = await asyncio.to_thread(api.create_message, ACCOUNT, message(tag="sdk"))
        assert len(sent.id) == 29
        assert (sent.owner, sent.to, sent.segment_count, sent.tag) == (NUMBER, [HANDSET], 1, "sdk")
        event = await catcher.wait_for_event(sent.id)
        callback = bandwidth.models.StatusCallback.from_dict(event)
        assert callback is not None
        assert (callback.type, callback.to, callback.message.tag) == ("message-delivered", HANDSET, "sdk")


async def test_messages_are_listed(tmp_path: Path) -> None:
    """The SDK's search finds a message by its id, without its text."""
    async with running(tmp_path) as gateway:
        api = messages_api(gateway.url)
        sent = await asyncio.to_thread(api.create_message, ACCOUNT, message())
        found = await asyncio.to_thread(api.list_messages, ACCOUNT, message_id=sent.id)
        assert found.total_count == 1
        assert (found.messages[0].message_id, found.messages[0].destination_tn) == (sent.id, HANDSET)


async def test_errors_are_the_sdks_own_exceptions(tmp_path: Path) -> None:
    """A refused request and a wrong secret raise the SDK's exceptions with our words in them."""
    async with running(tmp_path) as gateway:
        api = messages_api(gateway.url)
        with pytest.raises(bandwidth.exceptions.BadRequestException) as refused:
            await asyncio.to_thread(api.create_message, ACCOUNT, message(to=["+1invalid"]))
        assert refused.value.data.type == "request-validation"
        assert refused.value.data.field_errors[0].field_name == "to"
        stranger = messages_api(gateway.url, secret="wrong")
        with pytest.raises(bandwidth.exceptions.UnauthorizedException):
            await asyncio.to_thread(stranger.create_message, ACCOUNT, message())
        with pytest.raises(bandwidth.exceptions.ForbiddenException):
            await asyncio.to_thread(api.create_message, "u-other", message())


async def test_media_are_uploaded_listed_downloaded_and_deleted(tmp_path: Path) -> None:
    """The SDK's four media calls, with a name whose slashes it encodes; a missing object is its own exception."""
    async with running(tmp_path) as gateway:
        configuration = bandwidth.Configuration(
            host=f"{gateway.url}/api/v2", ignore_operation_servers=True, username=TOKEN, password=SECRET
        )
        api = bandwidth.MediaApi(bandwidth.ApiClient(configuration))
        name, octets = "id/0/cat 1.png", b"\x89PNG\r\n\x1a\n" + bytes(1000)
        await asyncio.to_thread(
            api.upload_media, ACCOUNT, name, octets, _content_type="image/png", cache_control="no-cache"
        )
        (listed,) = await asyncio.to_thread(api.list_media, ACCOUNT)
        assert (listed.media_name, listed.content_length) == (name, len(octets))
        got = await asyncio.to_thread(api.get_media_with_http_info, ACCOUNT, name)
        assert (got.status_code, got.raw_data) == (200, octets)
        assert got.headers["content-type"] == "image/png"
        await asyncio.to_thread(api.delete_media, ACCOUNT, name)
        with pytest.raises(bandwidth.exceptions.NotFoundException):
            await asyncio.to_thread(api.get_media, ACCOUNT, name)
