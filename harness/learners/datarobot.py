"""Trains through a DataRobot project: data and work go to a server elsewhere."""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Run
from harness.learners.automl import folds, restore_python_generator, table_of
from harness.learners.growth import grow
from harness.learners.sklearn import expand

LABEL, WEIGHT, FOLD = "label", "weight", "fold"
METRIC = "LogLoss"
OLD_WAYS = ("Using an empty collection for 'allowed_methods'", "Passing a dict to DataFrame.from_records")
"""Warnings that urllib3 and pandas give about DataRobot's client."""
CREDENTIALS = (
    "model=datarobot needs credentials: set DATAROBOT_API_TOKEN and DATAROBOT_ENDPOINT (https://HOST/api/v2), "
    "or write them to ~/.config/datarobot/drconfig.yaml"
)


def datarobot(
    train: TrainSet, valid: EvalSet, run: Run, *, mode: Literal["quick", "auto", "comprehensive"], timeout_s: int
) -> Fit:
    """Fits the model with the best cross-validated log loss of a DataRobot autopilot over the training rows.

    Training rows with labels, and later the rows to predict without labels, are sent to the server that the
    credentials name; the credentials lie in the environment or in DataRobot's own file, never in the harness. The
    project is deleted when the fit is no longer used, or when the process ends. Folds are ours, so
    that no validation label is used; where DataRobot cross-validated no model, the first fold decides. Soft labels
    and weights as in sklearn.py. The server uses randomness of its own, so equal runs may differ. Each step may
    take `timeout_s` seconds. BadInput if the server refuses the credentials, TrialFailed if the work fails.
    """
    rows = grow(train, run)
    cases = expand(rows.y, rows.w)
    frame = table_of(rows.x).iloc[cases.row].copy()
    held = np.maximum(folds(train, rows, cases, run), 0)  # DataRobot holds out every row once.
    frame[LABEL], frame[WEIGHT], frame[FOLD] = [f"c{i}" for i in cases.y], cases.w, [f"f{fold}" for fold in held]
    with _connected() as client:
        project = client.Project.create(frame, project_name="gains-harness", max_wait=timeout_s)
        try:
            model, loss, tried = _modelled(client, project, mode, timeout_s)
        except BaseException:
            _delete(project.id)
            raise
    curve = {"step": float(tried), "loss": loss}
    run.log(curve)

    def predict(x: Rows) -> Float32[np.ndarray, "n k"]:
        return _predicted(project, model, x, train.k, timeout_s)

    weakref.finalize(predict, _delete, project.id)
    return Fit(predict, parameters=0, examples=len(rows), history=[curve])


def _modelled(client: Any, project: Any, mode: str, timeout_s: int) -> tuple[Any, float, int]:
    """Returns the best model once the autopilot is done, its log loss, and the number of models."""
    project.analyze_and_model(
        target=LABEL, mode=mode, metric=METRIC, max_wait=timeout_s,
        partitioning_method=client.UserCV(FOLD, cv_holdout_level=None),
        advanced_options=client.AdvancedOptions(weights=WEIGHT),
    )  # fmt: skip
    project.wait_for_autopilot(timeout=timeout_s, verbosity=client.enums.VERBOSITY_LEVEL.SILENT)
    models = project.get_model_records(with_metric=METRIC, limit=0)
    fair = [model for model in models if not model.is_trained_into_validation]
    for part in ("crossValidation", "validation"):
        scored = [(float(loss), model.id) for model in fair if (loss := model.metrics[METRIC].get(part)) is not None]
        if scored:
            loss, best = min(scored)
            return client.Model(id=best, project_id=project.id), loss, len(models)
    raise TrialFailed("DataRobot finished without a scored model")


def _predicted(project: Any, model: Any, x: Rows, k: int, timeout_s: int) -> Float32[np.ndarray, "n k"]:
    with _connected():
        uploaded = project.upload_dataset(table_of(x), max_wait=timeout_s)
        table = model.request_predictions(dataset_id=uploaded.id).get_result_when_complete(max_wait=timeout_s)
    table = table.sort_values("row_id")
    found = np.zeros((len(x), k), dtype=np.float32)
    for name in (name for name in table.columns if name.startswith("class_c")):
        found[:, int(name.removeprefix("class_c"))] = table[name]
    return found / found.sum(1, keepdims=True)


def _delete(project: str) -> None:
    """Deletes a project; if that fails, names it in a warning, because it keeps costing money."""
    try:
        with _connected() as client:
            client.Project(id=project).delete()
    except (TrialFailed, BadInput) as error:
        logging.getLogger(__name__).warning("the DataRobot project %s could not be deleted: %s", project, error)


@contextmanager
def _connected() -> Iterator[Any]:
    """Lends the `datarobot` package with the user's credentials to a block, and words its errors in one line.

    A refusal is never quoted in the client's own words, because they hold the token.
    """
    import datarobot as client
    from requests import RequestException

    wrong = client.errors
    failures = (
        wrong.AsyncTimeoutError, wrong.AsyncFailureError, wrong.AsyncProcessUnsuccessfulError,
        wrong.AsyncPredictionsGenerationError, RequestException, RuntimeError,
    )  # fmt: skip
    with restore_python_generator(), warnings.catch_warnings(), ExitStack() as stack:
        for ageing in OLD_WAYS:
            warnings.filterwarnings("ignore", ageing)
        try:
            _enter(stack, client)
            yield client
        except client.errors.AppPlatformError as error:
            if error.status_code in (401, 403):
                raise BadInput(f"DataRobot refuses the credentials (HTTP {error.status_code})") from None
            raise TrialFailed(f"DataRobot answered with HTTP {error.status_code}") from None
        except failures as error:
            said = str(error).splitlines()[0] if str(error) else "no message"
            raise TrialFailed(f"DataRobot: {type(error).__name__}: {said[:300]}") from None


def _enter(stack: ExitStack, client: Any) -> None:
    try:
        stack.enter_context(client.client.client_configuration(enable_api_consumer_tracking=False))
    except ValueError as error:  # No credentials, or a server with another version of the API.
        raise BadInput(f"{CREDENTIALS}. DataRobot's client says: {error}") from None
