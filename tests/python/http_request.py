"""HTTP requests from a chosen source address.

Reads {"port", "requests": [{"from", "method", "path", "user", "password", "headers", "body"}]} on stdin and prints a list of
{"status", "body"}, one for each, the body in base64.
"""
import base64
import http.client
import json
import sys

asked = json.load(sys.stdin)
answers = []
for request in asked["requests"]:
    connection = http.client.HTTPConnection("127.0.0.1", asked["port"], timeout=60, source_address=(request["from"], 0))
    headers = dict(request.get("headers") or {})
    if request.get("user") is not None:
        word = f'{request["user"]}:{request["password"]}'.encode()
        headers["Authorization"] = "Basic " + base64.b64encode(word).decode()
    connection.request(request["method"], request["path"], (request.get("body") or "").encode(), headers)
    answer = connection.getresponse()
    answers.append({"status": answer.status, "body": base64.b64encode(answer.read()).decode()})
    connection.close()
json.dump(answers, sys.stdout)
