"""An SMTP server for tests, with STARTTLS or implicit TLS and with AUTH.

usage: smtp_server.py FOLDER MODE      MODE: starttls | implicit | none | hang | reject | reject-open
Writes FOLDER/ca.pem, then prints "ready PORT". Every mail is printed as one JSON line. The password of user "tokenwatch" is
"correct horse".
"""

import asyncio
import base64
import json
import logging
import ssl
import sys
import warnings
from pathlib import Path

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

# clients of these tests misbehave on purpose: only what breaks this program itself is worth a line
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

folder, mode = Path(sys.argv[1]), sys.argv[2]
authority = trustme.CA()
authority.cert_pem.write_to_path(str(folder / "ca.pem"))
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost", "127.0.0.1").configure_cert(tls)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if mode.startswith("reject"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        content = base64.b64encode(envelope.content).decode()
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None or mode == "implicit", "content": content}
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 queued as 42"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"tokenwatch", b"correct horse")
    # not handled: the server itself answers with 235 or 535
    return AuthResult(success=good, handled=False)


async def hang(reader, writer):
    await asyncio.sleep(3600)


async def main():
    loop = asyncio.get_running_loop()

    def smtp():
        return SMTP(
            Handler(),
            loop=loop,
            hostname="localhost",
            tls_context=tls if mode == "starttls" else None,
            require_starttls=mode == "starttls",
            auth_required=mode not in ("none", "reject-open"),
            auth_require_tls=mode == "starttls",
            authenticator=authenticate,
        )

    if mode == "hang":
        server = await asyncio.start_server(hang, "127.0.0.1", 0)
    else:
        server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=tls if mode == "implicit" else None)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
