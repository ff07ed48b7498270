"""Send a welcome email to each new user: a function that Atoll calls with the changes of the table `users`.

Atoll may deliver a record twice, if it crashes after the email was sent and before the progress is stored. So the
message's id is derived from the record: mail systems show messages with the same id once.
"""

from __future__ import annotations

import os
import smtplib
from email.message import EmailMessage
from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    host, port = os.environ["SMTP_HOST"], int(os.environ["SMTP_PORT"])
    for record in event["Records"]:
        try:
            with smtplib.SMTP(host, port, timeout=10) as server:
                server.send_message(welcome(record))
        except OSError:
            # Atoll delivers this record and those after it again; those before it are done.
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def welcome(record: dict[str, Any]) -> EmailMessage:
    user = record["dynamodb"]["NewImage"]
    message = EmailMessage()
    message["From"] = "hello@example.com"
    message["To"] = user["email"]["S"]
    message["Subject"] = f"Welcome, {user['name']['S']}"
    message["Message-ID"] = f"<{record['eventID']}@example.com>"
    message.set_content(f"Hello {user['name']['S']},\n\nit is good to have you here.\n")
    return message
