"""TLS certificates for servers on loopback: of their own authority, or of a private one.

    authority = Authority()
    context.load_cert_chain(save(authority.certificate("aws.example.com")))   # the server
    (folder / "ca.pem").write_bytes(authority.pem)                            # who is to trust it
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Any, Sequence

__all__ = ["Authority", "self_signed"]


def self_signed(name: str) -> bytes:
    """A private key and a certificate for this name or IP address and `localhost`, in one PEM, for a day."""
    key = _new_key()
    subject = _named(name)
    certificate = _draft(subject, subject, key.public_key(), authority=True)
    signed = certificate.add_extension(_names([name, "localhost"]), critical=False)
    return _private(key) + _signed(signed, key)


class Authority:
    """A certificate authority of one's own, good for a day. `pem` is what a client has to trust."""

    def __init__(self, name: str = "Private CA") -> None:
        from cryptography import x509

        self._key, self._name = _new_key(), _named(name)
        certificate = _draft(self._name, self._name, self._key.public_key(), authority=True)
        # Python 3.13 verifies strictly (RFC 5280): an authority says that it is one, and by which key.
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        own = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        signed = certificate.add_extension(usage, critical=True).add_extension(own, critical=False)
        self.pem = _signed(signed, self._key)

    def certificate(self, *names: str) -> bytes:
        """A private key and a certificate for these host names and IP addresses, in one PEM."""
        from cryptography import x509

        key = _new_key()
        certificate = _draft(_named(names[0]), self._name, key.public_key(), authority=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = certificate.add_extension(_names(names), critical=False)
        return _private(key) + _signed(certificate.add_extension(issuer, critical=False), self._key)


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> Any:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _names(names: Sequence[str]) -> Any:
    from cryptography import x509

    def of(name: str) -> Any:
        try:
            return x509.IPAddress(ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    return x509.SubjectAlternativeName([of(name) for name in names])


def _draft(subject: Any, issuer: Any, public_key: Any, *, authority: bool) -> Any:
    from cryptography import x509

    start = datetime.now(timezone.utc) - timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )


def _signed(certificate: Any, signer: Any) -> bytes:
    from cryptography.hazmat.primitives import hashes, serialization

    return bytes(certificate.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _private(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
