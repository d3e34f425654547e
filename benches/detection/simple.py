"""What general outlier detectors find in the same logs, at the same budget.

    for seed in 6 7 8 9 10; do
        cargo bench --bench detection -- --seeds $seed --log seed$seed.csv
    done
    python benches/detection/simple.py seed*.csv

needs pyod, river and scikit-learn. A row is a token's day as fourteen counts. ECOD (Li et al., IEEE TKDE 2022) and Isolation Forest (Liu et al.,
ICDM 2008) learn from the first 14 days, HalfSpaceTrees (Tan et al., IJCAI 2011) from every day after it was judged. They are
given what no operator has: the threshold that spends the budget just so, and until midnight to tell; a strange day of a token counts once
however many of its days are strange.
"""

import csv
import datetime
import json
import re
import sys
from collections import defaultdict

import numpy
from pyod.models.ecod import ECOD
from river.anomaly import HalfSpaceTrees
from sklearn.ensemble import IsolationForest

LEARNING = 14
BUDGETS = [1, 3, 10]
FEATURES = ["events", "logins", "failed", "errors", "denied", "hours", "new hours", "addresses", "new addresses", "new networks", "tables",
            "new tables", "statements", "new statements"]
TABLE = re.compile(r"\b(?:from|join|into|update|table|copy|truncate)\s+([a-z_0-9.]+)", re.I)
LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+\b")
EPOCH = datetime.date(1970, 1, 1)


def rows(log):
    """Yields (day, token, counts) of a log, in the order of its days."""
    known = defaultdict(lambda: defaultdict(set))
    for day, records in days(log):
        for token in sorted(records):
            sets, counts = defaultdict(set), defaultdict(int)
            for record in records[token]:
                hour, address, tag, state, message, query = record
                counts["events"] += 1
                counts["logins"] += message.startswith("connection authorized")
                counts["failed"] += state == "28P01"
                counts["errors"] += state not in ("00000", "28P01")
                counts["denied"] += state == "42501"
                sets["hours"].add(hour)
                sets["addresses"].add(address)
                sets["networks"].add(address.rpartition(".")[0])
                statement = query or message.removeprefix("statement: ")
                if not message.startswith("connection"):
                    sets["statements"].add(LITERAL.sub("?", statement))
                    sets["tables"].update(name.lower() for name in TABLE.findall(statement))
            for name, values in sets.items():
                counts[name] = len(values)
                counts["new " + name] = len(values - known[token][name])
                known[token][name] |= values
            yield day, token, [counts[name] for name in FEATURES]


def days(log):
    """Yields (day from the first, {token: records}) of PostgreSQL's csvlog."""
    open_day, records, first = None, defaultdict(list), None
    for field in csv.reader(open(log, newline="")):
        date = datetime.date.fromisoformat(field[0][:10])
        first = first or date
        if date != open_day and open_day is not None:
            yield (open_day - first).days, records
            records = defaultdict(list)
        open_day = date
        records[field[1]].append((field[0][11:13], field[4].rpartition(":")[0], field[7], field[12], field[13], field[19]))
    yield (open_day - first).days, records


def scored(log):
    """Yields (name of the detector, {(token, day): score}) for a log."""
    table = list(rows(log))
    counts = numpy.log1p(numpy.array([row[2] for row in table], dtype=float))
    learned = numpy.array([row[0] < LEARNING for row in table])
    keys = [(token, day) for day, token, _ in table]
    ecod = ECOD().fit(counts[learned])
    yield "ECOD", dict(zip(keys, ecod.decision_function(counts)))
    forest = IsolationForest(n_estimators=200, random_state=0).fit(counts[learned])
    yield "Isolation Forest (200 trees)", dict(zip(keys, -forest.score_samples(counts)))
    scaled = numpy.clip(counts / numpy.maximum(counts[learned].max(axis=0), 1e-9), 0, 1)
    trees, scores = HalfSpaceTrees(n_trees=50, height=8, window_size=500, seed=0), []
    for row in scaled:
        row = dict(enumerate(map(float, row)))
        scores.append(trees.score_one(row))
        trees.learn_one(row)
    yield "HalfSpaceTrees (50 trees)", dict(zip(keys, scores))


def main(logs):
    attacks, harmless, token_days = defaultdict(list), defaultdict(list), 0
    for log in logs:
        truth = {entry["token"]: entry["attack"] for entry in map(json.loads, open(log + ".truth"))}
        start = None
        for name, scores in scored(log):
            with open(log) as lines:
                start = datetime.date.fromisoformat(lines.readline()[:10])
            zero = (start - EPOCH).days
            day_of = lambda time: time // 86_400_000_000 - zero
            under, last = {}, max(day for _, day in scores)
            for token, attack in truth.items():
                if attack:
                    on = {day_of(time) for time in attack["events"]}
                    attacks[name].append(max(scores.get((token, day), -numpy.inf) for day in on))
                    under[token] = (day_of(attack["begin"]), day_of(attack["end"]))
            for (token, day), score in scores.items():
                begin, end = under.get(token, (1, 0))
                if day >= LEARNING and not begin <= day <= end:
                    harmless[name].append(score)
        token_days += len(truth) * (last + 1 - LEARNING)
    print(f"{len(attacks[name])} attacks, {token_days} token-days")
    for name, found in attacks.items():
        worst = sorted(harmless[name], reverse=True)
        shares = []
        for budget in BUDGETS:
            threshold = worst[int(budget * token_days / 1000)]
            shares.append(f"{100 * sum(score > threshold for score in found) / len(found):.0f} %")
        print(f"{name:30}", "  ".join(shares))


if __name__ == "__main__":
    main(sys.argv[1:])
