"""Attacks on tokens of the company: what intruders and insiders do with a credential, noisy, at medium care, or carefully.

A plan names a token, a scenario, a strength and the days; `act` carries out one day of it. With drip, the same intruder comes a little on each of 8 to 14
days before the burst, so that a detector which learns may take him for usual.
"""

import random

import sql

PEOPLE = ("analyst", "developer", "dba", "shared")
APPS = ("web", "pooled", "lambda")
HOSTING = ["185.220", "45.155", "193.32", "51.81", "95.216", "167.99", "89.248", "194.165"]
CLOUD = ["3.121", "18.196", "34.90", "20.52", "52.59", "13.40"]
CONSUMER = ["84.150", "91.12", "73.162", "24.5", "92.40", "176.12", "82.64"]
# scenario: who may be the victim (None: anybody), then for each strength: source, client, statements
SCENARIOS = {
    "stolen, outside": (
        None,
        ("hosting", "script", "catalog star denied"),
        ("cloud", "psql", "catalog own star other"),
        ("consumer", "mimic", "own own own page"),
    ),
    "stolen, neighbour subnet": (
        None,
        ("neighbour", "script", "catalog star denied"),
        ("neighbour", "psql", "own star other"),
        ("neighbour", "mimic", "own own page"),
    ),
    "same host, other client": (
        APPS + ("batch", "bi", "vendor"),
        ("host", "script", "catalog star denied"),
        ("host", "psql", "catalog own other"),
        ("host", "psql", "own page page"),
    ),
    "slow exfiltration": (None, ("host", "mimic", "page page star"), ("host", "mimic", "page page own"), ("host", "mimic", "page own own own")),
    "bulk dump": (None, ("cloud", "pg_dump", "catalog copy copy copy"), ("host", "pg_dump", "copy copy star"), ("host", "mimic", "select_all")),
    "catalog enumeration": (
        APPS + ("batch", "analyst", "vendor", "ci"),
        ("neighbour", "script", "catalog catalog roles"),
        ("host", "psql", "catalog roles own"),
        ("host", "mimic", "catalog own own own"),
    ),
    "sensitive reads": (
        APPS + ("batch", "analyst", "developer", "bi"),
        ("host", "mimic", "sensitive sensitive_star"),
        ("host", "mimic", "sensitive own"),
        ("host", "mimic", "sensitive own own own own"),
    ),
    "insider at odd hours": (PEOPLE[:2], ("own", "mimic", "star copy other"), ("own", "mimic", "own star star"), ("own", "mimic", "own page")),
    "hoarding before leaving": (
        ("analyst", "developer", "shared"),
        ("own", "mimic", "copy star star"),
        ("own", "mimic", "star page own"),
        ("own", "mimic", "own own star"),
    ),
    "privilege escalation": (
        None,
        ("host", "psql", "roles grant role function"),
        ("host", "mimic", "grant role own"),
        ("host", "mimic", "own own own grant"),
    ),
    "destruction": (None, ("cloud", "psql", "drop truncate delete"), ("host", "psql", "delete update own"), ("host", "mimic", "update own own own")),
    "SQL injection": (
        APPS,
        ("app", "mimic", "union error union boolean"),
        ("app", "mimic", "boolean union own own"),
        ("app", "mimic", "boolean own own own own own"),
    ),
    "credential stuffing": (None, ("hosting", "script", "catalog star"), ("hosting", "psql", "own star"), ("spread", "mimic", "own own page")),
    "dormant revived": (
        ("dormant",),
        ("hosting", "script", "catalog star denied"),
        ("cloud", "psql", "own star other"),
        ("own", "mimic", "own page other"),
    ),
    "machine token used by hand": (
        ("ci", "migration", "monitor", "backup", "cdc", "batch"),
        ("vpn", "dbeaver", "catalog star other"),
        ("vpn", "dbeaver", "own star"),
        ("host", "psql", "own page"),
    ),
    "vendor overreach": (("vendor",), ("own", "mimic", "catalog star other"), ("own", "mimic", "other own"), ("own", "mimic", "other own own own")),
}
STRENGTHS = ("noisy", "medium", "careful")
SIZE = {"noisy": (40, 200), "medium": (12, 45), "careful": (5, 16)}


def plan(co, share, drip):
    """Whom it hits: every token at most once, scenarios in turn so that each has its part."""
    r = random.Random("attacks %s" % co.start.timestamp() + co.tokens[0].name + str(len(co.tokens)))
    free = [k for k in co.tokens if k.born + 14 < co.days - 5 and k.dies >= co.days and co.days > 17]
    r.shuffle(free)
    kinds = [(s, w) for s in SCENARIOS for w in range(3)]
    r.shuffle(kinds)
    plans = []
    for i in range(3 * len(kinds)):
        scenario, strength = kinds[i % len(kinds)]
        victims = [
            k for k in free if (SCENARIOS[scenario][0] is None or k.cls in SCENARIOS[scenario][0]) and (k.cls != "dormant" or k.first_use is not None)
        ]
        if len(plans) >= share * len(co.tokens) or not victims:
            continue
        k = victims[0]
        free.remove(k)
        late, dripped, length = r.randint(max(15, k.born + 14), co.days - 2), r.random(), r.randint(8, 14)
        rng = "%s %d" % (k.name, r.getrandbits(60))
        burst = max(late, 23) if dripped < 0.5 else late  # those that could drip burst late in any case, so that runs with and without drip compare
        burst = min(burst, co.days - 2)
        k.attack = {
            "k": k,
            "rng": rng,
            "token": k.name,
            "class": k.cls,
            "scenario": scenario,
            "strength": STRENGTHS[strength],
            "drip": dripped < drip,
            "burst_day": burst,
            "burst": None,
            "first_day": max(burst - length, 14) if dripped < drip else burst,
            "last_day": min(co.days - 1, burst + (r.randint(1, 3) if strength == 2 else 0)),
            "events": [],
            "addresses": set(),
            "steps": {},
        }
        plans.append(k.attack)
    return plans


def act(co, p, day):
    """One day of an attack, with random numbers of its own: the company's life is the same without it."""
    if not p["first_day"] <= day <= p["last_day"]:
        return
    kept, co.rng = co.rng, random.Random("%s %d" % (p["rng"], day))
    k, r = p["k"], co.rng
    level = STRENGTHS.index(p["strength"])
    source, client, words = SCENARIOS[p["scenario"]][1 + level]
    drip = day < p["burst_day"]
    n = r.randint(1, 4) if drip else r.randint(*SIZE[p["strength"]]) // (1 if level < 2 else p["last_day"] - p["burst_day"] + 1) + 1
    hour = usual_hour(co, k, day)
    if p["scenario"] == "insider at odd hours":
        hour = (co.local(k, day, r.choice((1, 2, 3, 4, 23)) + r.random()) - co.base - day * 86400) / 3600
    elif level == 0 and source in ("hosting", "cloud"):
        hour = r.uniform(0, 24)
    t = co.base + day * 86400 + hour % 24 * 3600
    if not drip and p["burst"] is None:
        p["burst"] = round(t - (3600 if p["scenario"] == "credential stuffing" else 0) - 1, 3)
    where = p["steps"].setdefault("address", place(co, k, source, day))
    if source == "spread" or level == 2 and source in ("consumer", "app", "host"):
        where = place(co, k, source, day)
    app, extended = program(co, k, client)
    if p["scenario"] == "credential stuffing" and not drip:
        stuff(co, p, t, where, level)
    kinds = words.split()
    rounds = {0: 1, 1: 2, 2: max(1, n // 3)}[level]
    for i in range(rounds):
        m = max(1, n // rounds)
        shapes, codes = [], []
        for j in range(m):
            kind = (
                kinds[j % len(kinds)]
                if level < 2
                else r.choice(kinds)
                if j or drip
                else next(w for w in kinds[:: -1 if kinds[0] == "own" else 1] if w != "own")
            )
            if drip and kind in ("drop", "truncate", "grant", "role", "function", "delete"):
                kind = "own"
            s, code = statement(co, k, kind, j, p)
            shapes.append(s)
            codes.append(code)
        gap = {0: 4, 1: 45, 2: 120}[level] if p["scenario"] != "slow exfiltration" else {0: 60, 1: 400, 2: 1200}[level]
        co.visit(k, where, co.spread(t + i * r.uniform(600, 4000), m, gap), shapes, app=app, extended=extended, codes=codes, mark=p)
    co.rng = kept


def usual_hour(co, k, day):
    return (co.local(k, day, co.rng.uniform(9, 17)) - co.base - day * 86400) / 3600


def place(co, k, source, day):
    """Address, and None as network: nobody declared it."""
    r = co.rng
    if source in ("hosting", "cloud", "consumer", "spread"):
        net = r.choice({"hosting": HOSTING, "cloud": CLOUD, "consumer": CONSUMER, "spread": CONSUMER}[source])
        return "%s.%d.%d" % (net, r.randint(1, 254), r.randint(2, 250)), None
    if source == "neighbour":
        a = co.address(k, day)[0]
        if ":" in a or a.startswith(("84.", "91.", "73.")) or k.cls in PEOPLE:
            c = r.choice(co.clusters)
            return "%s.%d.%d" % (c["net"], r.choice(c["nodes"]), r.randint(2, 250)), None
        a = a.split(".")
        return "%s.%s.%d.%d" % (a[0], a[1], (int(a[2]) + r.randint(1, 60)) % 256, r.randint(2, 250)), None
    if source == "vpn":
        return co.vpn()[0], None
    pods = getattr(k, "pods", None)  # host, app, own: where the token itself lives now
    return (r.choice(pods)[0] if pods else co.address(k, day))[0], None


def program(co, k, client):
    r = co.rng
    if client == "mimic":
        pods = getattr(k, "pods", None)
        return (r.choice(pods)[1] if pods else None), None
    return {
        "script": r.choice(("", "sqlmap", "python")),
        "psql": "psql",
        "pg_dump": "pg_dump",
        "dbeaver": co.fill("DBeaver 24.{minor}.{digit} - SQLEditor <Script-{digit}.sql>", k),
    }[client], False


def stuff(co, p, t, where, level):
    """Refused logins with names of the company and with guesses, before the password that works."""
    from logs import Session

    r = co.rng
    n, gap = ((60, 5), (15, 60), (6, 500))[level]
    for i in range(n):
        name = (
            r.choice(co.tokens).name
            if r.random() < 0.5
            else r.choice(("admin", "root", "postgres", "sa", "test", "backup", "app", "readonly", "deploy")) + str(r.randint(0, 9))
        )
        address = where[0] if level < 2 else where[0].rsplit(".", 1)[0] + ".%d" % r.randint(2, 250)
        at = t - (n - i) * gap - 5
        co.log.add(Session(at, name if i < n - 2 else p["token"], address, "", p["k"].database, [], login=False))
        p["events"].append(round(at, 3))
        p["addresses"].add(address)


def statement(co, k, kind, i, p):
    """A shape and the error that it meets (None: it works)."""
    r = co.rng
    tables = k.reach
    if kind == "own":
        return (co.draw(k, 1)[0] if k.cls not in PEOPLE else r.choice(k.shapes)), None
    if kind in ("other", "denied"):
        t = r.choice(co.tables[r.choice([s for s in co.schemas if s not in k.own] or co.schemas)])
        return sql.look_shape(r, t), "42501" if kind == "denied" or r.random() < 0.3 else None
    if kind.startswith("sensitive"):
        mine = {u[1:] for u in k.used}
        secret = [t for s in co.schemas for t in co.tables[s] if t.sensitive and t.key not in mine]
        t = p["steps"].setdefault("secret", r.sample(secret, min(len(secret), 4)))[i % min(len(secret), 4)]
        return sql.Shape(
            (
                "SELECT * FROM %s.%s"
                if kind == "sensitive_star"
                else "SELECT id, " + ", ".join(t.columns[-3:]) + " FROM %s.%s WHERE id > ?i ORDER BY id LIMIT ?i"
            )
            % t.key,
            "select",
            [t],
            50,
        ), None
    t = p["steps"].setdefault("table%d" % (i % 5), r.choice(tables)) if kind in ("page", "select_all") else r.choice(tables)
    name, c = "%s.%s" % t.key, ", ".join(t.columns)
    catalog = [
        "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2",
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = ?s",
        "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' ORDER BY reltuples DESC",
        "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE column_name ILIKE ?s",
        "SELECT datname FROM pg_database",
        "SELECT version()",
        "SELECT current_user, inet_server_addr()",
    ]
    roles = [
        "SELECT rolname, rolsuper FROM pg_roles",
        "SELECT usename, passwd FROM pg_shadow",
        "SELECT grantee, privilege_type FROM information_schema.role_table_grants WHERE table_name = ?s",
    ]
    text, op, code = {
        "page": ("SELECT %s FROM %s WHERE id > ?i ORDER BY id LIMIT 500" % (c, name), "select", None),
        "star": ("SELECT * FROM %s" % name, "select", None),
        "select_all": ("SELECT %s FROM %s" % (c, name), "select", None),
        "copy": ("COPY %s (%s) TO stdout;" % (name, c), "copy", None),
        "catalog": (catalog[i % len(catalog)], "select", None),
        "roles": (r.choice(roles), "select", None),
        "grant": ("GRANT ALL ON ALL TABLES IN SCHEMA %s TO %s" % (t.schema, k.name), "grant", r.choice((None, "42501"))),
        "role": (
            r.choice(("ALTER ROLE %s SUPERUSER", "ALTER USER %s WITH CREATEROLE", "GRANT pg_read_all_data TO %s")) % k.name,
            "alter",
            r.choice((None, "42501", "42501")),
        ),
        "function": (
            "CREATE OR REPLACE FUNCTION f%d() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $f$ BEGIN RETURN current_user; END $f$"
            % r.randint(1, 99),
            "create",
            None,
        ),
        "drop": ("DROP TABLE %s" % name, "drop", r.choice((None, "42501"))),
        "truncate": ("TRUNCATE %s CASCADE" % name, "truncate", None),
        "delete": ("DELETE FROM %s" % name, "delete", None),
        "update": ("UPDATE %s SET %s = ?s" % (name, r.choice(t.columns[2:])), "update", None),
        "union": (
            "SELECT id, status FROM %s WHERE code = '%x' UNION SELECT NULL, table_name FROM information_schema.tables-- '"
            % (name, r.getrandbits(12)),
            "select",
            None,
        ),
        "boolean": ("SELECT id, created_at FROM %s WHERE id = %d AND %d=%d" % (name, r.randint(1, 999), i + 3, i + 3), "select", None),
        "error": ("SELECT id FROM %s WHERE code = '''" % name, "select", "42601"),
    }[kind]
    return sql.Shape(
        text,
        op,
        [t] if kind not in ("catalog", "roles") else [("information_schema", "tables")],
        400 if kind in ("star", "select_all", "copy") else 10,
    ), code
