"""The certificate by which the emulator stands for Cloud Storage towards its own jobs."""

import contextlib
import itertools
import os
import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from vertex_emulator.proxy.hosts import HOSTS

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
LIFETIME = timedelta(days=800)  # macOS trusts none that is valid for more than 825


class Certificate:
    """A key and its self-signed certificate, which vouches for Cloud Storage's hosts alone.

    Both stay in their folder, as a job may go on while its emulator is started again.

    Args:
        folder: keeps them, and the file of roots for jobs.

    Attributes:
        roots: a PEM file of the certificates that a job trusts: this one, and the usual ones.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "certificate.pem"
        if not self._is_good():
            _write(self._file, _made())
        self.roots = folder / "roots.pem"
        found = [PEM.findall(file.read_bytes()) for file in [*_usual_roots(), self._file]]
        _write(self.roots, b"\n".join(dict.fromkeys(itertools.chain.from_iterable(found))))

    def context(self) -> ssl.SSLContext:
        """Returns what a server needs to show this certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._file)
        return context

    def _is_good(self) -> bool:
        with contextlib.suppress(FileNotFoundError, ValueError):
            made = x509.load_pem_x509_certificate(self._file.read_bytes())
            return made.not_valid_after_utc - datetime.now(UTC) > LIFETIME / 2
        return False


def _usual_roots() -> Iterator[Path]:
    """Yields the files of roots that a job's programs would trust without this.

    Not only TensorFlow heeds `CURL_CA_BUNDLE`: curl and requests do, and keep the roots they had.
    """
    own = os.environ.get("CURL_CA_BUNDLE")
    system = ssl.get_default_verify_paths()
    for place in [own] if own else [system.cafile, system.capath, certifi.where()]:
        path = Path(place or os.devnull)
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.is_file() and os.access(file, os.R_OK):
                yield file


def _made() -> bytes:
    """Returns a new key and its certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "vertex-emulator")])
    today = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))  # clocks may be set back
        .not_valid_after(today + LIFETIME)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )  # for macOS
        .sign(key, hashes.SHA256())
    )
    own = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return own + certificate.public_bytes(serialization.Encoding.PEM)


def _write(file: Path, data: bytes) -> None:
    """Writes a file as a whole, for its owner alone."""
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_bytes(data)
    part.replace(file)
