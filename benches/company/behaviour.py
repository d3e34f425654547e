"""What a token of each class does on a day. Each function gets the company, the token and the number of the day."""

import datetime
import math

import sql

DAY = 86400
PROFILES = {  # how likely each local hour is
    "always": [1] * 24,
    "consumer": [2, 1, 0.6, 0.5, 0.5, 0.8, 1.5, 3, 4, 4, 4, 5, 6, 5, 4, 4, 5, 6, 8, 9, 9, 8, 6, 4],
    "office": [0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 1, 4, 8, 9, 9, 8, 6, 8, 9, 8, 7, 5, 2, 1, 0.6, 0.4, 0.3, 0.2],
}


def weekend(co, day):
    return (co.start.weekday() + day) % 7 >= 5


def date(co, day):
    """The day as ordinal number and as date."""
    ordinal = co.start.toordinal() + day
    return ordinal, datetime.date.fromordinal(ordinal)


def web(co, k, day):
    """Pods behind an autoscaler: some stay for days, some live an hour; each has its own connection."""
    r = co.rng
    quiet = 0.25 if k.profile == "office" and weekend(co, day) else 1
    n = max(1, int(k.rate * quiet * co.surge.get((k.name, day), 1) * r.lognormvariate(0, 0.2)))
    pods = getattr(k, "pods", None) or []
    pods = [p for p in pods if r.random() < 0.7]
    want = max(1, min(9, round(math.sqrt(n) * 0.4 * r.uniform(0.6, 1.4))))
    pods = (pods + [(co.address(k, day), co.fill(k.app, k)) for _ in range(want - len(pods))])[: max(want, 1)]
    k.pods = pods
    times = [[] for _ in pods]
    for hour in r.choices(range(24), PROFILES[k.profile], k=n):
        times[r.randrange(len(pods))].append(co.local(k, day, hour + r.random()))
    for p, t in zip(pods, times):
        if t:
            co.visit(k, p[0], sorted(t), co.draw(k, len(t)), app=p[1])


def pooled(co, k, day):
    r, n = co.rng, max(1, int(k.rate * 1.5 * co.surge.get((k.name, day), 1)))
    for a in [co.address(k, day) for _ in range(r.randint(1, 3))]:
        t = sorted(co.local(k, day, h + r.random()) for h in r.choices(range(24), PROFILES[k.profile], k=max(1, n // 2)))
        co.visit(k, a, t, co.draw(k, len(t)))


def function(co, k, day):
    """Cloud functions: every call may come from another address of three subnets; some days there is nothing to do."""
    r = co.rng
    for _ in range(int(k.rate * co.surge.get((k.name, day), 1) * r.uniform(0.2, 0.8) / 2)):
        t = co.local(k, day, r.choices(range(24), PROFILES[k.profile])[0] + r.random())
        n = r.randint(1, 4)
        co.visit(k, co.address(k, day), co.spread(t, n, 0.3), co.draw(k, n))


def job(co, k, day, extra=1):
    r, (ordinal, today) = co.rng, date(co, day)
    last = (today.replace(day=28) + datetime.timedelta(days=4)).replace(day=1).toordinal() - 1
    for when, hour, dow, shapes in k.jobs:
        due = {
            "hourly": True,
            "daily": True,
            "weekly": today.weekday() == dow,
            "monthly": today.day == 1 + dow % 5,
            "workdays": not weekend(co, day),
            "month_end": last - ordinal <= 1 or today.day <= 2,
        }[when]
        if not due or r.random() < 0.02:
            continue
        for h in [hour] if when != "hourly" else [x + hour % 1 for x in range(0, 24, 2)]:
            h += r.choice((0, 0, 0, 0.2, r.uniform(0, 4) if r.random() < 0.2 else 0))  # a job waits for another, or is run again by hand
            steps = list(shapes) * (max(1, int(co.surge.get((k.name, day), 1))) if when != "hourly" else 1)
            if r.random() < 0.3 and when != "hourly":  # a table of the day, as many jobs make them
                t = steps[0].tables[0]
                name = "tmp_%s_%s" % (t[1], today.strftime("%Y%m%d"))
                steps = [
                    sql.Shape(
                        "CREATE TABLE %s.%s AS SELECT * FROM %s.%s WHERE created_at >= ?d" % (t[0], name, *t), "create", [(t[0], name), t], 3000
                    )
                ] + steps
                steps.append(sql.Shape("DROP TABLE %s.%s" % (t[0], name), "drop", [(t[0], name)], 8))
            if when == "hourly":
                steps = steps[:3]
            t = co.local(k, day, h) if k.tz else 0
            co.visit(k, co.address(k, day), co.spread(t, len(steps), 40 if when != "hourly" else 3), steps)


def bi(co, k, day):
    """A BI server: dashboards refreshed by schedule, questions that people click together, the catalog read at night."""
    r = co.rng
    co.visit(k, co.address(k, day), [co.local(k, day, 3 + r.random())], co_catalog(co, "bi"))
    t = sorted(co.local(k, day, 6 + r.uniform(0, 1)) + i for i in range(6))
    co.visit(k, co.address(k, day), t, k.shapes[:6])
    if weekend(co, day) and r.random() < 0.8:
        return
    today = date(co, day)[1]
    for _ in range(int(k.rate / 8 * (2 if today.day <= 3 else 1)) + 1):
        shapes = [r.choice(k.shapes) if r.random() < 0.6 else co.shape(k) for _ in range(r.randint(1, 6))]
        co.visit(k, co.address(k, day), co.spread(co.local(k, day, r.gauss(12.5, 2.5) % 24), len(shapes), 20), shapes)


def co_catalog(co, tool):
    """What a tool asks the catalog, in the dialect of the server."""
    if co.form != "mariadb":
        return sql.catalog_shapes(tool)
    texts = {
        "monitor": ["SHOW GLOBAL STATUS", "SHOW GLOBAL VARIABLES", "SHOW SLAVE STATUS"],
        "dba": ["SHOW FULL PROCESSLIST", "SHOW ENGINE INNODB STATUS"],
    }
    return [
        sql.Shape(t, "show", [])
        for t in texts.get(
            tool, ["SHOW DATABASES", "SHOW FULL TABLES", "SELECT TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?s"]
        )
    ]


def person(co, k, day):
    """Working hours with a lunch break, sometimes an evening, rarely a weekend; mostly the usual questions, some new ones, now and then an unknown table."""
    r, today = co.rng, date(co, day)[1]
    if day in k.away or r.random() > k.presence * (0.06 if weekend(co, day) else 1.25 if today.day <= 4 else 1):
        return
    visits = [r.uniform(k.begin, k.end) for _ in range(r.randint(1, 3))] + ([r.uniform(19, 22.5)] if r.random() < 0.07 else [])
    where, free = co.address(k, day), 0
    for h in sorted(visits):
        begin = max(co.local(k, day, h), free + r.uniform(60, 900))
        if r.random() < 0.25:  # the VPN dropped and gave another address, or she went home, which takes a while
            old, where = where, co.address(k, day)
            begin += 0 if old[1] == where[1] else r.uniform(1500, 5000)
        n = r.randint(2, 14)
        fresh = 0.4 if k.cls == "analyst" else 0.55
        shapes = [r.choice(k.shapes) if r.random() > fresh else co.shape(k) for _ in range(n)]
        if r.random() < 0.06:
            new = co.plain(r.choice(co.schemas if r.random() < 0.3 else k.own))
            shapes += [sql.look_shape(r, new) for _ in range(r.randint(1, 4))]
            k.reach.append(new)
        if k.tool and r.random() < 0.5:
            shapes = r.sample(co_catalog(co, k.tool), 2 if co.form != "mariadb" and len(sql.CATALOG[k.tool]) > 1 else 1) + shapes
        if r.random() < 0.02:  # she takes a table home into a spreadsheet, which is her work
            t = r.choice(k.reach)
            text = "SELECT * FROM %s.%s WHERE created_at >= ?d" % t.key
            shapes.append(
                sql.Shape("COPY (%s) TO STDOUT WITH (FORMAT csv, HEADER)" % text, "copy", [t], 5000)
                if k.tool in ("psql", "")
                else sql.Shape(text, "select", [t], 5000)
            )
        codes = [r.choice((NO_TABLE, SYNTAX, DENIED)) if r.random() < 0.03 else None for _ in shapes]
        times = co.spread(begin, len(shapes), r.choice((20, 90, 240)))
        co.visit(k, where, times, shapes, codes=codes)
        free = times[-1]
        if r.random() < 0.2:
            k.shapes[r.randrange(len(k.shapes))] = shapes[-1]


NO_TABLE, SYNTAX, DENIED = "42P01", "42601", "42501"


def dba(co, k, day):
    r = co.rng
    if day in k.away or r.random() > k.presence * (0.15 if weekend(co, day) else 1):
        return
    for h in [r.uniform(k.begin, k.end) for _ in range(r.randint(1, 4))] + ([r.uniform(21, 26)] if r.random() < 0.1 else []):
        t = r.choice(k.reach)
        work = [
            (2, "ANALYZE %s.%s", "other"),
            (1, "VACUUM (VERBOSE, ANALYZE) %s.%s", "other"),
            (1, "CREATE INDEX CONCURRENTLY ON %s.%s (created_at)", "create"),
            (0.6, "ALTER TABLE %s.%s SET (fillfactor = 80)", "alter"),
            (0.8, "GRANT SELECT ON %s.%s TO " + r.choice(co.tokens).name, "grant"),
            (0.3, "REVOKE ALL ON %s.%s FROM " + r.choice(co.tokens).name, "revoke"),
            (3, "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM %s.%s WHERE id = 1", "explain"),
            (0.15, "TRUNCATE %s.load_%s", "truncate"),
        ]
        shapes = [r.choice(co_catalog(co, "dba")) for _ in range(r.randint(2, 6))] + r.sample(k.shapes, r.randint(0, 3))
        for _ in range(r.choice((0, 1, 1, 2))):
            w = r.choices(work, [x[0] for x in work])[0]
            shapes.append(sql.Shape(w[1] % t.key, w[2], [t], 900))
        if r.random() < 0.03:
            shapes.append(sql.Shape("CREATE ROLE app_%d LOGIN PASSWORD 'SCRAM-SHA-256$4096:x'" % r.randint(10, 99), "create", []))
        co.visit(k, co.address(k, day), co.spread(co.local(k, day, h), len(shapes), 60), shapes)


def backup(co, k, day):
    r = co.rng
    if getattr(k, "weekly", None) is None:
        k.weekly, k.hour = r.random() < 0.2, r.uniform(0, 5)
    if k.weekly and (co.start.weekday() + day) % 7 != 6:
        return
    shapes = co_catalog(co, "psql")[:2] + k.shapes
    co.visit(k, co.address(k, day), co.spread(co.local(k, day, k.hour + r.uniform(0, 0.1)), len(shapes), 25), shapes)


def monitor(co, k, day):
    r, where = co.rng, co.address(k, day)
    shapes = k.shapes if co.form != "mariadb" else co_catalog(co, "monitor")
    t = [co.base + day * DAY + (i + r.random() * 0.02) * 1800 for i in range(48)]
    co.visit(k, where, t, [shapes[i % len(shapes)] for i in range(48)])


def migration(co, k, day):
    """Runs when something is deployed, at office hours mostly."""
    r = co.rng
    if weekend(co, day) or r.random() > 0.3:
        return
    t = r.choice(k.reach)
    shapes = list(k.shapes)
    for _ in range(r.choice((0, 1, 1, 2, 5))):
        shapes.append(
            sql.Shape(
                *r.choice(
                    (
                        ("ALTER TABLE %s.%s ADD COLUMN x%d text" % (*t.key, r.randint(1, 99)), "alter", [t]),
                        ("CREATE INDEX ix_%d ON %s.%s (status)" % (r.randint(1, 999), *t.key), "create", [t]),
                        ("UPDATE %s.%s SET status = 'new' WHERE status IS NULL" % t.key, "update", [t]),
                        ("DROP INDEX %s.ix_7" % t.schema, "drop", [(t.schema, "ix_7")]),
                        ("ALTER TABLE %s.%s DROP COLUMN IF EXISTS x%d" % (*t.key, r.randint(1, 99)), "alter", [t]),
                    )
                )
            )
        )
        shapes.append(
            sql.Shape(
                "INSERT INTO %s.flyway_schema_history (version, checksum) VALUES (?i, ?i)" % k.own[0], "insert", [(k.own[0], "flyway_schema_history")]
            )
        )
    co.visit(k, co.address(k, day), co.spread(co.local(k, day, r.uniform(9, 17)), len(shapes), 2), shapes)


def ci(co, k, day):
    r = co.rng
    if weekend(co, day) and r.random() < 0.8:
        return
    for _ in range(r.randint(1, 6)):
        n = r.randint(3, 12)
        co.visit(k, co.address(k, day), co.spread(co.local(k, day, r.gauss(14, 3) % 24), n, 0.5), co.draw(k, n))


def shared(co, k, day):
    """One account, several people with their own tools and addresses, and a script."""
    r = co.rng
    keep = k.app, k.hops
    for i in range(r.randint(1, 3)):
        k.hops = "%d" % (int(keep[1]) // 2 + 17 * i)
        k.app = keep[0] if i != 1 else "psql"
        person(co, k, day)
    k.app, k.hops = keep
    job(co, k, day)


def dormant(co, k, day):
    """Used once in weeks, for what nobody remembers."""
    r = co.rng
    if day != k.first_use and (weekend(co, day) or r.random() > 0.04):
        return
    n = r.randint(2, 9)
    co.visit(
        k,
        co.address(k, day),
        co.spread(co.local(k, day, r.uniform(8, 18)), n, 30),
        [r.choice(k.shapes) if r.random() < 0.6 else co.shape(k) for _ in range(n)],
    )


def vendor(co, k, day):
    r = co.rng
    job(co, k, day)
    if not weekend(co, day) and r.random() < 0.35:
        n = r.randint(1, 6)
        co.visit(k, co.address(k, day), co.spread(co.local(k, day, r.uniform(7, 19)), n, 15), co.draw(k, n))


def cdc(co, k, day):
    r = co.rng
    t = [co.base + day * DAY + i * 1200 for i in range(72)]
    co.visit(k, co.address(k, day), t, [k.shapes[0] if r.random() < 0.9 else r.choice(k.shapes) for _ in t])


def incident(co, day):
    """People on call look at tables of a broken service by hand."""
    r, (schema, staff, hour) = co.rng, co.oncall[day]
    for k in staff:
        for _ in range(r.randint(1, 3)):
            n = r.randint(4, 25)
            shapes = [sql.look_shape(r, co.plain(schema)) if r.random() < 0.7 else r.choice(co_catalog(co, "dba")) for _ in range(n)]
            co.visit(
                k, co.address(k, day), co.spread(co.base + day * DAY + hour * 3600 + r.uniform(0, 5400), n, 25), shapes, database=co.databases[schema]
            )


DAYS = {
    "web": web,
    "pooled": pooled,
    "lambda": function,
    "batch": job,
    "bi": bi,
    "analyst": person,
    "developer": person,
    "dba": dba,
    "backup": backup,
    "monitor": monitor,
    "migration": migration,
    "ci": ci,
    "shared": shared,
    "dormant": dormant,
    "vendor": vendor,
    "cdc": cdc,
}
