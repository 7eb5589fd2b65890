"""Every setting of the gateway, and the one place that reads them.

A setting is defined once, as a field in `definitions`. The TOML key, the environment variable, the help texts
and the reference page are derived from it in `rows`. `load` lays the sources over each other (flag over
environment over file over default) and answers a frozen `Settings`; its parts go to whoever needs them.
"""

from trebuchet.settings.definitions import (
    ApiSettings,
    CallbackSettings,
    InboundSettings,
    LoggingSettings,
    OutboxSettings,
    RetentionSettings,
    Secret,
    ServerSettings,
    Settings,
    SimulatorSettings,
    StorageSettings,
    TracingSettings,
)
from trebuchet.settings.loading import (
    Loaded,
    Problem,
    SettingsError,
    data_directory,
    describe,
    load,
    read_file,
)
from trebuchet.settings.rows import Row, reference_markdown, rows, value_text

__all__ = [
    "ApiSettings",
    "CallbackSettings",
    "InboundSettings",
    "Loaded",
    "LoggingSettings",
    "OutboxSettings",
    "Problem",
    "RetentionSettings",
    "Row",
    "Secret",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "SimulatorSettings",
    "StorageSettings",
    "TracingSettings",
    "data_directory",
    "describe",
    "load",
    "read_file",
    "reference_markdown",
    "rows",
    "value_text",
]
