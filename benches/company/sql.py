"""The company's tables and the statements that its software and its people send.

A `Shape` is a statement with holes: ?i number, ?s text, ?d date, ?l list of numbers. `render` fills the holes with literals, or with $n and
parameters where the client prepares statements.
"""

import re

DOMAINS = {  # schema: tables; * marks what the company would call sensitive
    "sales": "orders order_items customers carts discounts quotes returns regions promotions",
    "billing": "invoices invoice_lines payments *payment_methods *card_tokens dunning tax_rates credit_notes refunds",
    "catalog": "products categories prices stock_levels suppliers brands media attributes price_history",
    "shipping": "shipments parcels carriers routes depots tracking_events customs pickups",
    "hr": "*employees *salaries *absences departments positions applicants *bank_accounts trainings",
    "auth": "users roles user_roles *api_keys *password_hashes *sessions login_events *mfa_secrets devices",
    "support": "tickets ticket_messages agents macros sla_policies tags surveys escalations",
    "marketing": "campaigns segments contacts email_events consents landing_pages leads attribution",
    "ledger": "accounts journal_entries journal_lines periods cost_centers *bank_statements budgets fx_rates",
    "risk": "fraud_scores cases blacklists rules *kyc_documents *identity_checks alerts watchlists",
    "dwh": "fact_sales fact_traffic fact_costs fact_support dim_customer dim_product dim_date dim_region dim_channel agg_daily agg_monthly snapshots",
    "care": "*patients *prescriptions appointments providers *claims plans referrals facilities",
    "iot": "devices readings firmwares alarms sites gateways calibrations heartbeats",
    "content": "articles authors revisions comments assets menus translations redirects",
    "platform": "jobs job_runs feature_flags settings webhooks outbox audit_log locks",
}
COLUMNS = (
    "status name code amount quantity kind region currency note email country total score category priority source owner_id parent_id "
    "external_id started_at closed_at due_on version weight language channel rate"
).split()
SECRET_COLUMNS = "iban card_last4 birth_date national_id salary secret_hash token phone address".split()


class Table:
    def __init__(self, schema, name, columns, sensitive):
        self.schema, self.name, self.columns, self.sensitive = schema, name, columns, sensitive

    @property
    def key(self):
        return self.schema, self.name


class Shape:
    __slots__ = ("pieces", "op", "tables", "ms")

    def __init__(self, text, op, tables, ms=1.0):
        self.pieces, self.op, self.ms = re.split(r"(\?[isdl])", text), op, ms
        self.tables = [t.key if isinstance(t, Table) else t for t in tables]


def render(rng, shape, extended=False):
    """Text and parameters (None where literals are inline) of one execution."""
    parameters, out = [], []
    for piece in shape.pieces:
        if len(piece) != 2 or piece[0] != "?":
            out.append(piece)
            continue
        many = rng.choice((1, 2, 3, 3, 5, 8, 20)) if piece == "?l" else 1
        values = [
            "%d" % rng.randint(1, 9999999)
            if piece in ("?i", "?l")
            else "2026-%02d-%02d" % (rng.randint(1, 12), rng.randint(1, 28))
            if piece == "?d"
            else "%x" % rng.getrandbits(rng.choice((16, 32, 64)))
            for _ in range(many)
        ]
        if extended:
            out.append(", ".join("$%d" % (len(parameters) + i + 1) for i in range(many)))
            parameters += values
        else:
            out.append(", ".join(v if piece in ("?i", "?l") else "'%s'" % v for v in values))
    return "".join(out), parameters or None


def make_tables(rng, schemas):
    tables = {}
    for schema in schemas:
        tables[schema] = []
        for name in DOMAINS[schema].split():
            columns = ["id", "created_at"] + rng.sample(COLUMNS, rng.randint(4, 9))
            if name[0] == "*":
                columns += rng.sample(SECRET_COLUMNS, 3)
            if rng.random() < 0.9:
                tables[schema].append(Table(schema, name.lstrip("*"), columns, name[0] == "*"))
    return tables


def app_shape(rng, tables, style, label):
    """A statement as an application's library writes it. `style`: hibernate, django, rails, sqlc, sqlalchemy, plain."""
    t = rng.choice(tables)
    n = t.name if style == "rails" else "%s.%s" % t.key
    if style == "django":
        n = '"%s"."%s"' % t.key
    q = (lambda c: '"%s"."%s"' % (t.name, c)) if style in ("django", "rails") else (lambda c: "t0." + c) if style == "hibernate" else (lambda c: c)
    columns = ["id"] + rng.sample(t.columns[1:], rng.randint(1, len(t.columns) - 1))
    where = rng.choice(t.columns[2:])
    hole = rng.choice(("?i", "?s", "?s", "?d"))
    alias = " t0" if style == "hibernate" else ""
    lines = "\n" if style in ("sqlalchemy", "sqlc") else " "
    head = "-- name: %s :many\n" % label if style == "sqlc" else ""
    tail = " /*controller='%s',route='%%2Fv1%%2F%s'*/" % (t.name, label) if style == "django" and rng.random() < 0.3 else ""
    picked = ", ".join(q(c) for c in columns) if style != "rails" else '"%s".*' % t.name
    kind = rng.choices(("get", "list", "in", "join", "insert", "update", "delete", "count", "upsert"), (24, 20, 8, 12, 14, 12, 3, 5, 4))[0]
    of, op, others, ms = "%sFROM %s%s" % (lines, n, alias), "select", [], 0.4
    if kind == "get":
        text = "SELECT %s%s%sWHERE %s = ?i" % (picked, of, lines, q("id"))
    elif kind == "list":
        text, ms = "SELECT %s%s%sWHERE %s = %s ORDER BY %s DESC LIMIT ?i" % (picked, of, lines, q(where), hole, q("created_at")), 3
    elif kind == "in":
        text = "SELECT %s%s%sWHERE %s IN (?l)" % (picked, of, lines, q("id"))
    elif kind == "join":
        o = rng.choice(tables)
        others = [o]
        text, ms = (
            "SELECT %s, j.%s%s%sJOIN %s.%s j ON j.id = %s%sWHERE j.%s = %s"
            % (picked, rng.choice(o.columns), of, " ", o.schema, o.name, q("id"), lines, rng.choice(o.columns), hole),
            6,
        )
    elif kind in ("insert", "upsert"):
        used = columns[1:] or ["created_at"]
        text, op = "INSERT INTO %s (%s) VALUES (%s)" % (n, ", ".join(used), ", ".join("?s" for _ in used)), "insert"
        text += " ON CONFLICT (id) DO UPDATE SET %s = EXCLUDED.%s" % (used[0], used[0]) if kind == "upsert" else " RETURNING id"
    elif kind == "update":
        text, op = "UPDATE %s SET %s%s WHERE id = ?i" % (n, ", ".join("%s = ?s" % c for c in columns[1:4]), lines.strip(" ")), "update"
    elif kind == "delete":
        text, op = "DELETE FROM %s WHERE %s = %s" % (n, where, hole), "delete"
    else:
        text, ms = "SELECT count(*)%s%sWHERE %s = %s" % (of, lines, q(where), hole), 9
    return Shape(head + text + tail, op, [t] + others, ms)


def report_shape(rng, tables, style):
    """A question asked of the data by a person or a BI tool: joins, groups, filters; seldom twice the same."""
    t, joined = rng.choice(tables), rng.sample(tables, min(len(tables), rng.choice((0, 0, 1, 1, 2))))
    joined = [o for o in joined if o is not t]
    by, measure = rng.sample(t.columns[2:], min(len(t.columns) - 2, rng.choice((1, 1, 2, 3)))), rng.choice(t.columns)
    n = '"%s"."%s"' % t.key if style == "tool" else "%s.%s" % t.key
    keys = ", ".join(('"t"."%s"' if style == "tool" else "t.%s") % c for c in by)
    aggregate = rng.choice(("count(*)", "sum(t.%s)", "avg(t.%s)", "count(DISTINCT t.%s)", "max(t.%s)"))
    aggregate = aggregate % measure if "%" in aggregate else aggregate
    text = "SELECT %s, %s%s\nFROM %s t" % (keys, aggregate, ' AS "measure_%d"' % rng.randint(1, 4) if style == "tool" else "", n)
    for i, o in enumerate(joined):
        text += "\n%sJOIN %s.%s j%d ON j%d.id = t.%s" % (rng.choice(("", "LEFT ")), o.schema, o.name, i, i, rng.choice(t.columns))
    if rng.random() < 0.75:
        text += "\nWHERE t.created_at >= ?d"
        if rng.random() < 0.5:
            text += " AND t.%s %s" % (rng.choice(t.columns[2:]), rng.choice(("= ?s", "IN (?l)", "> ?i", "IS NOT NULL", "LIKE ?s")))
    text += "\nGROUP BY " + ", ".join(str(i + 1) for i in range(len(by)))
    text += rng.choice(("", "\nORDER BY 2 DESC", "\nORDER BY 2 DESC LIMIT ?i", "\nHAVING count(*) > ?i"))
    return Shape(text, "select", [t] + joined, 180)


def look_shape(rng, t):
    """A person looks at a table by hand."""
    text = (
        rng.choice(
            (
                "SELECT * FROM %s.%s LIMIT ?i",
                "SELECT * FROM %s.%s WHERE id = ?i",
                "SELECT count(*) FROM %s.%s",
                "SELECT * FROM %s.%s ORDER BY created_at DESC LIMIT ?i",
                "select * from %s.%s where {c} = ?s",
                "SELECT x.* FROM %s.%s x",
                "SELECT {c}, count(*) FROM %s.%s GROUP BY {c}",
                "select * from %s.%s t where t.created_at > ?d",
            )
        )
        % t.key
    )
    return Shape(text.replace("{c}", rng.choice(t.columns[2:])), "select", [t], 20)


def job_shapes(rng, sources, targets, count):
    """The steps of one job: into a table of its own, merge, aggregate, export."""
    out = []
    for _ in range(count):
        s, t = rng.choice(sources), rng.choice(targets)
        columns = ", ".join(rng.sample(s.columns, 3))
        out.append(
            Shape(
                *rng.choice(
                    (
                        (
                            "INSERT INTO %s.%s (%s)\nSELECT %s FROM %s.%s WHERE created_at >= ?d AND created_at < ?d"
                            % (*t.key, columns, columns, *s.key),
                            "insert",
                            [t, s],
                            9000,
                        ),
                        ("SELECT %s FROM %s.%s WHERE id > ?i ORDER BY id LIMIT 10000" % (columns, *s.key), "select", [s], 800),
                        ("UPDATE %s.%s t SET status = ?s FROM %s.%s s WHERE s.id = t.id" % (*t.key, *s.key), "update", [t, s], 4000),
                        (
                            "COPY (SELECT %s FROM %s.%s WHERE created_at >= ?d) TO STDOUT WITH (FORMAT csv, HEADER)" % (columns, *s.key),
                            "copy",
                            [s],
                            7000,
                        ),
                        ("DELETE FROM %s.%s WHERE created_at < ?d" % t.key, "delete", [t], 2500),
                        ("SELECT count(*), max(created_at) FROM %s.%s" % s.key, "select", [s], 300),
                    )
                )
            )
        )
    return out


CATALOG = {  # what tools ask the catalog by themselves when a person opens them, and what monitoring asks
    "dbeaver": [
        "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname=?s",
        "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid ORDER BY nspname",
        "SELECT c.oid,c.*,t.relname as tabrelname FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid WHERE c.conrelid=?i",
        "SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid) LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum) WHERE c.oid=?i",
    ],
    "datagrip": [
        "select N.oid::bigint as id, N.xmin as state_number, nspname as name, D.description from pg_catalog.pg_namespace N left join pg_catalog.pg_description D on N.oid = D.objoid order by 1",
        "select T.oid as object_id, relkind as table_kind, relname as table_name from pg_catalog.pg_class T where relnamespace = ?i::oid and relkind in ('r', 'm', 'v', 'f', 'p')",
    ],
    "pgadmin": [
        "SELECT nsp.oid, nsp.nspname as name, pg_catalog.has_schema_privilege(nsp.oid, 'CREATE') as can_create FROM pg_catalog.pg_namespace nsp WHERE nspname NOT LIKE ?s ORDER BY nspname",
        "SELECT rel.oid, rel.relname AS name FROM pg_catalog.pg_class rel WHERE rel.relkind IN ('r','s','t','p') AND rel.relnamespace = ?i::oid ORDER BY rel.relname",
    ],
    "psql": [
        "SELECT n.nspname as \"Schema\", c.relname as \"Name\" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','') AND n.nspname !~ '^pg_toast' ORDER BY 1,2;",
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a WHERE a.attrelid = ?s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;",
    ],
    "bi": [
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    ],
    "monitor": [
        "SELECT datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit FROM pg_stat_database",
        "SELECT state, count(*) FROM pg_stat_activity GROUP BY state",
        "SELECT pg_is_in_recovery(), now()",
        "SELECT relname, n_dead_tup, last_autovacuum FROM pg_stat_user_tables ORDER BY n_dead_tup DESC LIMIT ?i",
        "SELECT slot_name, active, pg_current_wal_lsn() - restart_lsn AS lag FROM pg_replication_slots",
        "SELECT sum(pg_database_size(datname)) FROM pg_database",
    ],
    "dba": [
        "SELECT pid, usename, state, query FROM pg_stat_activity WHERE state <> 'idle' ORDER BY query_start",
        "SELECT * FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT granted",
        "SELECT pg_size_pretty(pg_total_relation_size(?s))",
        "SELECT rolname, rolsuper, rolcanlogin FROM pg_roles ORDER BY 1",
        "SELECT query, calls, total_exec_time FROM pg_stat_statements ORDER BY 3 DESC LIMIT ?i",
        "SELECT pg_terminate_backend(?i)",
    ],
}


def catalog_shapes(tool):
    tables = {"bi": [("information_schema", "columns")], "monitor": [("pg_catalog", "pg_stat_activity")], "dba": [("pg_catalog", "pg_stat_activity")]}
    return [Shape(text, "select", tables.get(tool, [("pg_catalog", "pg_class")]), 4) for text in CATALOG[tool]]
