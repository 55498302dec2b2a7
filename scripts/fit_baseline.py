"""Train what the Bayesian network is compared with, on the same rows as the chains."""

from bnn.baselines.reference import fit_references
from bnn.core.plan import planned
from bnn.core.settings import BaselineSettings, LikelihoodSettings, NetworkSettings, build
from bnn.core.storage import write_netcdf
from bnn.data.dataset import Dataset
from bnn.jobs.interruption import job_log
from bnn.model.likelihoods import DirectLikelihood, n_outputs_without_noise
from bnn.model.posterior import make_likelihood, make_network
from bnn.model.targets import check_support, fit_target


def main(data_path, out_path, settings):
    """Write baseline.nc of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    out_path
        Where the predictions of all references go.
    settings
        Sections `seed`, `network`, `likelihood` and `baseline` of the dataset's config, and `n_members`.
    """
    dataset = Dataset.load(data_path)
    chosen = build(NetworkSettings, settings["network"])
    likelihood = build(LikelihoodSettings, settings["likelihood"])
    target = None
    if dataset.task == "regression":
        unit = {"mean": dataset.target_mean, "scale": dataset.target_scale}
        exposure = dataset.log_exposure_train
        values, rows = dataset.original_target("test"), dataset.row_numbers("test")
        check_support(likelihood.family, values, column=dataset.target_name, rows=rows)
        target = fit_target(likelihood.family, dataset.y_train, **unit, log_exposure=exposure)
    family = make_likelihood(likelihood, n_classes=dataset.n_classes, target=target)
    network = make_network(
        chosen.in_numpy(),
        dataset.x_train,
        n_outputs=n_outputs_without_noise(family),
        has_offset=dataset.has_exposure,
    )
    variables, attributes = fit_references(
        dataset,
        network,
        build(BaselineSettings, settings["baseline"]),
        seed=settings["seed"],
        n_members=settings["n_members"],
        target=target,
        likelihood=family if isinstance(family, DirectLikelihood) else None,
    )
    write_netcdf(out_path, variables, attributes)
    print(f"{dataset.name}: best epoch {attributes['best_epoch']} of {attributes['epochs']}")


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"fit_baseline {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.output[0],
            planned(snakemake.params.settings, snakemake.input.plan),
        )
