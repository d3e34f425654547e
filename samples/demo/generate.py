#!/usr/bin/env python3
"""Writes the log that `tokenwatch demo` runs on: a PostgreSQL 15 csvlog of a small web shop, 2026-11-01 to 2026-11-15 (UTC).

    python3 generate.py                     # writes postgresql.csv.zst beside this file (needs the `zstd` program)
    python3 generate.py --csv postgresql.csv        # writes the plain log instead

Python 3 standard library only. The log depends on nothing but this file: the same bytes on every machine (the compressed
bytes also depend on the version of zstd). All addresses and people are made up; 203.0.113.0/24 is reserved for examples.

The server is set up as Tokenwatch recommends:

    log_destination = csvlog        log_statement = all         log_connections = on
    log_timezone = UTC              log_checkpoints = on        log_disconnections = on

Who uses the database `shop`:

    web_app          4 pods, 10.20.1.x, node-postgres, busy by day
    billing_svc      3 pods, 10.20.0.x, node-postgres, all day; pods move within 10.20.0.0/24, a fourth one joins on the 12th
    reporting_etl    10.20.3.15, at 01:05 every night
    backup           10.20.9.5, pg_dump at 03:30 every night
    monitoring       10.20.9.20, reads statistics every ten minutes
    deploy_migrator  10.20.2.8, deployments on the 4th and the 9th
    anna.analyst     10.60.1.x (VPN), DBeaver, office hours on working days
    old_admin        a canary: nobody uses it

On the 15th at 02:11 the password of billing_svc is used from 203.0.113.77 with psql: a look around, a try at pg_authid, the
table of API keys, all customers by COPY. At 02:52 the same address logs in as old_admin. billing_svc goes on with its own work.
"""

import argparse
import datetime
import pathlib
import subprocess
import sys

START = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
DAYS = 15
MS = 1
SECOND = 1000 * MS
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

HBA = "/etc/postgresql/15/main/pg_hba.conf"
DATABASE = "shop"


class Dice:
    """A small random generator with a fixed definition (xorshift64*), so that no version of Python changes the log."""

    def __init__(self, seed):
        self.state = seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D & (1 << 64) - 1

    def below(self, n):
        self.state ^= self.state >> 12
        self.state ^= self.state << 25 & (1 << 64) - 1
        self.state ^= self.state >> 27
        return (self.state * 0x2545F4914F6CDD1D >> 33 & 0x7FFFFFFF) % n

    def of(self, values):
        return values[self.below(len(values))]

    def chance(self, percent):
        return self.below(100) < percent


def stamp(at, milliseconds=True):
    """Time as csvlog writes it; `at` counts milliseconds since START."""
    when = START + datetime.timedelta(milliseconds=at)
    text = when.strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{when.microsecond // 1000:03d} UTC" if milliseconds else f"{text} UTC"


def quoted(text):
    """A text column: NULL is nothing at all, the empty text is \"\"."""
    return "" if text is None else '"' + text.replace('"', '""') + '"'


class Server:
    """Hands out process ids and collects records; writes them in the order of their time."""

    def __init__(self):
        self.records = []
        self.pids = set()
        self.slots = 0

    def fork(self, at):
        """A process id that no other session has; the ids of the host rise by one every twenty seconds."""
        pid = 1180 + at // (20 * SECOND)
        while pid in self.pids:
            pid += 1
        self.pids.add(pid)
        return pid

    def emit(self, at, *, pid, began, line, user=None, database=None, peer=None, ps=None, vxid=None, xid=0, severity="LOG",
             code="00000", message="", detail=None, hint=None, query=None, position=None, app="", backend="client backend"):
        session = f"{int(START.timestamp()) + began // 1000:x}.{pid:x}"
        columns = [stamp(at), quoted(user), quoted(database), str(pid), quoted(peer), session, str(line), quoted(ps),
                   stamp(began, False), vxid or "", str(xid), severity, code, quoted(message), quoted(detail), quoted(hint),
                   "", "", "", quoted(query), "" if position is None else str(position), "", quoted(app), quoted(backend), "", "0"]
        # The number keeps the order of records of one millisecond.
        self.records.append((at, len(self.records), ",".join(columns) + "\n"))

    def lines(self):
        # Rows are sorted by time; of one time, as they were written.
        return (text for _, _, text in sorted(self.records))


class Session:
    """One client connection, from `connection received` to `disconnection`."""

    def __init__(self, server, at, user, host, app, dice, password_wrong=False):
        self.server, self.user, self.host, self.app, self.began = server, user, host, app, at
        self.pid = server.fork(at)
        self.port = 32768 + dice.below(28000)
        self.line = 0
        self.slot = 3 + server.slots % 14
        server.slots += 1
        self.local = 40 + dice.below(4000)
        self.name = ""
        self.in_transaction = False
        self.at = at
        self.record(at, "", f"connection received: host={host} port={self.port}", user=None, database=None, backend="not initialized", vxid=False)
        if password_wrong:
            self.record(at + 6, "authentication", f'password authentication failed for user "{user}"', severity="FATAL", code="28P01",
                        detail='Connection matched pg_hba.conf line 102: "hostssl all all all scram-sha-256"')
            return
        self.record(at + 5, "authentication", f'connection authenticated: identity="{user}" method=scram-sha-256 ({HBA}:102)', fresh=True)
        self.record(at + 5, "authentication",
                    f"connection authorized: user={user} database={DATABASE} application_name={app} "
                    "SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)")
        self.name = app

    def record(self, at, ps, message, fresh=False, vxid=True, **more):
        self.at = max(self.at, at)
        self.line += 1
        if fresh:
            self.local += 1
        values = {"user": self.user, "database": DATABASE, "ps": ps, "app": self.name, "vxid": f"{self.slot}/{self.local}" if vxid else ""}
        values.update(more)
        self.server.emit(self.at, pid=self.pid, began=self.began, line=self.line, peer=f"{self.host}:{self.port}", message=message, **values)

    def query(self, at, text):
        """A statement of the simple protocol, as psql and pg_dump send it; logged before it is parsed."""
        self.record(at, "idle in transaction" if self.in_transaction else "idle", f"statement: {text}", fresh=not self.in_transaction)
        word = text.split(None, 1)[0].upper().rstrip(";")
        self.in_transaction = word == "BEGIN" or self.in_transaction and word not in ("COMMIT", "ROLLBACK")

    def execute(self, at, text, *values):
        """A prepared statement with bound values, as drivers send it."""
        tag = text.split(None, 1)[0].upper()
        bound = ", ".join("$%d = '%s'" % (n + 1, str(value).replace("'", "''")) for n, value in enumerate(values))
        self.record(at, tag, f"execute <unnamed>: {text}", fresh=not self.in_transaction, detail=f"parameters: {bound}" if values else None)

    def fail(self, at, ps, code, message, query, position=None, hint=None):
        self.record(at, ps, message, severity="ERROR", code=code, query=query, position=position, hint=hint)

    def close(self, at):
        self.at = max(self.at, at)
        lasted = self.at - self.began
        length = f"{lasted // HOUR}:{lasted // MINUTE % 60:02d}:{lasted // SECOND % 60:02d}.{lasted % 1000:03d}"
        self.record(self.at, "idle", f"disconnection: session time: {length} user={self.user} database={DATABASE} host={self.host} port={self.port}",
                    vxid=False)


# ------------------------------------------------------------------------------------------------ what each token does


def busy_by_day(hour):
    """Requests of the shop in one hour."""
    return (5, 3, 3, 3, 3, 5, 10, 15, 20, 23, 25, 25, 27, 25, 23, 23, 25, 28, 32, 33, 30, 22, 13, 8)[hour]


def web_request(session, at, dice, day):
    product = 1001 + dice.below(60)
    kind = dice.below(10)
    if kind < 6:
        session.execute(at, "SELECT id, name, price_cents, stock FROM public.products WHERE category_id = $1 ORDER BY name LIMIT 24", 1 + dice.below(9))
        session.execute(at + 2, "SELECT id, name, description, price_cents, stock FROM public.products WHERE id = $1", product)
        if dice.chance(40):
            session.execute(at + 3, "SELECT rating, title FROM public.reviews WHERE product_id = $1 ORDER BY id DESC LIMIT 5", product)
    elif kind < 8:
        session.execute(at, "SELECT id, customer_id FROM public.carts WHERE session_id = $1", dice.below(500))
        session.execute(at + 2, "INSERT INTO public.cart_items (cart_id, product_id, quantity) VALUES ($1, $2, $3)", dice.below(500), product, 1)
    elif kind < 9:
        customer = 500 + dice.below(400)
        session.execute(at, "SELECT id, email, password_changed_at FROM public.customers WHERE id = $1", customer)
        # Release 2.14, deployed on the 9th, shows the state of delivery: a new shape on tables that are known.
        columns = "id, placed_at, total_cents" if day < 8 else "id, placed_at, total_cents, delivery_state"
        session.execute(at + 2, f"SELECT {columns} FROM public.orders WHERE customer_id = $1 ORDER BY placed_at DESC LIMIT 10", customer)
    else:
        session.query(at, "BEGIN")
        session.execute(at + 2, "INSERT INTO public.orders (customer_id, total_cents) VALUES ($1, $2) RETURNING id", 500 + dice.below(400), 100 * dice.below(90) + 990)
        session.execute(at + 4, "UPDATE public.products SET stock = stock - $1 WHERE id = $2", 1, product)
        if day >= 4 and dice.chance(30):
            session.execute(at + 5, "SELECT percent FROM public.coupons WHERE code = $1", "WINTER")
        session.query(at + 7, "COMMIT")
    if dice.below(400) == 0:
        text = "SELECT id FROM public.products WHERE id = $1"
        session.fail(at + 9, "PARSE", "22P02", 'invalid input syntax for type bigint: "undefined"', text)


def billing_request(session, at, dice, day):
    order = 2000 + dice.below(300)
    kind = dice.below(8)
    if kind < 4:
        session.execute(at, "SELECT id, amount_cents, due_on, state FROM public.invoices WHERE order_id = $1", order)
    elif kind < 6:
        session.query(at, "BEGIN")
        session.execute(at + 1, "SELECT id, total_cents FROM public.orders WHERE id = $1 FOR UPDATE", order)
        session.execute(at + 3, "INSERT INTO public.invoices (order_id, amount_cents, due_on) VALUES ($1, $2, $3)", order, 990, "2026-11-30")
        session.query(at + 5, "COMMIT")
    elif kind < 7:
        session.execute(at, "UPDATE public.invoices SET state = $1 WHERE id = $2", "paid", order)
        session.execute(at + 2, "INSERT INTO public.payments (invoice_id, amount_cents, provider) VALUES ($1, $2, $3)", order, 990, "sepa")
    else:
        session.execute(at, "SELECT id, customer_ref, renews_on FROM public.subscriptions WHERE renews_on <= $1", f"2026-11-{1 + day:02d}")


class Pods:
    """A service with one pooled connection for each pod; connections are renewed, pods move to other addresses."""

    def __init__(self, server, user, app, network, seed, renew):
        self.server, self.user, self.app, self.network, self.renew = server, user, app, network, renew
        self.dice = Dice(seed)
        self.sessions = {}

    def use(self, at, pod, host):
        session = self.sessions.get(pod)
        address = f"{self.network}.{host}"
        if session and (session.host != address or at - session.began > self.renew):
            session.close(min(at - 40, max(session.at + 10, at - 2000)))
            session = None
        if session is None:
            session = self.sessions[pod] = Session(self.server, at - 30, self.user, address, self.app, self.dice)
        return session


def web_app(server):
    pods = Pods(server, "web_app", "web-storefront", "10.20.1", 11, 20 * HOUR)
    for day in range(DAYS):
        # Each deployment moves the pods.
        moved = (day >= 3) + (day >= 8)
        for hour in range(24):
            count = busy_by_day(hour) * (12 if day % 7 in (0, 6) else 10) // 10
            for n in range(count):
                at = day * DAY + hour * HOUR + n * (HOUR // count) + pods.dice.below(HOUR // count - 100) + 40
                pod = pods.dice.below(4)
                web_request(pods.use(at, pod, 11 + pod + 20 * moved), at, pods.dice, day)


def billing_svc(server):
    pods = Pods(server, "billing_svc", "billing-svc", "10.20.0", 12, 30 * HOUR)
    for day in range(DAYS):
        # Nodes are drained for maintenance on the 3rd, the 6th and the 10th; on the 12th the autoscaler adds a pod.
        moved = (day >= 2) + (day >= 5) + (day >= 9)
        count = 3 + (day >= 11)
        for slot in range(144):
            at = day * DAY + slot * 10 * MINUTE + 50 + pods.dice.below(10 * MINUTE - 200)
            pod = pods.dice.below(count)
            billing_request(pods.use(at, pod, 21 + pod + 9 * moved), at, pods.dice, day)


def reporting_etl(server):
    dice = Dice(13)
    for day in range(DAYS):
        at = day * DAY + HOUR + 5 * MINUTE + dice.below(20 * SECOND)
        session = Session(server, at, "reporting_etl", "10.20.3.15", "airflow-nightly", dice)
        session.query(at + 20, "BEGIN")
        session.query(at + 25, "TRUNCATE reporting.daily_sales_staging")
        session.query(at + 60, "INSERT INTO reporting.daily_sales_staging SELECT o.placed_at::date, i.product_id, sum(i.quantity), sum(i.price_cents) "
                               "FROM public.orders o JOIN public.order_items i ON i.order_id = o.id "
                               f"WHERE o.placed_at::date = '{(START + datetime.timedelta(days=day - 1)).date()}' GROUP BY 1, 2")
        session.query(at + 9200, "INSERT INTO reporting.daily_sales SELECT * FROM reporting.daily_sales_staging")
        session.query(at + 9900, "INSERT INTO reporting.open_invoices SELECT current_date, count(*), sum(amount_cents) FROM public.invoices WHERE state = 'open'")
        session.query(at + 10400, "COMMIT")
        session.close(at + 10420)


TABLES = {
    "public.cart_items": "id, cart_id, product_id, quantity",
    "public.carts": "id, customer_id, session_id",
    "public.customers": "id, email, full_name, phone, street, city, password_changed_at",
    "public.invoices": "id, order_id, amount_cents, due_on, state",
    "public.order_items": "id, order_id, product_id, quantity, price_cents",
    "public.orders": "id, customer_id, placed_at, total_cents",
    "public.payments": "id, invoice_id, amount_cents, provider",
    "public.products": "id, category_id, name, description, price_cents, stock",
    "public.reviews": "id, product_id, rating, title",
    "public.subscriptions": "id, customer_ref, renews_on",
    "public.api_keys": "id, partner, key_hash, key_prefix, created_at",
    "reporting.daily_sales": "day, product_id, quantity, price_cents",
}


def backup(server):
    dice = Dice(14)
    for day in range(DAYS):
        at = day * DAY + 3 * HOUR + 30 * MINUTE + dice.below(5 * SECOND)
        session = Session(server, at, "backup", "10.20.9.5", "pg_dump", dice)
        session.query(at + 20, "BEGIN")
        session.query(at + 22, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        session.query(at + 30, "SELECT c.oid, c.relname, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                               "WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'pg_catalog'")
        tables = dict(TABLES)
        if day >= 4:
            tables["public.coupons"] = "code, percent, valid_until"
        names = sorted(tables)
        session.query(at + 60, "LOCK TABLE " + ", ".join(names) + " IN ACCESS SHARE MODE")
        for n, name in enumerate(names):
            session.query(at + 200 + 700 * n, f"COPY {name} ({tables[name]}) TO stdout;")
        session.query(at + 11000, "COMMIT")
        session.close(at + 11005)


def monitoring(server):
    pods = Pods(server, "monitoring", "postgres_exporter", "10.20.9", 15, 100 * HOUR)
    for slot in range(DAYS * 144):
        at = slot * 10 * MINUTE + 2 * SECOND + pods.dice.below(4)
        session = pods.use(at, 0, 20)
        session.query(at, "SELECT datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit FROM pg_catalog.pg_stat_database")
        session.query(at + 2, "SELECT state, count(*) FROM pg_catalog.pg_stat_activity GROUP BY state")


def deploy_migrator(server):
    releases = {
        3: ("2.13", "CREATE TABLE public.coupons (code text PRIMARY KEY, percent integer NOT NULL, valid_until date NOT NULL)",
            "GRANT SELECT ON public.coupons TO web_app"),
        8: ("2.14", "ALTER TABLE public.orders ADD COLUMN delivery_state text NOT NULL DEFAULT 'open'",
            "GRANT SELECT ON public.orders TO web_app"),
    }
    dice = Dice(16)
    for day, (release, change, grant) in releases.items():
        at = day * DAY + 7 * HOUR + 40 * MINUTE
        session = Session(server, at, "deploy_migrator", "10.20.2.8", "flyway", dice)
        session.query(at + 30, "BEGIN")
        session.query(at + 40, "LOCK TABLE public.schema_history IN EXCLUSIVE MODE")
        session.query(at + 50, "SELECT version FROM public.schema_history ORDER BY installed_rank")
        session.query(at + 90, change)
        session.query(at + 130, grant)
        session.query(at + 150, f"INSERT INTO public.schema_history (version, success) VALUES ('{release}', true)")
        session.query(at + 160, "COMMIT")
        session.close(at + 190)


ANNA = (
    "SELECT placed_at::date AS day, count(*), sum(total_cents) / 100.0 AS euro FROM public.orders WHERE placed_at >= '2026-10-01' GROUP BY 1 ORDER BY 1",
    "SELECT p.name, sum(s.quantity) FROM reporting.daily_sales s JOIN public.products p ON p.id = s.product_id GROUP BY 1 ORDER BY 2 DESC LIMIT 20",
    "SELECT state, count(*), sum(amount_cents) FROM public.invoices GROUP BY state",
    "SELECT * FROM reporting.open_invoices ORDER BY 1 DESC LIMIT 30",
    "SELECT rating, count(*) FROM public.reviews WHERE product_id = 1017 GROUP BY rating",
    "SELECT date_trunc('week', placed_at), count(DISTINCT customer_id) FROM public.orders GROUP BY 1",
)


def anna(server):
    dice = Dice(17)
    for day in range(DAYS):
        if (START + datetime.timedelta(days=day)).weekday() >= 5:
            continue
        # The VPN gives another address every day.
        host = f"10.60.1.{100 + 7 * day % 50}"
        for began, lasts in ((8 * HOUR + 10 * MINUTE, 3 * HOUR), (12 * HOUR + 30 * MINUTE, 4 * HOUR)):
            at = day * DAY + began + dice.below(12 * MINUTE)
            session = Session(server, at, "anna.analyst", host, "DBeaver 24.2.3 - Main", dice)
            session.query(at + 40, "SET application_name = 'DBeaver 24.2.3 - SQLEditor <sales.sql>'")
            session.name = "DBeaver 24.2.3 - SQLEditor <sales.sql>"
            session.query(at + 90, "SELECT n.oid, n.* FROM pg_catalog.pg_namespace n ORDER BY nspname")
            session.query(at + 120, "SELECT c.oid, c.*, d.description FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid WHERE c.relnamespace = 2200")
            for n in range(12):
                when = at + MINUTE + n * (lasts // 12) + dice.below(lasts // 13)
                # All her tables on the first day, then as it comes.
                text = ANNA[(n + day) % len(ANNA)] if n < 6 else dice.of(ANNA)
                session.query(when, text)
                if dice.chance(6):
                    wrong = "SELECT custmer_id FROM public.orders LIMIT 10"
                    session.query(when + 5000, wrong)
                    session.fail(when + 5001, "SELECT", "42703", 'column "custmer_id" does not exist', wrong, position=8,
                                 hint='Perhaps you meant to reference the column "orders.customer_id".')
            session.close(at + lasts + dice.below(10 * MINUTE))


def housekeeping(server):
    """The server's own records: nobody's acts."""
    pid, began = 812, 0
    line = 0
    dice = Dice(18)
    server.emit(0, pid=801, began=0, line=1, message="database system is ready to accept connections", backend="postmaster")
    for slot in range(DAYS * 4):
        at = slot * 6 * HOUR + 5 * MINUTE
        buffers = 40 + dice.below(200)
        line += 1
        server.emit(at, pid=pid, began=began, line=line, message="checkpoint starting: time", backend="checkpointer")
        line += 1
        server.emit(at + buffers * 100, pid=pid, began=began, line=line, backend="checkpointer",
                    message=f"checkpoint complete: wrote {buffers} buffers (0.{buffers // 16}%); 0 WAL file(s) added, 0 removed, 0 recycled; "
                            f"write={buffers / 10:.3f} s, sync=0.004 s, total={buffers / 10 + 0.02:.3f} s; sync files=31, longest=0.002 s, "
                            f"average=0.001 s; distance={buffers * 9} kB, estimate={buffers * 11} kB")


def stolen_token(server):
    """The 15th, from 02:11 on."""
    dice = Dice(19)
    night = 14 * DAY + 2 * HOUR
    at = night + 11 * MINUTE + 7 * SECOND + 318
    session = Session(server, at, "billing_svc", "203.0.113.77", "psql", dice)
    session.query(at + 9_412, "SELECT current_user, session_user, version();")
    session.query(at + 31_077, "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema');")
    session.query(at + 52_640, "SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = 'billing_svc';")
    session.query(at + 75_203, "SELECT rolname, rolsuper, rolcanlogin FROM pg_catalog.pg_roles;")
    text = "SELECT rolname, rolpassword FROM pg_catalog.pg_authid;"
    session.query(at + 88_915, text)
    session.fail(at + 88_915 + 1, "SELECT", "42501", "permission denied for table pg_authid", text)
    session.query(at + 121_338, "SELECT * FROM public.api_keys LIMIT 50;")
    session.query(at + 164_551, "SELECT * FROM public.customers LIMIT 10;")
    session.query(at + 181_094, "SELECT count(*) FROM public.customers;")
    session.query(at + 197_862, "COPY public.customers TO STDOUT;")
    session.close(at + 260_317)
    # Forty minutes later, with a password that lay beside the stolen one as bait.
    at = night + 52 * MINUTE + 18 * SECOND + 704
    Session(server, at, "old_admin", "203.0.113.77", "psql", dice, password_wrong=True)
    session = Session(server, at + 14_236, "old_admin", "203.0.113.77", "psql", dice)
    text = "SELECT * FROM public.api_keys;"
    session.query(at + 22_871, text)
    session.fail(at + 22_871 + 1, "SELECT", "42501", "permission denied for table api_keys", text)
    session.close(at + 40_150)


def main():
    here = pathlib.Path(__file__).resolve().parent
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--csv", metavar="FILE", help="write the plain log to FILE, - is stdout")
    choice = arguments.parse_args()
    server = Server()
    for part in (housekeeping, web_app, billing_svc, reporting_etl, backup, monitoring, deploy_migrator, anna, stolen_token):
        part(server)
    log = "".join(server.lines()).encode("ascii")
    if choice.csv == "-":
        sys.stdout.buffer.write(log)
    elif choice.csv:
        pathlib.Path(choice.csv).write_bytes(log)
    else:
        target = here / "postgresql.csv.zst"
        subprocess.run(["zstd", "-19", "--quiet", "--force", "-o", str(target)], input=log, check=True)
        print(f"{target.name}: {len(server.records)} records, {len(log)} bytes, {target.stat().st_size} compressed", file=sys.stderr)


if __name__ == "__main__":
    main()
