"""Writes sessions as database servers log them.

`Log` collects whole sessions and gives out records in the order of time, a day at a time, so memory holds one day.
Formats (each checked against logs of real servers, PostgreSQL 15 and MariaDB 10.11):
  csv      PostgreSQL csvlog, log_min_duration_statement = 0, log_connections, log_disconnections
  stderr   the same as stderr log, log_line_prefix = '%m [%p] %q%u@%d %r app=%a sess=%c line=%l state=%e '
  mariadb  server_audit, events CONNECT,QUERY,TABLE (seconds only; no client software, no duration)
"""

import datetime
import heapq

UTC = datetime.timezone.utc
DENIED, NO_TABLE, SYNTAX, NO_LOGIN, TIMEOUT, DUPLICATE = "42501", "42P01", "42601", "28P01", "57014", "23505"
MESSAGE = {
    DENIED: "permission denied for table {0}",
    NO_TABLE: 'relation "{0}" does not exist',
    SYNTAX: 'syntax error at or near "{0}"',
    NO_LOGIN: 'password authentication failed for user "{0}"',
    TIMEOUT: "canceling statement due to statement timeout",
    DUPLICATE: 'duplicate key value violates unique constraint "{0}_pkey"',
}
MARIA_CODE = {DENIED: 1142, NO_TABLE: 1146, SYNTAX: 1064, NO_LOGIN: 1045, TIMEOUT: 1969, DUPLICATE: 1062, None: 0}


class Call:
    """One statement of a session: text with literals, or text with $n and the parameters; code None means success."""

    __slots__ = ("at", "text", "parameters", "op", "tables", "ms", "code", "mark")

    def __init__(self, at, text, op, tables, ms, code=None, parameters=None, mark=None):
        self.at, self.text, self.parameters, self.op, self.tables = at, text, parameters, op, tables
        self.ms, self.code, self.mark = ms, code, mark


class Session:
    """A connection of `user` from `address`; `calls` in order of time. `login` False: the password was refused."""

    __slots__ = ("start", "user", "address", "app", "database", "calls", "extended", "login", "port", "pid", "line", "id", "end", "vxid", "seen")

    def __init__(self, start, user, address, app, database, calls, extended=False, login=True):
        self.start, self.user, self.address, self.app, self.database = start, user, address, app, database
        self.calls, self.extended, self.login = calls, extended, login
        self.line, self.vxid, self.seen = 0, 0, {}
        self.end = (calls[-1].at if calls else start) + 1.5


def stamp(t):
    return datetime.datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M:%S")


def milli(t):
    return "%s.%03d UTC" % (stamp(t), int(t * 1000) % 1000)


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


class Log:
    """Sessions in, text out. Call `flush(until)` with rising times; everything before `until` is written."""

    def __init__(self, path, form, rng):
        self.out = open(path, "w", encoding="utf-8", newline="\n")
        self.form, self.rng, self.heap, self.order, self.pids, self.query = form, rng, [], 0, 20000, 0
        self.records, self.first = 0, None

    def push(self, at, session, step, call=None):
        self.order += 1
        heapq.heappush(self.heap, (at, self.order, session, step, call))

    def add(self, session):
        self.pids = self.pids + self.rng.randint(1, 9)
        session.pid = 1000 + self.pids % 4190000
        session.port = self.rng.randint(32768, 60999)
        session.id = "%x.%x" % (int(session.start), session.pid)
        self.push(session.start, session, "received")
        self.push(session.start + 0.004, session, "authorized" if session.login else "refused")
        for call in session.calls:
            self.push(max(call.at, session.start + 0.006), session, "call", call)
        if session.login:
            self.push(session.end + 0.01, session, "bye")

    def flush(self, until):
        write = {"csv": self.csv, "stderr": self.csv, "mariadb": self.mariadb}[self.form]
        while self.heap and self.heap[0][0] < until:
            at, _, session, step, call = heapq.heappop(self.heap)
            write(at, session, step, call)

    def close(self):
        self.flush(float("inf"))
        self.out.close()

    # --- PostgreSQL
    def record(self, at, s, tag, level, code, message, detail="", query="", known=True, app="", ending=False):
        s.line += 1
        self.records += 1
        if self.form == "stderr":
            who = "%s@%s" % (s.user, s.database) if known else "[unknown]@[unknown]"
            head = "%s [%d] %s %s(%d) app=%s sess=%s line=%%d state=%s " % (milli(at), s.pid, who, s.address, s.port, app or "[unknown]", s.id, code)
            body = head % s.line + level + ":  " + message.replace("\n", "\n\t") + "\n"
            for name, text in (("DETAIL", detail), ("STATEMENT", query)):
                if text:
                    s.line += 1
                    body += head % s.line + name + ":  " + text.replace("\n", "\n\t") + "\n"
            self.out.write(body)
            return
        user = '"%s","%s"' % (s.user, s.database) if known else ","
        self.out.write(
            '%s,%s,%d,"%s:%d",%s,%d,"%s",%s UTC,%s,0,%s,%s,%s,%s,,,,,%s,%s,,"%s","%s",,0\n'
            % (
                milli(at),
                user,
                s.pid,
                s.address,
                s.port,
                s.id,
                s.line,
                tag,
                stamp(s.start),
                "%d/%d" % (3 + s.pid % 90, s.vxid) if known and not ending else "",
                level,
                code,
                quoted(message),
                quoted(detail) if detail else "",
                quoted(query) if query else "",
                8 if code in (SYNTAX, NO_TABLE) else "",
                app,
                "client backend" if known else "not initialized",
            )
        )

    def csv(self, at, s, step, call):
        if step == "received":
            return self.record(at, s, "", "LOG", "00000", "connection received: host=%s port=%d" % (s.address, s.port), known=False)
        if step == "refused":
            return self.record(
                at,
                s,
                "authentication",
                "FATAL",
                NO_LOGIN,
                MESSAGE[NO_LOGIN].format(s.user),
                detail='Connection matched pg_hba.conf line 95: "hostssl all all all scram-sha-256"',
            )
        if step == "authorized":
            self.record(
                at,
                s,
                "authentication",
                "LOG",
                "00000",
                'connection authenticated: identity="%s" method=scram-sha-256 (/etc/postgresql/15/main/pg_hba.conf:95)' % s.user,
            )
            app = " application_name=%s" % s.app if s.app else ""
            return self.record(
                at,
                s,
                "authentication",
                "LOG",
                "00000",
                "connection authorized: user=%s database=%s%s SSL enabled (protocol=TLSv1.3, "
                "cipher=TLS_AES_256_GCM_SHA384, bits=256)" % (s.user, s.database, app),
            )
        if step == "bye":
            long = at - s.start
            return self.record(
                at,
                s,
                "idle",
                "LOG",
                "00000",
                "disconnection: session time: %d:%02d:%06.3f user=%s database=%s host=%s port=%d"
                % (long // 3600, long // 60 % 60, long % 60, s.user, s.database, s.address, s.port),
                app=s.app,
                ending=True,
            )
        s.vxid += 1
        if call.code:
            what = call.tables[0][1] if call.tables else "?"
            return self.record(
                at,
                s,
                "idle" if call.code in (SYNTAX, NO_TABLE) else call.op.upper(),
                "ERROR",
                call.code,
                MESSAGE[call.code].format(what),
                query=call.text,
                app=s.app,
            )
        if not (s.extended and call.parameters):
            return self.record(at, s, call.op.upper(), "LOG", "00000", "duration: %.3f ms  statement: %s" % (call.ms, call.text), app=s.app)
        name, fresh = s.seen.get(call.text), False
        if name is None:
            name, fresh = "S_%d" % (len(s.seen) + 1), True
            s.seen[call.text] = name
        detail = "parameters: " + ", ".join("$%d = '%s'" % (i + 1, p) for i, p in enumerate(call.parameters))
        if fresh:
            self.record(at, s, "PARSE", "LOG", "00000", "duration: %.3f ms  parse %s: %s" % (0.02 + call.ms * 0.1 % 0.3, name, call.text), app=s.app)
        self.record(
            at, s, "BIND", "LOG", "00000", "duration: %.3f ms  bind %s: %s" % (0.01 + call.ms * 0.05 % 0.2, name, call.text), detail, app=s.app
        )
        self.record(at, s, call.op.upper(), "LOG", "00000", "duration: %.3f ms  execute %s: %s" % (call.ms, name, call.text), detail, app=s.app)

    # --- MariaDB
    def mariadb(self, at, s, step, call):
        head = "%s,db1,%s,%s,%d," % (datetime.datetime.fromtimestamp(at, UTC).strftime("%Y%m%d %H:%M:%S"), s.user, s.address, s.pid)
        self.records += 1
        if step == "received":
            return None
        if step in ("authorized", "refused", "bye"):
            what = {"authorized": "CONNECT,%s,,0", "refused": "FAILED_CONNECT,,,1045", "bye": "DISCONNECT,%s,,0"}[step]
            self.out.write(head + "0," + (what % s.database if "%s" in what else what) + "\n")
            if step == "refused":
                self.out.write(head + "0,DISCONNECT,,,0\n")
            return None
        self.query += 1
        text = call.text
        for i, p in reversed(list(enumerate(call.parameters or ()))):
            text = text.replace("$%d" % (i + 1), p if p.isdigit() else "'%s'" % p)
        text = text.replace('"', "`").replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
        if not call.code:
            row = {"select": "READ", "copy": "READ", "create": "CREATE", "drop": "DROP", "alter": "ALTER"}.get(call.op, "WRITE")
            for schema, table in call.tables:
                self.out.write(head + "%d,%s,%s,%s,\n" % (self.query, row, schema, table))
        self.out.write(head + "%d,QUERY,%s,'%s',%d\n" % (self.query, s.database, text, MARIA_CODE[call.code]))
        return None
