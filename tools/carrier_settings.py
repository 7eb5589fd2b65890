"""The page of carrier settings, from their types."""

from collections.abc import Iterator

from trebuchet.carriers.described import KINDS, settings_of

_HEAD = """\
# Carrier settings

What `settings` of a carrier record may say, by its kind: `trebuchet carriers create ID --kind KIND --settings JSON`, or
`POST /admin/v1/carriers`. A setting without a default must be given. Secrets are shown as `•••`; sent back so,
they stay.
"""


def carriers_page() -> str:
    return _HEAD + "".join(line for kind in KINDS for line in _section(kind))


def _section(kind: str) -> Iterator[str]:
    yield f"\n## {kind}\n\n| setting | default | what it may be | what it is for |\n|---|---|---|---|\n"
    for setting in settings_of(kind):
        default = "must be given" if setting.default is None else f"`{setting.default}`"
        cells = (f"`{setting.name}`", default, setting.allowed, setting.meaning)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
