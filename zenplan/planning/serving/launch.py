"""Launch: the command that serves a plan with vLLM or TensorRT-LLM, and a manifest that runs it.

Flags as their documents have them: ``vllm serve`` (docs.vllm.ai, v0.5.3, Engine Arguments), ``trtllm-serve``
(nvidia.github.io/TensorRT-LLM/0.18.2/commands/trtllm-serve.html); both read on
30 November 2026. No command was ever started.
"""

from __future__ import annotations

import math
import re
import shlex
from typing import Final

from zenplan.domain.serving.deployment import Deployment, Traffic

PORT: Final = 8000
# Of a container, whose ports its manifest opens to the network of the cluster alone.
_ALL = "0.0.0.0"  # noqa: S104 - a server in a container is reached from outside of it
# The length is rounded up to so many tokens, which leaves room for a chat's template.
_STEP: Final = 256
_VLLM_IMAGE, _TRTLLM_IMAGE = "vllm/vllm-openai:latest", "nvcr.io/nvidia/tensorrt-llm/release:latest"
# How vLLM is told to quantise weights that are not: a checkpoint that is quantised says so itself.
_ONLINE: Final = {"fp8": "fp8"}
_CACHE: Final = {"fp8": "fp8", "bf16": "auto", "fp16": "auto", "int8": "auto"}


def longest(traffic: Traffic) -> int:
    """Tokens that a request may have, rounded up."""
    return math.ceil((traffic.input_tokens + traffic.output_tokens) / _STEP) * _STEP


def vllm_command(model: str, on: Deployment, traffic: Traffic, limit: int) -> tuple[str, ...]:
    """The words of ``vllm serve`` for a replica.

    Args:
        model: a repository or folder that vLLM can load.
        on: the replica.
        traffic: that it is planned for.
        limit: requests in flight at most.
    """
    words = ["vllm", "serve", model, "--tensor-parallel-size", str(on.tp)]
    if on.pp > 1:
        words += ["--pipeline-parallel-size", str(on.pp)]
    words += ["--max-model-len", str(longest(traffic)), "--max-num-seqs", str(limit)]
    words += ["--gpu-memory-utilization", f"{on.memory_share:g}", "--kv-cache-dtype", _CACHE[on.cache]]
    if on.weights in ("bf16", "fp16"):
        words += ["--dtype", {"bf16": "bfloat16", "fp16": "float16"}[on.weights]]
    elif on.weights in _ONLINE:
        words += ["--quantization", _ONLINE[on.weights]]
    return (*words, "--host", _ALL, "--port", str(PORT))


def trtllm_command(model: str, on: Deployment, traffic: Traffic, limit: int) -> tuple[str, ...]:
    """The words of ``trtllm-serve`` for a replica.

    Args:
        model, on, traffic, limit: as of ``vllm_command``.
    """
    words = ["trtllm-serve", model, "--tp_size", str(on.tp), "--pp_size", str(on.pp)]
    words += ["--max_seq_len", str(longest(traffic)), "--max_batch_size", str(limit)]
    words += ["--kv_cache_free_gpu_memory_fraction", f"{on.memory_share:g}"]
    return (*words, "--host", _ALL, "--port", str(PORT))


def note(on: Deployment) -> str:
    """What has to be true of the checkpoint; empty where any does."""
    if on.weights in ("bf16", "fp16", "fp32") or on.weights in _ONLINE:
        return ""
    return f"the checkpoint must be quantised to {on.weights}: name one that is"


def compose(command: tuple[str, ...], on: Deployment, replicas: int) -> str:
    """A docker-compose file of the replicas; the token of a model that has to be asked for comes from the environment.

    Args:
        command: as of ``vllm_command``.
        on, replicas: a replica's devices, and how many there are.
    """
    image, entry = _container(command)
    lines = ["# docker compose up", "services:", "  llm:", f"    image: {image}", f"    command: {_yaml_list(entry)}"]
    lines += ["    environment:", "      HF_TOKEN: ${HF_TOKEN:-}", "    ipc: host", "    deploy:"]
    lines += [f"      replicas: {replicas}", "      resources:", "        reservations:", "          devices:"]
    lines += [f"            - {{driver: nvidia, count: {on.devices}, capabilities: [gpu]}}"]
    lines += ["    expose:", f'      - "{PORT}"', "    healthcheck:"]
    lines += [f'      test: ["CMD", "curl", "-sf", "http://localhost:{PORT}/health"]', "      start_period: 10m"]
    return "\n".join(lines) + "\n"


def kubernetes(model: str, command: tuple[str, ...], on: Deployment, replicas: int) -> str:
    """A Deployment of the replicas and the Service before them.

    Args:
        model: after which both are named.
        command, on, replicas: as of ``compose``.
    """
    name, (image, entry) = _label(model), _container(command)
    probe = f"{{httpGet: {{path: /health, port: {PORT}}}, periodSeconds: 10}}"
    start = f"{{httpGet: {{path: /health, port: {PORT}}}, periodSeconds: 10, failureThreshold: 120}}"
    deployment = [
        *("# kubectl apply -f FILE", "apiVersion: apps/v1", "kind: Deployment", f"metadata: {{name: {name}}}", "spec:"),
        *(f"  replicas: {replicas}", f"  selector: {{matchLabels: {{app: {name}}}}}", "  template:"),
        *(f"    metadata: {{labels: {{app: {name}}}}}", "    spec:", "      containers:", "        - name: llm"),
        *(f"          image: {image}", f"          args: {_yaml_list(entry)}"),
        f"          ports: [{{containerPort: {PORT}}}]",
        "          env: [{name: HF_TOKEN, valueFrom: {secretKeyRef: {name: hf, key: token, optional: true}}}]",
        f'          resources: {{limits: {{nvidia.com/gpu: "{on.devices}"}}}}',
        *(f"          startupProbe: {start}", f"          readinessProbe: {probe}"),
        "          volumeMounts: [{name: shm, mountPath: /dev/shm}]",
        "      volumes: [{name: shm, emptyDir: {medium: Memory}}]",
    ]
    service = ["---", "apiVersion: v1", "kind: Service", f"metadata: {{name: {name}}}"]
    service += [f"spec: {{selector: {{app: {name}}}, ports: [{{port: {PORT}, targetPort: {PORT}}}]}}"]
    return "\n".join([*deployment, *service]) + "\n"


def _container(command: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The image, and what it is given: vLLM's image starts the server itself."""
    if command[0] == "vllm":
        return _VLLM_IMAGE, ("--model", *command[2:])
    return _TRTLLM_IMAGE, command


def _label(model: str) -> str:
    """A name that Kubernetes takes."""
    plain = re.sub(r"[^a-z0-9]+", "-", model.rpartition("/")[2].lower()).strip("-")
    return (f"llm-{plain}" if plain else "llm")[:63].rstrip("-")


def _yaml_list(words: tuple[str, ...]) -> str:
    # JSON's strings are YAML's.
    import json

    return "[" + ", ".join(json.dumps(word) for word in words) + "]"


def shell(words: tuple[str, ...]) -> str:
    """The words as a line for a shell."""
    return shlex.join(words)
