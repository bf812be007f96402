"""Whether less or more of a metric is better: by its name, unless an experiment's tag says so."""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Literal

from core.mlflow_api.nouns import Experiment

Direction = Literal["lower", "higher"]

TAG = "modeldeck.directions"
"""An experiment tag that holds a JSON object, metric → "lower" or "higher"."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOWER = _words(
    """loss losses error errors err mse rmse mae mape smape msle rmsle rmspe logloss nll perplexity
    ppl brier ece mce deviance divergence kl wer cer ter eer fid hinge crossentropy entropy bce ce
    latency duration time seconds fpr fnr regret distance wape mase pinball bic aic"""
)
_HIGHER = _words(
    """accuracy acc auc auroc aucroc auprc prauc ap map precision recall f1 fbeta sensitivity
    specificity tpr tnr r2 skill reward return returns bleu rouge meteor chrf iou miou dice jaccard
    kappa mcc gini ndcg mrr hits psnr ssim spearman pearson correlation corr throughput likelihood
    elbo silhouette lift ks winrate"""
)
_SCORE = _words("score scores")
"""More of them is better where no other word tells: a Brier score is an error."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|[a-z]*\d+|[A-Z]\d+")


def direction(metric: str, known: Mapping[str, Direction] | None = None) -> Direction | None:
    """Which way a metric is better; None where its name does not tell.

    Of several telling words the last one counts: ``accuracy_loss`` is a loss.

    Args:
        known: what was said of metrics by name; it goes before.
    """
    if known and metric in known:
        return known[metric]
    if "log_likelihood" in metric.lower() or "log-likelihood" in metric.lower():
        return "lower" if re.match(r"neg|n_", metric.lower()) else "higher"
    words = [w.lower() for w in _WORD.findall(metric)]
    pairs = [a + b for a, b in pairwise(words)]
    for word in [*reversed(words), *pairs]:
        if word in _LOWER:
            return "lower"
        if word in _HIGHER:
            return "higher"
    return "higher" if _SCORE & set(words) else None


def of_experiments(experiments: Iterable[Experiment]) -> dict[str, Direction]:
    """What the experiments' tags say; where two disagree the first one counts.

    A tag that cannot be read says nothing: anybody may write tags.
    """
    found: dict[str, Direction] = {}
    for experiment in experiments:
        for metric, way in read(experiment.tags.get(TAG, "")).items():
            found.setdefault(metric, way)
    return found


def read(text: str) -> dict[str, Direction]:
    """The directions that a tag's text holds; entries that are none are left out."""
    try:
        given = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(given, dict):
        return {}
    return {str(name): way for name, way in given.items() if way in ("lower", "higher")}


def write(directions: Mapping[str, Direction]) -> str:
    """The text of a tag that ``read`` reads back."""
    return json.dumps(dict(sorted(directions.items())), ensure_ascii=False)
