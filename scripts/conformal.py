"""Fit without each fold of the training rows in turn, and score how far out its rows lie, for conformal calibration."""

from bnn.core.plan import planned
from bnn.core.settings import ModelSettings, build
from bnn.core.storage import write_json
from bnn.data.dataset import Dataset
from bnn.jobs.interruption import job_log
from bnn.posterior.predictor import target_of
from bnn.selection.conformal import N_FOLDS, conformity_scores


def main(data_path, json_path, settings):
    """Write conformal.json of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    json_path
        Where the scores go.
    settings
        Sections `seed`, `network`, `prior` and `likelihood` of the dataset's config.
    """
    dataset = Dataset.load(data_path)
    model = build(ModelSettings, settings)
    scores = conformity_scores(
        dataset.x_train,
        dataset.y_train,
        n_classes=dataset.n_classes,
        settings=model,
        seed=settings["seed"],
        target=target_of(dataset, model.likelihood),
        in_order=dataset.in_order,
        groups=dataset.group_train,
    )
    write_json(json_path, {"n_folds": N_FOLDS, "scores": scores})
    print(
        f"{dataset.name}: {len(scores)} rows in {N_FOLDS} folds, {(scores > 1).sum()} of them beyond all draws"
    )


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"conformal {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.output[0],
            planned(snakemake.params.settings, snakemake.input.plan),
        )
