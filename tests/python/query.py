"""One database session from a chosen source address.

Reads a JSON request on stdin (see python.rs) and prints {"refused": why} or {"results": [{"rows": ...} | {"error": ...}]}. A statement is
its text, or for PostgreSQL also [text with :names, {name: value}].
"""
import json
import sys

request = json.load(sys.stdin)


def text(value):
    return None if value is None else str(value)


def postgres():
    import pg8000.native

    connection = pg8000.native.Connection(
        request["user"],
        host="127.0.0.1",
        port=request["port"],
        password=request["password"],
        database=request["database"],
        source_address=(request["from"], 0),
        application_name=request["client"],
        timeout=60,
    )

    def run(statement):
        if isinstance(statement, list):
            # the extended protocol, as drivers speak it: parameters apart from the text
            return connection.run(statement[0], **statement[1]) or []
        # the simple protocol, as psql speaks it: one log record a statement
        return connection.execute_simple(statement).rows or []

    return connection, run


def mariadb():
    import pymysql

    connection = pymysql.connect(
        user=request["user"],
        host="127.0.0.1",
        port=request["port"],
        password=request["password"],
        database=request["database"] or None,
        bind_address=request["from"],
        program_name=request["client"],
        autocommit=True,
        connect_timeout=60,
        read_timeout=60,
    )

    def run(statement):
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    return connection, run


engine = {"postgres": postgres, "mariadb": mariadb}[request["engine"]]
try:
    session, run = engine()
except Exception as error:  # every way of not getting a session is an answer
    json.dump({"refused": str(error)}, sys.stdout)
    sys.exit(0)

results = []
for statement in request["statements"]:
    try:
        results.append({"rows": [[text(value) for value in row] for row in run(statement)]})
    except Exception as error:  # a refused statement is an answer, too
        results.append({"error": str(error)})
session.close()
json.dump({"results": results}, sys.stdout)
