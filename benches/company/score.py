#!/usr/bin/env python3
"""Judges a tokenwatch program on the logs that company.py made.

    score.py --bin /path/tokenwatch --benign DIR... --attacked DIR... [--budgets 1,3,10] [--inventory no,half] [--out REPORT.md] [--details FILE]

runs `tokenwatch replay` over each log and counts. An alert about an attacked token is right if an event of the attack was at most ten minutes before it;
every other alert after the learning period is false, also on an attacked token. Alerts of the statistical detectors and of rules (and the inventory's
limits) are counted apart. An alert about an address is right if it is one of an attack's own addresses at that time.
"""

import argparse
import bisect
import collections
import datetime
import json
import math
import os
import subprocess
import sys
import time

LEARN, WINDOW, DAY = 14, 600, 86400
STRENGTHS = ("noisy", "medium", "careful")
DEFINITE = ("rule.", "policy.")  # detectors outside the budget; all others are statistical


def interval(n, weight):
    """Exact 95 % interval of a Poisson rate of n events in `weight` units."""

    def tail(mean, upto):
        return sum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(upto + 1)) if mean else 1.0

    def solve(f):
        lo, hi = 0.0, n + 10 * math.sqrt(n + 1) + 20
        for _ in range(80):
            mid = (lo + hi) / 2
            lo, hi = (mid, hi) if f(mid) else (lo, mid)
        return lo

    low = solve(lambda m: 1 - tail(m, n - 1) < 0.025) if n else 0.0
    return low / weight, solve(lambda m: tail(m, n) > 0.025) / weight


class World:
    """A folder that company.py wrote."""

    def __init__(self, folder):
        self.folder = folder
        self.tokens, self.attacks, self.benign = {}, [], collections.defaultdict(list)
        for line in open(os.path.join(folder, "truth.jsonl"), encoding="utf-8"):
            x = json.loads(line)
            if x["type"] == "company":
                self.about = x
            elif x["type"] == "token":
                self.tokens[x["token"]] = x
            elif x["type"] == "attack":
                x["events"].sort()
                self.attacks.append(x)
            else:
                self.benign[x["token"]].append(x)
        self.days = {t: max(0, x["dies"] - max(LEARN, x["born"])) for t, x in self.tokens.items()}

    def day(self, t):
        return (t - self.about["start"]) / DAY

    def inventory(self, path):
        """Declares every second token truthfully: networks (unless nobody could) and operations by schema, with all that it will change to."""
        with open(path, "w", encoding="utf-8") as out:
            for name in sorted(self.tokens)[::2]:
                x = self.tokens[name]
                scope = set()
                operations = {s.split(" ", 1)[0] for s in x["scope"]}
                for s in x["scope"]:
                    schema, table = s.split(" ", 1)[1].split(".", 1)
                    if schema in ("pg_catalog", "information_schema"):
                        scope |= {"* pg_catalog.*", "* information_schema.*", "* pg_*"}
                    else:
                        scope |= {"%s %s.*" % (o, schema) for o in operations | {"select"}}
                        scope |= {
                            "%s %s" % (o, table) for o in (s.split(" ", 1)[0], "select") if not table.startswith("tmp_")
                        }  # written without schema, too
                out.write('[[token]]\nname = "%s"\nowner = "team"\n' % name)
                if x["networks"]:
                    out.write("networks = %s\n" % json.dumps(x["networks"]))
                if scope:
                    out.write("scope = %s\n" % json.dumps(sorted(scope)))
                out.write("\n")


def replay(binary, world, budget, inventory, tag):
    """Alerts of one run, kept in the world's folder under `tag` (and used again if they are newer than log and program)."""
    base = os.path.join(world.folder, "%s-%g-%s" % (tag, budget, inventory))
    config, alerts, log = base + ".toml", base + ".jsonl", os.path.join(world.folder, "db.log")
    if not (os.path.exists(alerts) and os.path.getmtime(alerts) > max(os.path.getmtime(log), os.path.getmtime(binary))):
        text = ""
        if inventory == "half":
            world.inventory(base + "-tokens.toml")
            text = 'inventory = "%s"\n' % os.path.basename(base + "-tokens.toml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(
                text + '[state]\ndir = "%s"\n[detect]\nfalse_alerts_per_1000_token_days = %.1f\nlearning = "%dd"\n' % (base + "-state", budget, LEARN)
            )
        began = time.time()
        done = subprocess.run(
            ["nice", "-n", "10", binary, "replay", "--config", config, "--alerts", alerts + ".new", log], capture_output=True, text=True
        )
        if done.returncode not in (0, 1) or not os.path.exists(alerts + ".new"):
            sys.exit("replay failed (%d): %s" % (done.returncode, done.stderr[-2000:]))
        os.replace(alerts + ".new", alerts)
        print(
            "%s: %.0f s: %s" % (base, time.time() - began, done.stderr.strip().splitlines()[-1][:200] if done.stderr.strip() else ""), file=sys.stderr
        )
    return [json.loads(line) for line in open(alerts, encoding="utf-8")]


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def judge(world, alerts):
    """(false alerts after learning, attacks with what was found)."""
    by_token = collections.defaultdict(list)
    for a in world.attacks:
        by_token[a["token"]].append(a)
        a["found"] = {"any": None, "burst": None, "statistical": None, "alert": None}
    false = []
    for alert in alerts:
        t, token = moment(alert["time"]), alert["token"]
        statistical = not any(d.startswith(DEFINITE) for d in alert["detectors"])
        right = False
        about = by_token.get(token, [])
        if token.startswith("("):
            where = token.strip("()").split(" ", 1)[-1].split("/")[0].rsplit(".", 1)[0]
            about = [a for a in world.attacks if any(x.startswith(where) for x in a["addresses"])]
        for a in about:
            i = bisect.bisect_right(a["events"], t + 1.5)
            if not i or t - a["events"][i - 1] > WINDOW:
                continue
            right = True
            f, burst = a["found"], bisect.bisect_left(a["events"], a["burst"])
            if f["any"] is None:
                f["any"], f["alert"] = i, alert
            if f["burst"] is None and i > burst:
                f["burst"] = i - burst
            if statistical and f["statistical"] is None:
                f["statistical"] = i
        if not right and not alert.get("update") and world.day(t) >= LEARN:
            x = world.tokens.get(token)
            near = [a for a in about if a["events"][0] <= t]
            false.append(
                {
                    "alert": alert,
                    "token": token,
                    "class": x["class"] if x else "(address)" if token.startswith("(") else "(nobody)",
                    "statistical": statistical,
                    "time": t,
                    "folder": world.folder,
                    "after_attack": bool(near),
                    "young": bool(x) and world.day(t) - x["born"] < LEARN,
                    "changes": [b["kind"] for b in world.benign.get(token, []) if b["day"] - 1 <= world.day(t) <= (b["until"] or b["day"]) + 2],
                }
            )
    return false


def share(found, of):
    return "%d/%d = %.0f %%" % (found, of, 100 * found / of) if of else "-"


def report(arguments, worlds):
    out, details, summary = [], {"false": [], "missed": []}, []
    for inventory in arguments.inventory.split(","):
        for budget in [float(b) for b in arguments.budgets.split(",")]:
            false, attacks, days, classes, benign_false, benign_days = [], [], 0, collections.Counter(), [], 0
            for world, attacked in worlds:
                found = judge(world, replay(arguments.bin, world, budget, inventory, arguments.tag))
                attacks += [{**a, "found": dict(a["found"]), "folder": world.folder} for a in world.attacks]
                if not attacked:
                    benign_false += found
                    benign_days += sum(world.days.values())
                    for t, n in world.days.items():
                        classes[world.tokens[t]["class"]] += n
                else:
                    false += found
                    days += sum(world.days.values())
            out.append("\n## budget %g, inventory: %s\n" % (budget, inventory))
            for name, alerts, n in (("benign company", benign_false, benign_days), ("attacked company", false, days)):
                if not n:
                    continue
                for kind, some in (
                    ("statistical", [f for f in alerts if f["statistical"]]),
                    ("rules and limits", [f for f in alerts if not f["statistical"]]),
                    ("all", alerts),
                ):
                    low, high = interval(len(some), n / 1000)
                    out.append(
                        "- %s, %s: %d false alerts in %d token-days = **%.2f** per 1000 (95 %%: %.2f to %.2f)%s"
                        % (
                            name,
                            kind,
                            len(some),
                            n,
                            1000 * len(some) / n,
                            low,
                            high,
                            ", %d on tokens younger than %d days, %d after an attack's events"
                            % (sum(f["young"] for f in some), LEARN, sum(f["after_attack"] for f in some))
                            if kind == "all"
                            else "",
                        )
                    )
                    if kind != "all":
                        summary.append((inventory, budget, name, kind, 1000 * len(some) / n, low, high))
            if benign_days:
                stat, rule = (collections.Counter(f["class"] for f in benign_false if f["statistical"] == s) for s in (True, False))
                out.append(
                    "- worst classes (statistical false alerts per 1000 token-days, as a multiple of the budget; rules beside it): "
                    + ", ".join(
                        "%s %.1fx (%d; rules %d)" % (c, 1000 * stat[c] / classes[c] / budget if classes[c] else 0, stat[c], rule[c])
                        for c in sorted(set(stat) | set(rule), key=lambda c: -(stat[c] / (classes[c] or 1)))
                    )
                )
                out.append(
                    "- rules behind false alerts: "
                    + ", ".join(
                        "%s %d" % x
                        for x in collections.Counter(d for f in benign_false if not f["statistical"] for d in f["alert"]["detectors"]).most_common(12)
                    )
                )
            if attacks:
                hit = [a for a in attacks if a["found"]["any"]]
                burst = [a for a in attacks if a["found"]["burst"]]
                waits = sorted(a["found"]["burst"] for a in burst)
                out.append(
                    "- causal detection: **%s**; at the burst %s; by alerts without rule or limit %s; median events of the burst until the alert: %s"
                    % (
                        share(len(hit), len(attacks)),
                        share(len(burst), len(attacks)),
                        share(sum(1 for a in attacks if a["found"]["statistical"]), len(attacks)),
                        waits[len(waits) // 2] if waits else "-",
                    )
                )
                summary.append((inventory, budget, "detected", "all", 100 * len(hit) / len(attacks), None, None))
                for what, of in (
                    ("dripped", [a for a in attacks if a["drip"]]),
                    ("not dripped", [a for a in attacks if not a["drip"]]),
                    ("not dripped, burst on day >= 23", [a for a in attacks if not a["drip"] and a["burst_day"] >= 23]),
                ):
                    out.append(
                        "- %s: found at all %s, at the burst %s"
                        % (what, share(sum(1 for a in of if a["found"]["any"]), len(of)), share(sum(1 for a in of if a["found"]["burst"]), len(of)))
                    )
                out.append("\n| scenario | " + " | ".join(STRENGTHS) + " | all |\n|---|---|---|---|---|")
                for s in sorted({a["scenario"] for a in attacks}) + [None]:
                    row = []
                    for w in STRENGTHS + (None,):
                        of = [a for a in attacks if s in (None, a["scenario"]) and w in (None, a["strength"])]
                        row.append(
                            "%d/%d" % (sum(1 for a in of if a["found"]["any"]), len(of))
                            + (" = %.0f %%" % (100 * sum(1 for a in of if a["found"]["any"]) / len(of)) if of and None in (s, w) else "")
                        )
                    out.append("| %s | %s |" % (s or "**all**", " | ".join(row)))
            details["false"] += [{**f, "budget": budget, "inventory": inventory} for f in benign_false + false]
            details["missed"] += [{**a, "budget": budget, "inventory": inventory} for a in attacks if not a["found"]["any"]]
    return out, details, summary


def pairs(arguments):
    """The cost of drip: the same attacks with drip (first folder) and without (second); found at the burst, in both."""
    out = ["\n## the same attacks with and without 8 to 14 days of drip\n"]
    for inventory in arguments.inventory.split(","):
        for budget in [float(b) for b in arguments.budgets.split(",")]:
            counts, early = collections.Counter(), 0
            for pair in arguments.pairs:
                with_drip, without = [World(f) for f in pair.split(":")]
                for w in (with_drip, without):
                    judge(w, replay(arguments.bin, w, budget, inventory, arguments.tag))
                plain = {a["token"]: a for a in without.attacks}
                for a in with_drip.attacks:
                    if a["drip"] and a["token"] in plain:
                        counts[bool(a["found"]["burst"]), bool(plain[a["token"]]["found"]["burst"])] += 1
                        early += bool(a["found"]["any"])
            n = sum(counts.values())
            dripped, plain = counts[True, True] + counts[True, False], counts[True, True] + counts[False, True]
            out.append(
                "- inventory %s, budget %g: at the burst %s with drip, %s without: drip costs %.0f points (lost by drip %d, gained %d); during drip or burst %s"
                % (
                    inventory,
                    budget,
                    share(dripped, n),
                    share(plain, n),
                    100 * (plain - dripped) / n,
                    counts[False, True],
                    counts[True, False],
                    share(early, n),
                )
            )
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", required=True)
    p.add_argument("--benign", nargs="*", default=[])
    p.add_argument("--attacked", nargs="*", default=[])
    p.add_argument("--pairs", nargs="*", default=[], help="WITH_DRIP:WITHOUT, folders of the same seed")
    p.add_argument("--budgets", default="1,3,10")
    p.add_argument("--inventory", default="no,half")
    p.add_argument("--out")
    p.add_argument("--details")
    p.add_argument("--tag", default=None, help="name of this program in the files that are kept (default: its file name)")
    a = p.parse_args()
    a.tag = a.tag or os.path.basename(a.bin)
    worlds = [(World(f), False) for f in a.benign] + [(World(f), True) for f in a.attacked]
    out, details, summary = report(a, worlds) if worlds else ([], {}, [])
    out += pairs(a) if a.pairs else []
    head = ["# %s on %d benign and %d attacked logs" % (a.tag, len(a.benign), len(a.attacked)), ""]
    head += ["- inventory %s, budget %g: %s, %s %.2f%s" % (*s[:5], " (%.2f to %.2f)" % s[5:] if s[5] is not None else " %") for s in summary]
    text = "\n".join(head + out) + "\n"
    print(text)
    if a.out:
        with open(a.out, "w", encoding="utf-8") as f:
            f.write(text)
    if a.details:
        with open(a.details, "w", encoding="utf-8") as f:
            json.dump(details, f)


if __name__ == "__main__":
    main()
