#!/usr/bin/env python3
"""Fits the archetypes of src/detect/unusual/archetype.rs to made-up companies, and prints their rows anew.

    cargo bench --bench detection -- --seeds 21-40 --budgets 3 --scores FILE      one line for each token and day
    python3 benches/detection/fit.py FILE [FILE...]                               needs numpy, scipy and autograd

The loss is that of a logistic regression: the logarithm of the likelihood ratio (score.rs) against whether the token was attacked on the day.
Each row is held near what stands in archetype.rs by a quadratic penalty on its logits. What it must not learn is one generator: give it files of
several, hide features at random, and lay harmless days over each other, as below. What rules find is left out.
"""
import pathlib
import re
import sys

import autograd.numpy as np
from autograd import value_and_grad
from scipy.optimize import minimize

ROOT = pathlib.Path(__file__).resolve().parents[2]
FEATURES = "Network Peer Client Scope Operation Sensitive Shape Volume Hour Denied Errors Concurrent Dormant".split()
RULED = ("denied", "grants", "destruction", "injection")
LEARNING, PENALTY, PEOPLE, HIDDEN, COPIES = 14, 10.0, 3.0, 0.3, 2


def archetypes(text):
    """Name, weight, schedules and rows of each."""
    found = re.findall(r'Archetype \{ name: "([^"]+)", weight: ([\d.]+), among: (\[[^\]]+\]|ANYBODY), rows: &\[(.*?)\n    \] \}', text, re.S)
    for name, weight, among, rows in found:
        among = [1.0] * 3 if among == "ANYBODY" else [float(x) for x in among.strip("[]").split(",")]
        rows = re.findall(r"\((\w+), ([\d.]+), \[([^\]]+)\]\)", rows)
        yield name, float(weight), among, [(FEATURES.index(f), float(l), [float(x) for x in p.split(",")]) for f, l, p in rows]


def logits(items):
    out = []
    for _, weight, _, rows in items:
        out.append(np.log(weight))
        for _, level0, profile in rows:
            share = np.array(profile) / sum(profile) * (1 - level0)
            out += list(np.log(np.maximum(np.concatenate([[level0], share]), 1e-5)))
    return np.array(out)


def read(paths):
    """Levels, logarithms of the odds of each level, schedule, attacked or not."""
    levels, odds, schedule, attacked = [], [], [], []
    for path in paths:
        for line in open(path):
            head, strangest, hours, q = line.rstrip("\n").split(";")
            day, _, what = head.split(",")[:3]
            if int(day) < LEARNING or what == "after" or what.startswith(RULED):
                continue
            levels.append([int(x) for x in strangest.strip(" []").split(",")])
            odds.append([float(x) for x in q.strip(" []").split(",")])
            schedule.append(1 if int(hours) <= 3 else 2 if int(hours) <= 16 else 0)
            attacked.append(what != "-")
    return np.array(levels), np.log(np.maximum(np.array(odds).reshape(-1, 13, 5), 1e-9)), np.array(schedule), np.array(attacked)


def augmented(levels, odds, schedule, attacked, dice):
    """Attacks without some of their features; harmless days laid over each other."""
    bad, good = np.where(attacked)[0], np.where(~attacked & (levels.sum(1) > 0))[0]
    more = [(levels, odds, schedule, attacked)]
    for _ in range(COPIES):
        less = np.where(dice.random((len(bad), 13)) < HIDDEN, 0, levels[bad])
        keep = less.sum(1) > 0
        more.append((less[keep], odds[bad][keep], schedule[bad][keep], attacked[bad][keep]))
    one = dice.permutation(good)[: len(good) // 3]
    other = np.array([dice.choice(good[schedule[good] == schedule[at]]) for at in one])
    more.append((np.maximum(levels[one], levels[other]), odds[one], schedule[one], attacked[one]))
    return [np.concatenate(part) for part in zip(*more)]


def main():
    text = (ROOT / "src/detect/unusual/archetype.rs").read_text()
    attacks, changes = (list(archetypes(part)) for part in text.split("pub static CHANGES"))
    start = logits(attacks + changes)
    levels, odds, schedule, attacked = augmented(*read(sys.argv[1:]), np.random.default_rng(1))
    one_hot = [np.eye(5)[levels[:, f]] for f in range(13)]
    own = [odds[np.arange(len(levels)), f, levels[:, f]] for f in range(13)]
    weight = np.where(~attacked & (schedule == 2), PEOPLE, 1.0)

    def side(v, items, cap):
        at, terms = 0, []
        for _, _, among, rows in items:
            term = v[at] + np.log(np.array(among))[schedule]
            at += 1
            for f, _, _ in rows:
                row = v[at : at + 5]
                at += 5
                ratio = np.dot(one_hot[f], row - np.log(np.sum(np.exp(row)))) - own[f]
                term = term + np.where(cap & (levels[:, f] == 0), np.minimum(ratio, 0.0), ratio)
            terms.append(term)
        return np.array(terms), at

    def loss(z):
        v = z[:-1]
        attack, used = side(v, attacks, True)
        change, _ = side(v[used:], changes, False)
        top = np.max(attack, axis=0)
        score = top + np.log(np.sum(np.exp(attack - top), axis=0)) - np.log(0.95 + np.sum(np.exp(np.minimum(change, 30.0)), axis=0)) + z[-1]
        return np.sum(weight * (np.logaddexp(0, score) - attacked * score)) + PENALTY * np.sum((v - start) ** 2)

    fitted = minimize(value_and_grad(loss), np.append(start, -3.0), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    at = 0
    for name, _, among, rows in attacks + changes:
        print(f'    Archetype {{ name: "{name}", weight: {np.exp(fitted[at]):.4f}, among: {among}, rows: &[')
        at += 1
        for f, _, _ in rows:
            p = np.exp(fitted[at : at + 5] - np.max(fitted[at : at + 5]))
            at += 5
            print(f"        ({FEATURES[f]}, {p[0] / p.sum():.3f}, [{', '.join(f'{10 * x / p[1:].sum():.2f}' for x in p[1:])}]),")
        print("    ] },")


if __name__ == "__main__":
    main()
