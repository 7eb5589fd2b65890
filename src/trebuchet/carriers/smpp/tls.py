"""TLS of a link, as its settings want it: verified unless they say otherwise."""

import ssl

from trebuchet.carriers.smpp.settings import SmppSettings


def context(settings: SmppSettings) -> ssl.SSLContext | None:
    """None for a link without TLS. Reads the certificate files; raises ValueError that names one that is wrong."""
    if not settings.tls:
        return None
    try:
        made = ssl.create_default_context(cafile=settings.tls_ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"tls_ca_file {settings.tls_ca_file}: {error}") from None
    if not settings.tls_verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if settings.tls_certificate_file:
        try:
            made.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file or None)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"tls_certificate_file {settings.tls_certificate_file}: {error}") from None
    return made
