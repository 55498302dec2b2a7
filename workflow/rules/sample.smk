rule choose:
    input:
        data="results/{dataset}/data.nc",
    output:
        # It is there to be read when the job begins: what has not changed is not measured again.
        update("results/{dataset}/plan.json"),
    log:
        "results/{dataset}/logs/choose.log",
    benchmark:
        "results/{dataset}/benchmarks/choose.tsv"
    priority: 1
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("choose"),
        runtime=minutes(60),
    params:
        settings=choice_settings,
        budget=budget,
        code=code(
            "choose.py",
            "selection",
            "diagnostics/__init__.py",
            "diagnostics/mixing.py",
            "model",
            "mcmc",
            "data",
        ),
    message:
        "Choosing what the config leaves open for {wildcards.dataset}"
    script:
        "../../scripts/choose.py"


rule fit_baseline:
    input:
        data="results/{dataset}/data.nc",
        plan=plan_file,
    output:
        "results/{dataset}/baseline.nc",
    log:
        "results/{dataset}/logs/fit_baseline.log",
    benchmark:
        "results/{dataset}/benchmarks/fit_baseline.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("fit_baseline"),
        runtime=minutes(30),
    params:
        settings=baseline_settings,
        code=code("fit_baseline.py", "baselines", "data", "model"),
    message:
        "Training the baseline networks, the linear model and gradient boosting on {wildcards.dataset}"
    script:
        "../../scripts/fit_baseline.py"


rule sample_chain:
    input:
        data="results/{dataset}/data.nc",
        plan=plan_file,
    output:
        "results/{dataset}/chains/chain_{chains}.nc",
    log:
        "results/{dataset}/logs/sample_chain_{chains}.log",
    benchmark:
        "results/{dataset}/benchmarks/sample_chain_{chains}.tsv"
    # The longest jobs first: the short ones then fill the cores that the last chains leave idle.
    priority: 1
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("sample_chain"),
        runtime=minutes(240),
        # Here and not among the parameters, because a change of it must not run a chain again.
        checkpoint_seconds=lambda wildcards: f"{DATASETS[wildcards.dataset]['sampler']['checkpoint_seconds']:g}",
    params:
        settings=sampler_settings,
        limits=limits,
        # Not an output: Snakemake deletes the outputs of a job that fails.
        checkpoint=lambda wildcards, output: str(state_folder(output[0])),
        code=code(
            "sample_chain.py",
            "model",
            "mcmc",
            "jobs/chain_job.py",
            "jobs/checkpoint.py",
            "jobs/rounds.py",
            "diagnostics/__init__.py",
            "diagnostics/mixing.py",
        ),
    message:
        "Sampling chain {wildcards.chains} of {wildcards.dataset}"
    script:
        "../../scripts/sample_chain.py"


rule combine:
    input:
        data="results/{dataset}/data.nc",
        plan=plan_file,
        chains=chain_files,
    output:
        posterior="results/{dataset}/posterior.nc",
    log:
        "results/{dataset}/logs/combine.log",
    benchmark:
        "results/{dataset}/benchmarks/combine.tsv"
    wildcard_constraints:
        dataset=names_that_keep("both"),
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("combine"),
        runtime=minutes(30),
    params:
        settings=settings("seed", "network", "likelihood"),
        keep=lambda wildcards: DATASETS[wildcards.dataset]["sampler"]["keep"],
        code=code("combine.py", "posterior", "data", "model"),
    message:
        "Putting the chains of {wildcards.dataset} together and predicting with every draw"
    script:
        "../../scripts/combine.py"


use rule combine as combine_and_keep_a_part with:
    output:
        posterior="results/{dataset}/posterior.nc",
        working=temp("results/{dataset}/working.nc"),
    wildcard_constraints:
        dataset=names_that_keep("predictions", "weights"),
