"""Choose what the config leaves open, on the training rows alone."""

from bnn.core.storage import write_json
from bnn.data.dataset import Dataset
from bnn.jobs.interruption import job_log
from bnn.selection.budget import Budget
from bnn.selection.plan import make_plan
from bnn.selection.race import Unit


def main(data_path, plan_path, settings, budget):
    """Write plan.json of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    plan_path
        Where the plan goes.
    settings
        Sections `seed`, `network`, `prior`, `likelihood` and `sampler` of the dataset's config.
    budget
        Number of chains, chains to a job, and core-minutes, where the length of chains is open; else None.
    """
    dataset = Dataset.load(data_path)
    plan = make_plan(
        dataset.x_train,
        dataset.y_train,
        n_classes=dataset.n_classes,
        settings=settings,
        budget=None if budget is None else Budget(**budget),
        unit=Unit(
            dataset.target_mean,
            dataset.target_scale,
            dataset.target_mean + dataset.target_scale * dataset.y_test,
        ),
        in_order=dataset.in_order,
        groups=dataset.group_train,
    )
    write_json(plan_path, plan)
    for one in plan["tried"]:
        print(
            f"{one['candidate']}: log score {one['log_score']:.4f}, behind by {one['difference']:.4f} "
            f"+- {one['error']:.4f}, folds {one['n_folds']}, R-hat of two chains "
            f"{'-' if one['rhat'] is None else format(one['rhat'], '.3f')}"
        )
    if "sampler" in plan["settings"]:
        print(f"{dataset.name}: at most {plan['settings']['sampler']['most_gradients']} gradients a chain")


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"choose {snakemake.wildcards.dataset}"):
        main(snakemake.input.data, snakemake.output[0], snakemake.params.settings, snakemake.params.budget)
