"""Checks one signed message with the reference library of Standard Webhooks.

Reads JSON {secret, headers, body} on stdin; prints "genuine" or "forged".
"""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

message = json.load(sys.stdin)
try:
    Webhook(message["secret"]).verify(message["body"], message["headers"])
    print("genuine")
except WebhookVerificationError:
    print("forged")
