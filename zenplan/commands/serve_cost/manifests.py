"""``--manifest``: the command or the file that serves the plan that was priced."""

from __future__ import annotations

from zenplan.domain.answer.serving import Serving
from zenplan.planning.serving.launch import compose, kubernetes, note, shell, trtllm_command, vllm_command


def manifest_of(found: Serving, kind: str, model: str | None = None) -> str:
    """The text of that kind for the recommended service.

    Args:
        found: what was priced.
        kind: ``vllm``, ``trtllm``, ``compose`` or ``kubernetes``.
        model: the repository or folder to load; None for the name that was priced, to be replaced.
    """
    best, traffic = found.best, found.wanted.traffic
    on, name = best.on, model or found.model.name
    limit = max(1, min(best.limit, on.batch_limit))
    trt = kind == "trtllm" or (kind != "vllm" and on.software == "TensorRT-LLM")
    command = (trtllm_command if trt else vllm_command)(name, on, traffic, limit)
    comments = [] if model else [f"# {name} is zenplan's name: put the repository or folder of your checkpoint there"]
    comments += [f"# {note(on)}"] if note(on) else []
    if kind == "compose":
        text = compose(command, on, round(best.replicas.mid))
    elif kind == "kubernetes":
        text = kubernetes(name, command, on, round(best.replicas.mid))
    else:
        text = shell(command)
    return "\n".join([*comments, text.rstrip("\n")])
