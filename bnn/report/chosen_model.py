"""Which model a page is about, and why: one line of what was chosen, and what came next."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any

from bnn.core import formatting
from bnn.core.plan import AGREEING_RHAT, LEAST_OF_NOISE, is_clear

FAMILY_WORDS = {
    "gaussian": "normal noise",
    "student_t": "Student-t noise",
    "heteroscedastic": "normal noise that depends on the inputs",
    "heteroscedastic_student_t": "Student-t noise that depends on the inputs",
    "log_normal": "log-normal",
    "heteroscedastic_log_normal": "log-normal with a spread that depends on the inputs",
    "logit_normal": "logit-normal",
    "heteroscedastic_logit_normal": "logit-normal with a spread that depends on the inputs",
    "poisson": "Poisson counts",
    "negative_binomial": "negative binomial counts",
    "hurdle": "zero or log-normal (hurdle)",
}
"""What the target is drawn from, by `likelihood.family`."""
TRANSFORM_WORDS = {"yeo_johnson": " on inputs whose long tails are compressed (Yeo–Johnson)"}
"""What is made of inputs, by `network.input_transform`; nothing if it is not here."""


def model_line(settings: Mapping[str, Any], tried: Sequence[Mapping[str, Any]]) -> str:
    """Say which model this is and why, in a line."""
    network, prior = settings["network"], settings["prior"]["weights"]
    factor = settings["prior"].get("output_factor", 1.0)
    hidden = " and ".join(formatting.count(size) for size in network["hidden"])
    net = f"a network of {hidden} {network['activation']} units" if hidden else "a linear model"
    is_class = settings["task"] == "classification"
    noise = "" if is_class else f", {FAMILY_WORDS[settings['likelihood']['family']]}"
    family = prior.get("family", "normal").replace("_", " ")
    inputs = TRANSFORM_WORDS.get(network.get("input_transform", "none"), "")
    model = f"{net}{inputs}{noise}, {family} prior of scale {_scales(prior['scale'], factor, hidden)}"
    if not tried:
        return f"{model}, as the config says"
    chosen, others = _compared(tried)
    second = min(others, key=lambda one: float(one["difference"]), default=None)
    runner_up = ""
    if second is not None:
        which = second["candidate"]
        net = "-".join(str(size) for size in which["hidden"])
        activation = which.get("activation", "tanh")
        of = "" if activation == chosen["candidate"].get("activation", "tanh") else f"{activation} "
        net = f"{net} {of}units" if net else "a linear model"
        noise = "" if is_class else f", {FAMILY_WORDS[which['family']]}"
        if (other := which.get("inputs", "none")) != chosen["candidate"].get("inputs", "none"):
            net += TRANSFORM_WORDS.get(other, " on inputs as they are")
        scales = _scales(which["scale"], which.get("output_factor", 1.0), which["hidden"])
        runner_up = (
            f"; runner-up: {net}{noise}, scale {scales}, with a log score {_apart(second)}"
            f"{_why_not(second, chosen)}"
        )
    n_tried = len({str(one["candidate"]) for one in tried})
    return f"{model}, chosen among {n_tried} on training rows left out{runner_up}"


def _scales(scale: float, output_factor: float, hidden: Sized) -> str:
    """Say of which scale weights are, and those of the output layer if it is another and not the only one."""
    if not hidden or output_factor == 1:
        return f"{scale * output_factor:g}"
    return f"{scale:g} ({scale * output_factor:g} of the output layer)"


def _compared(
    tried: Sequence[Mapping[str, Any]],
) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Return the candidate that was chosen in the end, and all that were compared with it itself."""
    # Of each step the one that was taken comes first, without a difference from itself.
    chosen = [one for one in tried if one["difference"] == 0 and one["error"] == 0]
    others: list[Mapping[str, Any]] = []
    is_final = False
    for one in tried:
        if one in chosen:
            is_final = one["candidate"] == chosen[-1]["candidate"]
        elif is_final and one["error"]:
            others.append(one)
    return chosen[-1], others


def _apart(second: Mapping[str, Any]) -> str:
    """Say how far the log score of the runner-up is from that of the chosen one."""
    side = "lower (worse)" if second["difference"] >= 0 else "higher (better)"
    return f"{abs(second['difference']):.3f} ± {second['error']:.3f} nats a row {side}"


def _why_not(second: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """Say that chains of a runner-up with a higher log score agreed less, where that is so."""
    # A linear model is never passed over for its chains.
    if (
        second["difference"] >= 0
        or None in (chosen["rhat"], second["rhat"])
        or not second["candidate"]["hidden"]
    ):
        return ""
    networks = [one["candidate"] | {"family": ""} for one in (chosen, second)]
    # Noise that varies has to be clearly better, whether its chains agree or not.
    if networks[0] == networks[1] and not is_clear(
        -second["difference"], second["error"], least=LEAST_OF_NOISE
    ):
        return ""
    # As far as they are told.
    if round(second["rhat"], 3) <= round(max(chosen["rhat"], AGREEING_RHAT), 3):
        return ""
    return (
        f", but chains that agree less (R-hat of short runs {second['rhat']:.3f}, of this one "
        f"{chosen['rhat']:.3f})"
    )
