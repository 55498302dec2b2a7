rule fit_baseline:
    input:
        data="results/{dataset}/data.nc",
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
        mem_mb=1000,
        runtime=30,
    params:
        settings=baseline_settings,
        code=code("fit_baseline.py"),
    message:
        "Training the ordinary networks and the linear model on {wildcards.dataset}"
    script:
        "../../scripts/fit_baseline.py"


rule sample_chain:
    input:
        data="results/{dataset}/data.nc",
    output:
        "results/{dataset}/chains/chain_{chains}.nc",
    log:
        "results/{dataset}/logs/sample_chain_{chains}.log",
    benchmark:
        "results/{dataset}/benchmarks/sample_chain_{chains}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        settings=sampler_settings,
        code=code("sample_chain.py"),
    message:
        "Sampling chain {wildcards.chains} of {wildcards.dataset}"
    script:
        "../../scripts/sample_chain.py"


use rule sample_chain as sample_scaled with:
    output:
        "results/{dataset}/sensitivity/prior_{factor}/chain_{chains}.nc",
    log:
        "results/{dataset}/logs/sample_prior_{factor}_{chains}.log",
    benchmark:
        "results/{dataset}/benchmarks/sample_prior_{factor}_{chains}.tsv"
    params:
        settings=scaled_sampler_settings,
    message:
        "Sampling chain {wildcards.chains} of {wildcards.dataset}, the scales of its prior times {wildcards.factor}"


rule combine:
    input:
        data="results/{dataset}/data.nc",
        chains=chain_files,
    output:
        "results/{dataset}/posterior.nc",
    log:
        "results/{dataset}/logs/combine.log",
    benchmark:
        "results/{dataset}/benchmarks/combine.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=settings("seed", "network", "likelihood"),
        code=code("combine.py"),
    message:
        "Putting the chains of {wildcards.dataset} together and predicting with every draw"
    script:
        "../../scripts/combine.py"
