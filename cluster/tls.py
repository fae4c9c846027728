"""``python -m cluster.tls FOLDER``: keys and certificates for a Dask cluster, and the settings to use them.

Client, scheduler and workers all read ``dask-tls.yaml`` from their Dask configuration folder; that is the one
option. It names files in FOLDER, so the folder must lie at the same path on every machine.
"""

import argparse
import datetime as dt
import ipaddress
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

__all__ = ["main", "write_tls"]

_DAYS = 825


def write_tls(folder: Path, names: Sequence[str]) -> Path:
    """Write an authority, one certificate signed by it, and Dask's settings.

    Parameters
    ----------
    folder : Path
        Made if it is not there, readable by its owner alone.
    names : sequence of str
        Host names and addresses that the certificate is for.

    Returns
    -------
    Path
        The settings, ``dask-tls.yaml``.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file, content in _certificates(names).items():
        path = folder / file
        path.touch(mode=0o600)
        path.write_bytes(content)
    return _write_settings(folder)


def _certificates(names: Sequence[str]) -> dict[str, bytes]:
    """Return an authority, and a certificate signed by it with its key, as PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = dt.datetime.now(dt.UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("covis-dask authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=_DAYS))
        )

    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = (
        builder("covis-dask authority", authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    certificate = (
        builder("covis-dask", key)
        .add_extension(x509.SubjectAlternativeName([_general(text) for text in names]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return {
        "ca.pem": root.public_bytes(pem),
        "cert.pem": certificate.public_bytes(pem),
        "key.pem": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }


def _write_settings(folder: Path) -> Path:
    """Write the settings that name the certificates."""
    mine = {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    tls = {"ca-file": str(folder / "ca.pem"), "client": mine, "scheduler": mine, "worker": mine}
    comm = {"default-scheme": "tls", "require-encryption": True, "tls": tls}
    settings = folder / "dask-tls.yaml"
    settings.write_text(yaml.safe_dump({"distributed": {"comm": comm}}), encoding="utf-8")
    return settings


def _general(text: str) -> "GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Write them, and say what to do with them."""
    parser = argparse.ArgumentParser(prog="python -m cluster.tls", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write; keep it private: it holds the private key")
    parser.add_argument(
        "--name", action="append", default=[], help="host name or address of the scheduler, repeatable"
    )
    arguments = parser.parse_args(argv)
    try:
        settings = write_tls(arguments.folder, [*arguments.name, "localhost", "127.0.0.1"])
    except ImportError:
        print("error: this needs cryptography: pip install 'covis-dask[tls]'", file=sys.stderr)  # noqa: T201
        return 2
    print(  # noqa: T201
        f"wrote {settings}: copy or link it into the folder that DASK_CONFIG names (or ~/.config/dask) on "
        "every machine, start scheduler and workers as ever, and give the batch --scheduler tls://host:8786"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
