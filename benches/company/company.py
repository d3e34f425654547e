#!/usr/bin/env python3
"""A made-up company whose databases write logs: an independent judge of a detector that did not see how it was made.

    company.py --seed 1 --tokens 200 --days 28 --attacks 0.4 --drip 0.3 --format csv --out DIR

writes DIR/db.log (real format, see logs.py) and DIR/truth.jsonl: a line for the company, each token (class, networks and scopes it legitimately uses),
each benign change, each attack (token, scenario, strength, times of its events). The same arguments give the same bytes.

What is simplified: volumes are thinned (a busy service sends some 10 to 400 statements a day here); row counts are not logged, as on real servers.
"""

import argparse
import datetime
import json
import math
import os
import random
import re

import attacks
import behaviour
import sql
from logs import DENIED, DUPLICATE, NO_TABLE, SYNTAX, TIMEOUT, UTC, Call, Log, Session
from places import DAY, TRAVEL, Places

CLASSES = {  # share of the tokens
    "web": 22,
    "pooled": 5,
    "lambda": 7,
    "batch": 12,
    "bi": 5,
    "analyst": 14,
    "developer": 9,
    "dba": 3,
    "backup": 2,
    "monitor": 4,
    "migration": 3,
    "ci": 3,
    "shared": 3,
    "dormant": 4,
    "vendor": 3,
    "cdc": 1,
}
PEOPLE = ("analyst", "developer", "dba", "shared")
DRIVERS = [
    ("PostgreSQL JDBC Driver", True, "hibernate"),
    ("", False, "django"),
    ("", False, "sqlalchemy"),
    ("{name}", True, "sqlc"),
    ("{name}-{pod}", True, "hibernate"),
    ("node-postgres", True, "plain"),
    ("bin/rails", True, "rails"),
    ("puma: cluster worker {digit}: {pid} [{name}]", True, "rails"),
    ("", True, "plain"),
    ("{name}/{version}", True, "hibernate"),
]
TOOLS = [
    ("DBeaver 24.{minor}.{digit} - SQLEditor <Script-{digit}.sql>", "dbeaver", True),
    ("DataGrip 2026.{digit}", "datagrip", True),
    ("pgAdmin 4 - CONN:{conn}", "pgadmin", False),
    ("psql", "psql", False),
    ("", "", False),
    ("Tableau Desktop 2025.{digit}", "bi", False),
    ("Microsoft Excel", "", False),
    ("R/RPostgres", "", False),
]
BI = ["Metabase v0.5{digit}.{minor} [{conn}]", "Looker", "Tableau Server 2025.{digit}", "Apache Superset", "Mode", "PowerBI Gateway"]


class Token:
    """One account. Everything that its class needs hangs on it as plain attributes."""

    def __init__(self, name, cls):
        self.name, self.cls, self.networks, self.used, self.roams, self.away, self.plan = name, cls, set(), set(), False, set(), {}
        self.attack, self.born, self.dies, self.active, self.broken = None, 0, 10**9, set(), None


class Company(Places):
    def __init__(self, seed, tokens, days, form, out, start=None):
        rng = self.rng = random.Random("company %d" % seed)
        self.days, self.form = days, form
        self.start = datetime.datetime(2026, 2, 2, tzinfo=UTC) + datetime.timedelta(days=7 * (seed * 5 % 30)) if start is None else start
        self.base = self.start.timestamp()
        os.makedirs(out, exist_ok=True)
        self.log = Log(os.path.join(out, "db.log"), form, rng)
        self.truth = []
        self.schemas = rng.sample(list(sql.DOMAINS), 11)
        self.schemas += [s for s in ("dwh", "auth") if s not in self.schemas]
        self.tables = sql.make_tables(rng, self.schemas)
        self.databases = {s: rng.choice(("shop", "erp", "core")) if s != "dwh" else "dwh" for s in self.schemas}
        self.octets = rng.sample(range(11, 250), 200)
        self.clusters = [self.cluster() for _ in range(rng.randint(2, 4))]
        self.subnets = ["172.31.%d" % b for b in rng.sample(range(0, 240, 16), 3)]
        self.vpns = ["10.8.%d" % (16 * i) for i in range(rng.randint(1, 2))]
        self.offices = ["192.168.%d" % b for b in rng.sample(range(4, 200, 4), rng.randint(1, 3))]
        self.jumps = ["10.%d.0.%d" % (self.octets.pop(), rng.randint(5, 60)) for _ in range(2)]
        self.direct = rng.uniform(0.05, 0.4)  # share of people who connect without VPN
        self.surge, self.oncall = {}, {}
        self.tokens = []
        for cls in self.mix(tokens):
            self.tokens.append(self.make(cls))
        self.changes()

    # --- making
    def mix(self, n):
        """Classes of n tokens by their shares, each at least once where there is room."""
        total, out = sum(CLASSES.values()), []
        for c, share in CLASSES.items():
            out += [c] * max(1, round(n * share / total))
        self.rng.shuffle(out)
        return (out + ["web"] * n)[:n]

    def fill(self, text, k):
        r = self.rng
        return text.format(
            name=k.name.replace("_", "-"),
            pod="%x-%s" % (r.getrandbits(36), "".join(r.choices("bcdfghjklmnpqrstvwxz2456789", k=5))),
            digit=r.randint(0, 9),
            minor=r.randint(0, 19),
            pid=r.randint(10, 999),
            conn=r.randint(10**6, 10**7),
            version="%d.%d.%d" % (k.version, r.randint(0, 2), 0),
        )

    def make(self, cls):
        r, i = self.rng, len(self.tokens)
        k = Token("%s_%s%d" % (r.choice(("svc", "app", "usr", "prod", "x")), {"analyst": "a", "developer": "d"}.get(cls, cls[:3]), i), cls)
        home = r.choice(self.schemas)
        k.own = [home] + ([r.choice(self.schemas)] if r.random() < 0.35 else [])
        if cls in ("bi", "analyst"):
            k.own = ["dwh"] + r.sample(self.schemas, r.choice((0, 1, 1, 2)))
        k.database, k.version = self.databases[k.own[0]], r.randint(1, 9)
        pool = [t for s in k.own for t in self.tables[s]]
        k.reach = [
            t
            for t in pool
            if cls in ("backup", "dba") or not t.sensitive or r.random() < (0.4 if cls in ("web", "pooled", "lambda", "batch") else 0.08)
        ] or pool  # what it reads in its daily work
        if cls not in ("backup", "dba"):
            k.reach = r.sample(k.reach, max(2, int(len(k.reach) * r.uniform(0.4, 1))))
        k.rate = min(400, r.lognormvariate(math.log(38), 0.9))
        k.app, k.extended, k.style = r.choice(DRIVERS)
        k.tool = ""
        k.tz, k.begin, k.end = r.choices(("berlin", "york", "bangalore"), (6, 3, 2))[0], r.gauss(8.8, 0.9), r.gauss(17.6, 1.1)
        k.office, k.hosts, k.cluster = r.choice(self.offices), None, r.choice(self.clusters)
        k.profile = r.choice(("always", "consumer", "office"))
        k.human = cls in PEOPLE or (cls == "dormant" and r.random() < 0.6)
        if (
            not k.human
            and cls in ("pooled", "bi", "monitor", "batch", "backup", "cdc", "migration", "dormant")
            and not (cls in ("batch", "migration") and r.random() < 0.5)
        ):
            net = "10.%d.%d" % (self.octets[i % 60], r.randint(0, 20))
            k.hosts = ["%s.%d" % (net, r.randint(4, 250)) for _ in range(r.choice((1, 1, 2, 3)))]
        if k.human:
            k.app, k.tool, k.extended = r.choice(TOOLS if cls != "dba" else [t for t in TOOLS if t[1] in ("psql", "pgadmin", "dbeaver")])
            k.app, k.mode = (
                self.fill(k.app, k),
                "direct" if r.random() < self.direct else r.choice(("vpn", "vpn", "office", "jump" if cls in ("developer", "dba") else "vpn")),
            )
            k.presence = {"analyst": 0.75, "developer": 0.35, "dba": 0.8, "shared": 0.8, "dormant": 0}[cls] * r.uniform(0.6, 1.2)
            self.new_home(k)
            k.ipv6, k.hops = r.random() < 0.35, "%d" % r.randint(20, 250)
        if cls == "vendor":
            k.hosts = ["%d.%d.%d.%d" % (r.choice((62, 80, 185, 194, 203)), r.randint(1, 250), r.randint(1, 250), r.randint(4, 250))]
        if cls in ("batch", "backup", "monitor", "migration", "bi", "vendor", "cdc", "ci"):
            k.app = self.fill(
                {
                    "batch": r.choice(("airflow", "", "dbt", "pentaho", "{name}")),
                    "backup": "pg_dump",
                    "monitor": r.choice(("postgres_exporter", "datadog-agent", "zabbix")),
                    "bi": r.choice(BI),
                    "migration": r.choice(("flyway", "", "PostgreSQL JDBC Driver")),
                    "vendor": r.choice(("", "fivetran", "SAP DS")),
                    "cdc": "Debezium Streaming",
                    "ci": "",
                }[cls],
                k,
            )
            k.extended = cls in ("migration", "cdc") and self.form != "mariadb"
        k.first_use = r.randint(0, 12) if cls == "dormant" and r.random() < 0.75 else None
        k.shapes = [self.shape(k) for _ in range({"lambda": r.randint(2, 9), "monitor": 1, "vendor": r.randint(2, 6)}.get(cls, r.randint(10, 45)))]
        if cls == "monitor":
            k.shapes = r.sample(sql.catalog_shapes("monitor"), r.randint(2, 5))
        if cls == "backup":
            k.shapes = [sql.Shape("COPY %s.%s (%s) TO stdout;" % (*t.key, ", ".join(t.columns)), "copy", [t], 20000) for t in k.reach]
        if cls == "migration":
            k.shapes = [
                sql.Shape(
                    "SELECT version, checksum FROM %s.flyway_schema_history ORDER BY installed_rank" % home,
                    "select",
                    [(home, "flyway_schema_history")],
                )
            ]
        if cls in ("batch", "shared", "dormant", "vendor"):
            k.jobs = []
            for _ in range(r.randint(1, 4) if cls == "batch" else 1):
                when = r.choices(("hourly", "daily", "weekly", "monthly", "month_end", "workdays"), (2, 8, 3, 2, 2, 3))[0]
                k.jobs.append(
                    (
                        when,
                        r.uniform(0, 23.5) if r.random() < 0.4 else r.uniform(0, 5),
                        r.randint(0, 6),
                        sql.job_shapes(r, k.reach, self.tables["dwh"] if r.random() < 0.5 else k.reach, r.randint(2, 9)),
                    )
                )
        if self.days > 12 and r.random() < 0.07 and cls != "dormant":
            k.born = r.randint(3, self.days - 3)
            self.note(k, "new token", k.born)
        elif r.random() < 0.04:
            k.dies = r.randint(self.days // 3, self.days)
            self.note(k, "retired", k.dies)
        return k

    def shape(self, k, tables=None):
        r, tables = self.rng, tables or k.reach
        if k.cls in ("bi", "analyst", "shared"):
            return sql.report_shape(r, tables, "tool" if k.cls == "bi" else "hand")
        if k.cls in ("developer", "dba", "dormant"):
            return sql.look_shape(r, r.choice(tables))
        if k.cls in ("vendor", "batch", "cdc"):
            return sql.job_shapes(r, tables, tables, 1)[0] if k.cls == "batch" else sql.look_shape(r, r.choice(tables))
        return sql.app_shape(
            r,
            tables,
            k.style,
            "%s%s" % (r.choice(("Get", "List", "Find", "Sync", "Put")), r.choice("ABCDEFGHKLM") + r.choice("aeiou") + r.choice("ntrl")),
        )

    def note(self, k, kind, day, until=None):
        self.truth.append({"type": "benign", "token": k.name if k else None, "kind": kind, "day": day, "until": until})

    # --- what changes without anybody being evil
    def changes(self):
        """Plans benign changes: of the company as a whole, and of each token at rates that depend on its class."""
        r, n = self.rng, self.days

        def days(mean):  # days on which something happens that happens every `mean` days
            return [d for d in range(n) if r.random() < 1 / mean]

        def at(k, day, kind, act):
            if k.born <= day < k.dies:
                k.plan.setdefault(day, []).append(act)
                self.note(k, kind, day)

        for k in self.tokens:
            service = k.cls in ("web", "pooled", "lambda")
            for d in days(r.choice((3, 7, 10, 14, 30)) if service else 10**9):
                at(k, d, "release", lambda k=k: self.release(k))
            for d in days(60 if service or k.cls == "bi" else 45 if k.human else 10**9):
                at(k, d, "driver or tool upgrade", lambda k=k: self.upgrade(k))
            for d in days(35 if k.hosts and k.cls != "vendor" else 60 if k.cls == "vendor" else 10**9):
                at(k, d, "host replaced", lambda k=k: self.rehost(k))
            for d in days(40 if k.cls == "batch" else 25 if k.cls == "bi" else 10**9):
                at(
                    k,
                    d,
                    "new job or report",
                    lambda k=k: (
                        k.jobs.append(
                            (
                                "daily",
                                r.uniform(0, 23),
                                0,
                                sql.job_shapes(r, k.reach + [self.plain(r.choice(self.schemas)), self.plain(r.choice(self.schemas))], k.reach, 3),
                            )
                        )
                        if k.cls == "batch"
                        else k.reach.extend(self.plain(s) for s in r.sample(self.schemas, 2))
                    ),
                )
            for d in days(40 if service or k.cls in ("batch", "cdc") else 10**9):
                at(k, d, "backfill or rush", lambda k=k, d=d: self.surge.update({(k.name, d): r.uniform(3, 12)}))
            for d in days(60 if service or k.cls in ("batch", "vendor") else 10**9):
                at(
                    k,
                    d,
                    "missing grant or table",
                    lambda k=k: setattr(k, "broken", (r.choice((DENIED, NO_TABLE)), r.choice(k.reach).key) if r.random() < 0.7 else (TIMEOUT, None)),
                )
            for d in days(75):
                at(k, d, "password rotated", lambda k=k, d=d: self.stale_password(k, d))
            if k.human:
                for d in days(40):
                    length = r.choice((2, 5, 5, 10, 12))
                    k.away |= set(range(d, d + length))
                    self.note(k, "holiday", d, d + length)
                for d in days(45):
                    at(k, d, "travel", lambda k=k, d=d: setattr(k, "trip", (d + r.randint(2, 5), "%s.%d" % (r.choice(TRAVEL), r.randint(0, 255)))))
                for d in days(r.choice((4, 12, 30))):
                    at(k, d, "new home address", lambda k=k: self.new_home(k))
        for d in days(14):  # an incident: people on call look by hand, into whatever is broken, whatever the hour
            broken = r.choice(self.schemas)
            staff = [k for k in self.tokens if k.cls in ("developer", "dba") and k.born <= d < k.dies]
            self.oncall[d] = (broken, r.sample(staff, min(len(staff), r.randint(1, 4))), r.uniform(0, 23))
            for k in self.oncall[d][1]:
                self.note(k, "on-call incident", d)
            for k in self.tokens:
                if broken in k.own and k.cls in ("web", "pooled", "lambda") and k.born <= d < k.dies:
                    at(
                        k,
                        d,
                        "retry storm",
                        lambda k=k, d=d: (self.surge.update({(k.name, d): r.uniform(2, 8)}), setattr(k, "broken", (TIMEOUT, None))),
                    )
        for d in days(30):  # node pools are replaced: new subnets for a whole cluster
            c = r.choice(self.clusters)
            for k in self.tokens:
                if k.cluster is c and k.cls in ("web", "batch", "migration") and not k.hosts:
                    at(k, d, "cluster moved", lambda c=c: c.update(nodes=r.sample(range(256), len(c["nodes"]))) if r.random() < 0.5 else None)
        for d in days(45):  # fail-over: everybody reconnects, a part from the other site
            for k in self.tokens:
                if k.cls in ("web", "batch") and not k.hosts and r.random() < 0.3:
                    at(k, d, "failover", lambda k=k: setattr(k, "cluster", self.other_site()))
        for d in days(40):  # reorganisation: people change teams
            for k in self.tokens:
                if k.cls in ("analyst", "developer") and r.random() < 0.25:
                    at(k, d, "reorganisation", lambda k=k: k.reach.extend(self.plain(s) for s in r.sample(self.schemas, 2) * 2))
        for what, act in (
            ("vpn moved", self.new_vpn),
            ("schema migrated", self.new_tables),
            ("services to the cloud", None),
        ):  # one large project at a time
            if r.random() < n / 110:
                d, part = r.randint(5, n - 3), r.uniform(0.2, 0.8)
                for k in self.tokens:
                    if what == "vpn moved" and k.human and k.mode == "vpn":
                        at(k, d, what, act)
                    elif what == "schema migrated" and self.schemas[0] in k.own and k.cls not in ("monitor", "backup"):
                        at(k, d + r.randint(0, 2), what, lambda k=k: self.new_tables(k))
                    elif what == "services to the cloud" and k.hosts and k.cls in ("batch", "pooled", "bi", "cdc") and r.random() < part:
                        at(k, min(n - 1, d + r.randint(0, 9)), what, lambda k=k: (setattr(k, "hosts", None), setattr(k, "cluster", self.clusters[0])))

    def plain(self, schema):
        """A table that people may come to use; hardly ever one with secrets, which they may not read."""
        t = self.rng.choice(self.tables[schema])
        return t if not t.sensitive or self.rng.random() < 0.08 else self.rng.choice([t for t in self.tables[schema] if not t.sensitive])

    def release(self, k):
        r, k.version = self.rng, k.version + 1
        k.pods = None
        for _ in range(r.choice((0, 0, 1, 1, 2, 4))):
            k.shapes[r.randrange(len(k.shapes))] = self.shape(k)
        if r.random() < 0.12:  # a new feature: tables that it did not touch before
            k.reach = k.reach + [self.plain(r.choice(k.own if r.random() < 0.7 else self.schemas))]
            k.shapes.insert(r.randrange(len(k.shapes)), self.shape(k, k.reach[-1:]))

    def upgrade(self, k):
        r = self.rng
        if k.human:
            app, tool, extended = r.choice(TOOLS)
            if k.cls == "dba" or r.random() < 0.7:  # the same tool, newer
                app, tool, extended = [t for t in TOOLS if t[1] == k.tool][0]
            k.app, k.tool, k.extended = self.fill(app, k), tool, extended
        elif k.cls == "bi":
            k.app = re.sub(r"\d", lambda m: str((int(m.group()) + 1) % 10), k.app)
        elif r.random() < 0.3:  # it names itself otherwise; the language stays, a new library may write other statements
            k.app = r.choice([d[0] for d in DRIVERS if d[1] == k.extended and (d[2] == k.style or d[0].startswith("{"))])
            k.shapes = [self.shape(k) if r.random() < 0.3 else s for s in k.shapes]

    def new_tables(self, k):
        """The tables of a schema move to a new one; statements follow."""
        old, new = self.schemas[0], self.schemas[0] + "_v2"
        if new not in self.tables:
            self.tables[new] = [sql.Table(new, t.name, t.columns, t.sensitive) for t in self.tables[old]]
            self.databases[new] = self.databases[old]
        k.reach = [next((t for t in self.tables[new] if t.name == o.name), o) if o.schema == old else o for o in k.reach]
        for s in k.shapes:
            s.pieces = [p.replace('"%s".' % old, '"%s".' % new).replace(" %s." % old, " %s." % new) for p in s.pieces]
            s.tables = [(new if a == old else a, b) for a, b in s.tables]

    def stale_password(self, k, day):
        """Some rotations leave a client with the old password behind, that tries on for a while."""
        r = self.rng
        if r.random() < 0.4:
            t = self.base + day * DAY + r.uniform(6, 16) * 3600
            for _ in range(r.choice((1, 1, 2, 3)) if k.human else r.choice((1, 1, 2, 2, 3, 5, 12, 40))):
                t += r.uniform(2, 60)
                where = self.address(k, day)
                k.networks.add(where[1])
                self.log.add(Session(t, k.name, where[0], "", k.database, [], login=False))

    # --- sessions
    def visit(self, k, where, times, shapes, app=None, extended=None, codes=(), mark=None, database=None):
        """One session of token k from `where` (address, network): shape i at times[i]. `mark` is the attack that it belongs to."""
        r, calls = self.rng, []
        extended = k.extended if extended is None else extended
        for i, (t, s) in enumerate(zip(times, shapes)):
            text, parameters = sql.render(r, s, extended)
            text = self.dialect(text) if self.form == "mariadb" else text
            code = codes[i] if i < len(codes) else self.failure(k, s) if mark is None and not k.human else None
            if code in (DENIED, NO_TABLE) and (not s.tables or s.tables[0][0] in ("pg_catalog", "information_schema")):
                code = None
            text = text.replace(" ", " ,", 1) if code == SYNTAX and mark is None else text
            calls.append(Call(t, text, s.op, s.tables, s.ms * r.lognormvariate(0, 0.6), code, parameters, mark))
            if mark is None:
                k.used.update((s.op, *table) for table in s.tables)
        app = self.fill(k.app, k) if app is None else app
        self.log.add(Session(times[0] - 0.05, k.name, where[0], app, database or k.database, calls, extended))
        if mark is None:
            k.active.add(int((times[0] - self.base) // DAY))
            k.roams = k.roams or where[1] is None
            k.networks.add(where[1])
        else:
            mark["events"] += [round(times[0] - 0.05, 3)] + [round(t, 3) for t in times]
            mark["addresses"].add(where[0])

    @staticmethod
    def dialect(text):
        text = re.sub(
            r"COPY \((.*)\) TO STDOUT.*",
            r"\1",
            re.sub(r"^COPY (\S+) .*TO stdout;?$", r"SELECT /*!40001 SQL_NO_CACHE */ * FROM \1", text, flags=re.S),
            flags=re.S,
        )
        text = re.sub(r" ON CONFLICT \(id\) DO UPDATE SET (\w+) = EXCLUDED.\w+", r" ON DUPLICATE KEY UPDATE \1 = VALUES(\1)", text).replace(
            " RETURNING id", ""
        )
        return re.sub(r"(FROM|JOIN) pg_\w+(\.pg_\w+)?", r"\1 information_schema.TABLES", text)

    def draw(self, k, n):
        """n statements by their usual shares: few are frequent, many are rare."""
        return self.rng.choices(k.shapes, [1 / (i + 1) ** 1.1 for i in range(len(k.shapes))], k=n)

    def spread(self, t, n, gap):
        out = []
        for _ in range(n):
            t += self.rng.expovariate(1 / gap)
            out.append(t)
        return out or [t]

    def failure(self, k, s):
        """The error that a statement of a machine meets: today's trouble of its token, on the table concerned, or a rare ordinary one."""
        code, table = k.broken or (None, None)
        if code and (table is None or table in s.tables) and self.rng.random() < 0.4:
            return code
        return DUPLICATE if s.op == "insert" and self.rng.random() < 0.01 else None

    def run(self, attack_share, drip):
        plans = attacks.plan(self, attack_share, drip)
        for day in range(self.days):
            self.log.flush(self.base + (day - 1) * DAY)
            for k in self.tokens:
                if not k.born <= day < k.dies:
                    continue
                k.broken = None
                for act in k.plan.get(day, ()):
                    act()
                behaviour.DAYS[k.cls](self, k, day)
            if day in self.oncall:
                behaviour.incident(self, day)
            for p in plans:
                attacks.act(self, p, day)
        self.log.close()
        self.truth += [
            {"type": "attack", **{a: sorted(b) if isinstance(b, set) else b for a, b in p.items() if a not in ("k", "steps", "rng")}}
            for p in plans
            if p["events"]
        ]
        for k in self.tokens:
            if not k.used:  # never needed in these weeks: its owner knows all the same what it is for
                k.networks.add(self.address(k, 0)[1])
                k.used.update((s.op, *t) for s in k.shapes for t in s.tables)
            self.truth.append(
                {
                    "type": "token",
                    "token": k.name,
                    "class": k.cls,
                    "born": k.born,
                    "dies": min(k.dies, self.days),
                    "active": len(k.active),
                    "networks": None if k.roams else sorted(n for n in k.networks if n),
                    "scope": sorted({"%s %s.%s" % u for u in k.used}),
                }
            )
        return plans


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind, default in (
        ("seed", int, 1),
        ("tokens", int, 200),
        ("days", int, 28),
        ("attacks", float, 0.0),
        ("drip", float, 0.3),
        ("format", str, "csv"),
        ("out", str, "out"),
    ):
        p.add_argument("--" + name, type=kind, default=default)
    a = p.parse_args()
    if os.path.exists(os.path.join(a.out, "truth.jsonl")):
        os.remove(os.path.join(a.out, "truth.jsonl"))  # written last: a folder without it is unfinished
    c = Company(a.seed, a.tokens, a.days, a.format, a.out)
    c.run(a.attacks, a.drip)
    with open(os.path.join(a.out, "truth.jsonl"), "w", encoding="utf-8") as f:
        f.write(json.dumps({"type": "company", "seed": a.seed, "tokens": a.tokens, "days": a.days, "start": c.base, "records": c.log.records}) + "\n")
        for line in c.truth:
            f.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
