# The entry of those who cloned this repository. The workflow itself is where other workflows and Snakemake's catalog look
# for it.
include: "workflow/Snakefile"


# Of what is included Snakemake takes no default: without this it would find nothing to do.
rule everything:
    default_target: True
    input:
        rules.all.input,
