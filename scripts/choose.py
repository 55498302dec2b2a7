"""Choose what the config leaves open, on the training rows alone."""

from bnn.core.plan import kept_plan
from bnn.core.storage import content_digest, write_json
from bnn.data.dataset import Dataset
from bnn.jobs.interruption import job_log
from bnn.selection.budget import Budget
from bnn.selection.plan import make_plan
from bnn.selection.race import Unit


def main(data_path, plan_path, settings, budget, code):
    """Write plan.json of one dataset; one that is there stays where nothing has changed that it was made with.

    What a core does in a minute is measured, and is another number each time: chains would be drawn again.

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
    code
        Digest of the code that makes a plan.
    """
    dataset = Dataset.load(data_path)
    x, y, groups = dataset.x_train, dataset.y_train, dataset.group_train
    beside = dataset.original_target("test")
    rows = {"x": x, "y": y, "groups": groups, "beside": beside, "scale": float(dataset.target_scale)}
    rows |= {"in_order": dataset.in_order, "n_classes": dataset.n_classes}
    made_with = content_digest({"settings": settings, "budget": budget, "code": code, **rows})
    plan = kept_plan(plan_path, made_with)
    if plan is None:
        plan = make_plan(
            x,
            y,
            n_classes=dataset.n_classes,
            settings=settings,
            budget=None if budget is None else Budget(**budget),
            unit=Unit(dataset.target_mean, dataset.target_scale, beside, dataset.log_exposure_train),
            in_order=dataset.in_order,
            groups=groups,
        )
    else:
        print("The plan is kept: rows, config and code are those that it was made with.")
    write_json(plan_path, plan | {"made_with": made_with})
    for one in plan["tried"]:
        which = one["candidate"]
        units = "-".join(map(str, which["hidden"]))
        network = f"{units} {which['activation']} units" if units else "no hidden units"
        print(
            f"{network}, scale {which['scale']:g}, output factor "
            f"{which['output_factor']:g}, {which['family']}, inputs {which['inputs']}: "
            f"log score {one['log_score']:.4f}, behind by {one['difference']:.4f} "
            f"+- {one['error']:.4f}, folds {one['n_folds']}, R-hat of two chains "
            f"{'-' if one['rhat'] is None else format(one['rhat'], '.3f')}"
        )
    if "sampler" in plan["settings"]:
        print(f"{dataset.name}: at most {plan['settings']['sampler']['most_gradients']} gradients a chain")


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"choose {snakemake.wildcards.dataset}"):
        params = snakemake.params
        main(snakemake.input.data, snakemake.output[0], params.settings, params.budget, params.code)
