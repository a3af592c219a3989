"""Forms of a verdict, compared on models whose truth is known.

    python tools/verdict_forms.py docs/results/recovery/lab.csv docs/results/recovery/real.csv …

Each model is judged by what the others teach that do not share its cluster, its attack or its
network. Forms without victims learn from clean models alone. Then classes are left out: how often a
clean model is suspected must not depend on how many classes it has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bdshift.detect.detector import Evidence
from bdshift.lab.detection import read_rows
from bdshift.lab.discrimination import auroc, found_at
from bdshift.lab.judged_models import (
    ALL_TO_ONE,
    JudgedModel,
    compared_texts,
    judged_models,
)
from bdshift.lab.judging import Key
from bdshift.recovery.drop import drops
from bdshift.verdict.clean_models import cluster_weights, fit_table
from bdshift.verdict.decide import decide
from bdshift.verdict.strength import capped, fit_scale

KINDS = ("shift", "mask", "additive")
Features = NDArray[np.float64]  # (C, kinds)
Form = Callable[[Sequence[JudgedModel]], Callable[[JudgedModel], NDArray[np.float64]]]


def features(model: JudgedModel) -> Features:
    """Capped drops."""
    found = {detector.name: evidence.scores for detector, evidence in model.found}
    return np.stack([capped(drops(found[kind])) for kind in KINDS], 1)


def gaps(model: JudgedModel) -> Features:
    """By how much each drop exceeds the largest of the other classes, at least 0."""
    plain = features(model)
    others = [np.delete(plain, one, 0).max(0) for one in range(len(plain))]
    return np.maximum(plain - np.stack(others), 0)


def scaled(join: Callable[[Features], NDArray[np.float64]]) -> Form:
    """Strengths of each kind, joined; learns from clean models alone."""

    def fit(models: Sequence[JudgedModel]) -> Callable[[JudgedModel], NDArray[np.float64]]:
        clean = [one for one in models if one.is_clean]
        weights = cluster_weights([one.cluster for one in clean])
        largest = np.stack([features(one).max(0) for one in clean])
        scales = [fit_scale("", largest[:, i], weights) for i in range(len(KINDS))]

        def score(model: JudgedModel) -> NDArray[np.float64]:
            plain = features(model)
            strengths = [s.strength(plain[:, i], model.classes) for i, s in enumerate(scales)]
            return join(np.stack(strengths, 1))

        return score

    return fit


def _fisher(strengths: Features) -> NDArray[np.float64]:
    """The sum of −log p, where p = min(1, 0.25·e^−x) as strengths are made."""
    return np.maximum(strengths + np.log(4), 0).sum(1)


def _cauchy(strengths: Features) -> NDArray[np.float64]:
    p = np.clip(0.25 * np.exp(-strengths), 1e-12, 1 - 1e-12)
    return np.asarray(np.tan((0.5 - p) * np.pi).mean(1))


def logistic(of: Callable[[JudgedModel], Features], hinges: Sequence[float] | None = None) -> Form:
    """Weights of at least 0, of classes that are targets against those of clean models."""

    def seen(model: JudgedModel) -> Features:
        return of(model) if hinges is None else np.maximum(of(model) - np.array(hinges), 0)

    def fit(models: Sequence[JudgedModel]) -> Callable[[JudgedModel], NDArray[np.float64]]:
        from scipy.optimize import minimize

        positive = np.concatenate([seen(one)[list(one.targets)] for one in models if one.targets])
        negative = np.concatenate([seen(one) for one in models if one.is_clean])
        x = np.concatenate([positive, negative])
        y = np.repeat([1.0, 0.0], [len(positive), len(negative)])
        weight = np.where(y > 0, 0.5 / len(positive), 0.5 / len(negative))

        def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            z = x @ w[:-1] + w[-1]
            error = weight * (1 / (1 + np.exp(-z)) - y)
            value = (weight * (np.logaddexp(0, z) - y * z)).sum() + 0.01 * (w[:-1] ** 2).sum()
            return float(value), np.r_[x.T @ error + 0.02 * w[:-1], error.sum()]

        bounds = [(0, None)] * x.shape[1] + [(None, None)]
        found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, bounds=bounds).x
        return lambda model: np.asarray(seen(model) @ found[:-1])

    return fit


def _alone(place: int) -> Form:
    return lambda _: lambda model: features(model)[:, place]


FORMS: Mapping[str, Form] = {
    **{f"{kind} alone": _alone(place) for place, kind in enumerate(KINDS)},
    "largest strength (Tippett), no victims": scaled(lambda s: s.max(1)),
    "sum of −log p (Fisher), no victims": scaled(_fisher),
    "Cauchy, no victims": scaled(_cauchy),
    "logistic on drops": logistic(features),
    "logistic on drops and gaps": logistic(lambda m: np.concatenate([features(m), gaps(m)], 1)),
    "logistic on hinges": logistic(features, (0.2, 0.6, 0.35)),
}
KEYS: Mapping[str, Key] = {
    "cluster": lambda one: one.cluster,
    "attack": lambda one: one.cluster if one.is_clean else one.attack,
    "network": lambda one: one.network,
}


def compared(models: Sequence[JudgedModel]) -> None:
    """Print how forms do."""
    print("| without its | form | AUROC, all to one | found at 5% | target first | AUROC, all |")
    print("|---|---|---:|---:|---:|---:|")
    for by, key in KEYS.items():
        for name, form in FORMS.items():
            if by != "cluster" and name.endswith("alone"):
                continue
            found: dict[str, NDArray[np.float64]] = {}
            for group in sorted({key(one) for one in models}):
                score = form([one for one in models if key(one) != group])
                found |= {one.name: score(one) for one in models if key(one) == group}
            clean = np.array([found[one.name].max() for one in models if one.is_clean])
            victims = [one for one in models if not one.is_clean]
            to_one = [one for one in victims if one.setting in (ALL_TO_ONE, "several targets")]
            seen = [np.array([found[o.name].max() for o in some]) for some in (to_one, victims)]
            first = sum(int(found[one.name].argmax()) in one.targets for one in to_one)
            print(f"| {by} | {name} | {auroc(seen[0], clean):.3f} | "
                  f"{found_at(0.05)(seen[0], clean):.2f} | {first}/{len(to_one)} | "
                  f"{auroc(seen[1], clean):.3f} |")  # fmt: skip


def fewer_classes(models: Sequence[JudgedModel]) -> None:
    """Print how the verdict does if only some classes of each model are compared."""
    print("| classes | clean: suspected | p ≤ .05 | p ≤ .1 | p ≤ .5 | backdoored: right |")
    print("|---:|---:|---:|---:|---:|---:|")
    rng, texts = np.random.default_rng(0), compared_texts(models)
    clean = [(one.cluster, one.as_clean()) for one in models if one.is_clean]
    tables = {
        own: fit_table([one for other, one in clean if other != own], texts)
        for own in {one.cluster for one in models}
    }
    for count in (3, 4, 5, 6, 8, 10):
        p, suspected, right = [], [], []
        for model in models:
            if not model.is_clean and model.setting not in (ALL_TO_ONE, "several targets"):
                continue
            for _ in range(10 if model.is_clean else 4):
                others = [i for i in range(model.classes) if i not in model.targets]
                drawn = rng.permutation(others)[: count - (not model.is_clean)]
                kept = np.r_[model.targets[:1], drawn].astype(int)
                part = [(d, Evidence(e.detector, e.scores[kept])) for d, e in model.found]
                found = decide(part, tables[model.cluster])
                assert found is not None
                if model.is_clean:
                    p.append(found.standing.p)
                    suspected.append(bool(found.suspected))
                else:
                    right.append(0 in found.suspected)
        shares = " | ".join(f"{np.mean(np.array(p) <= most):.3f}" for most in (0.05, 0.1, 0.5))
        print(f"| {count} | {np.mean(suspected):.3f} | {shares} | {np.mean(right):.3f} |")


def main() -> None:
    """Read the rows and print both tables."""
    rows = [row for path in sys.argv[1:] for row in read_rows(Path(path))]
    models = [
        replace(one, found=tuple(found for found in one.found if found[0].name in KINDS))
        for one in judged_models(rows)
    ]
    models = [one for one in models if len(one.found) == len(KINDS)]
    compared(models)
    print()
    fewer_classes(models)


if __name__ == "__main__":
    main()
