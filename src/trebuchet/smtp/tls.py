"""TLS of both sides, as settings want it."""

import ssl

from trebuchet.smtp.settings import ClientSettings, ListenerSettings


def client_context(settings: ClientSettings) -> ssl.SSLContext | None:
    """None without TLS. Reads the files; raises ValueError that names one that is wrong."""
    if settings.tls == "none":
        return None
    try:
        made = ssl.create_default_context(cafile=settings.tls_ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"tls_ca_file {settings.tls_ca_file}: {error}") from None
    if not settings.tls_verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if settings.tls_certificate_file:
        _load(made, settings.tls_certificate_file, settings.tls_key_file)
    return made


def listener_context(settings: ListenerSettings) -> ssl.SSLContext | None:
    """None without TLS. Reads the files; raises ValueError that names one that is wrong."""
    if settings.tls == "none":
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(made, settings.tls_certificate_file, settings.tls_key_file)
    if settings.tls_client_ca_file:
        try:
            made.load_verify_locations(settings.tls_client_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"tls_client_ca_file {settings.tls_client_ca_file}: {error}") from None
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def _load(context: ssl.SSLContext, certificate_file: str, key_file: str) -> None:
    try:
        context.load_cert_chain(certificate_file, key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"tls_certificate_file {certificate_file}: {error}") from None
