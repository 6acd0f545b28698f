"""Slow HTTP and HTTPS: the last number in the path (`/wait-250`) is how long the answer takes, in milliseconds."""

import datetime
import ipaddress
import re
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["serve"]

HOST = "127.0.0.1"
BODY = b'{"rows": [1, 2, 3]}' * 50


class _Handler(BaseHTTPRequestHandler):
    """`/wait-N` waits before the headers; `/drip-N` within the body; `/refuse` answers 503 at once."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        wait = int((re.findall(r"\d+", self.path) or ["0"])[-1]) / 1000
        if "/refuse" in self.path:
            self._head(503, 0)
        elif "/drip" in self.path:
            self._head(200, 2 * len(BODY))
            self.wfile.write(BODY)
            self.wfile.flush()
            time.sleep(wait)
            self.wfile.write(BODY)
        else:
            time.sleep(wait)
            self._head(200, len(BODY))
            self.wfile.write(BODY)

    def _head(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Type", "application/json")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


class _Plain(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Silent: clients go away without a word, and many do."""


class _Secure(_Plain):
    """Does its TLS handshake in the worker thread, `handshake_s` late."""

    def __init__(self, context: ssl.SSLContext, handshake_s: float) -> None:
        super().__init__((HOST, 0), _Handler)
        self.context = context
        self.handshake_s = handshake_s

    def finish_request(self, request: Any, client_address: Any) -> None:
        time.sleep(self.handshake_s)
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)  # type: ignore[arg-type]


def serve(folder: Path) -> dict[str, Any]:
    """Starts them; "https" and "tls" (a handshake of 250 ms) are missing where `cryptography` is not installed."""
    servers = {"http": _Plain((HOST, 0), _Handler)}
    addresses: dict[str, Any] = {}
    try:
        certificate = _certificate(folder)
    except ImportError:
        pass
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        servers |= {"https": _Secure(context, 0.0), "tls": _Secure(context, 0.25)}
        addresses["certificate"] = str(certificate)
    for name, server in servers.items():
        threading.Thread(target=server.serve_forever, daemon=True).start()
        addresses[name] = server.server_port
    return addresses


def _certificate(folder: Path) -> Path:
    """A self-signed certificate for loopback, with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopwatch accuracy corpus")])
    today = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(today - datetime.timedelta(days=1))
    builder = builder.not_valid_after(today + datetime.timedelta(days=7))
    address = x509.IPAddress(ipaddress.ip_address(HOST))
    builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(secret + builder.sign(key, hashes.SHA256()).public_bytes(pem))
    return path
