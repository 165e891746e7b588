"""The workflow in ``docs/github-action.yml``: its shell steps, run one after another on a scratch repository.

``gh`` is a stub that writes down what it is asked, and nothing is installed. GitHub itself has never run it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOW = Path(__file__).parents[3] / "docs" / "github-action.yml"
FLOW: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = FLOW["jobs"]["bill"]["steps"]
REQUEST = 'params = "1B"\ngpu = "H100"\ngpus = 8\ntokens = "{}"\n'
GH = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in
  *--paginate*) printf '%s' "$EXISTING" ;;
  *body=@*) cp "${*##*body=@}" "$POSTED" ;;
esac
"""


@dataclass
class Run:
    """What became of a pull request."""

    code: int
    failed: str
    said: str
    posted: str
    calls: list[str]


class Repository:
    """A repository with a base branch, and programs of its own before those of the machine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / "work"
        programs = folder / "bin"
        for each in (self.work, programs):
            each.mkdir()
        root = WORKFLOW.parents[1]
        here = f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(root))} exec {shlex.quote(sys.executable)} -m zenplan "$@"\n'
        for name, text in (("gh", GH), ("zenplan", here)):
            (programs / name).write_text(text, encoding="utf-8")
            (programs / name).chmod(0o755)
        self.env = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "ZENPLAN_PLUGINS": "",
            "ZENPLAN_TODAY": "2026-11-29",
            "CALLS": str(folder / "calls"),
            "POSTED": str(folder / "posted"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        done = subprocess.run(
            ["git", *who, *words], cwd=self.work, env=self.env, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        """The files, by their names with an underscore for the dot, in a commit; its hash."""
        for name, text in files.items():
            (self.work / name.replace("_", ".")).write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def pull_request(self, base: str, existing: str = "") -> Run:
        """The steps as a runner takes them: each in a shell of its own, to the first that fails."""
        temp = self.folder / "temp"
        temp.mkdir()
        outputs, summary = self.folder / "outputs", self.folder / "summary"
        outputs.touch()
        env = {
            **self.env,
            **{name: str(value) for name, value in FLOW["env"].items()},
            "RUNNER_TEMP": str(temp),
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_STEP_SUMMARY": str(summary),
            "EXISTING": existing,
        }
        code, failed, said = 0, "", ""
        for step in STEPS:
            if "run" not in step or step["name"] == "Install":
                continue
            known = {
                "github.event.pull_request.base.sha": base,
                "github.event.pull_request.number": "7",
                "github.token": "secret",
                "github.repository": "me/mine",
                **{f"steps.compare.outputs.{k}": v for k, v in map(_pair, outputs.read_text().splitlines())},
            }
            own = {name: _filled(str(value), known) for name, value in step.get("env", {}).items()}
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=self.work,
                env={**env, **own},
                capture_output=True,
                text=True,
                check=False,
            )
            said += done.stderr
            if done.returncode:
                code, failed = done.returncode, step["name"]
                break
        posted, calls = self.folder / "posted", self.folder / "calls"
        return Run(
            code=code,
            failed=failed,
            said=said,
            posted=posted.read_text(encoding="utf-8") if posted.exists() else "",
            calls=calls.read_text(encoding="utf-8").splitlines() if calls.exists() else [],
        )


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, value


def _filled(text: str, known: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], text)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_it_is_a_workflow_that_may_do_no_more_than_it_needs() -> None:
    # YAML 1.1 takes the key "on" for true.
    assert set(FLOW) == {"name", True, "permissions", "env", "jobs"}
    assert FLOW[True].keys() == {"pull_request"}
    assert FLOW["permissions"] == {"contents": "read", "pull-requests": "write"}
    for step in STEPS:
        assert ("uses" in step) != ("run" in step)
        # What others wrote reaches a shell as a variable, never as a part of the script.
        assert "${{" not in step.get("run", "")
        if "run" in step:
            assert subprocess.run(["bash", "-n", "-c", step["run"]], check=False).returncode == 0


@pytest.mark.slow
def test_a_request_that_grows_fails_and_says_so_once(repository: Repository) -> None:
    base = repository.commit(request_toml=REQUEST.format("10B"), policy_toml="max_usd = 1e6\n")
    repository.commit(request_toml=REQUEST.format("20B"), policy_toml="max_usd = 1e9\n")
    run = repository.pull_request(base, existing="42\n43\n")
    assert (run.code, run.failed, run.said) == (3, "Answer", "")
    assert run.posted.startswith("<!-- zenplan -->\n**Fails --fail-over. ")
    assert "| tokens | 10B | 20B |" in run.posted
    assert "repos/me/mine/issues/comments/42" in run.calls[-1]
    assert "--method PATCH" in run.calls[-1]
    assert len(run.calls) == 2
    assert (repository.folder / "summary").read_text(encoding="utf-8") == run.posted


@pytest.mark.slow
def test_a_plan_that_is_committed_is_compared_with(repository: Repository) -> None:
    zenplan = ["zenplan", "estimate", "--request", "request.toml", "--save", "plan.json"]
    repository.commit(request_toml=REQUEST.format("10B"))
    subprocess.run(zenplan, cwd=repository.work, env=repository.env, check=True, capture_output=True)
    base = repository.commit()
    repository.commit(request_toml=REQUEST.format("5B"))
    run = repository.pull_request(base)
    assert (run.code, run.failed, run.said) == (0, "", "")
    assert run.posted.startswith("<!-- zenplan -->\n**Passes --fail-over. ")
    assert "--method POST" in run.calls[-1]
    assert "repos/me/mine/issues/7/comments" in run.calls[-1]


@pytest.mark.slow
def test_the_first_plan_is_shown_and_held_to_the_policy_of_the_base(repository: Repository) -> None:
    base = repository.commit(policy_toml="max_usd = 1\n")
    repository.commit(request_toml=REQUEST.format("10B"), policy_toml="max_usd = 1e9\n")
    run = repository.pull_request(base)
    assert (run.code, run.failed, run.said) == (3, "Answer", "")
    assert "Fails max_usd" in run.posted
    assert "Training 1.00B parameters" in run.posted


@pytest.mark.slow
def test_a_request_that_is_wrong_ends_before_a_comment(repository: Repository) -> None:
    base = repository.commit(request_toml=REQUEST.format("10B"))
    repository.commit(request_toml=REQUEST.format("10B") + "colour = 3\n")
    run = repository.pull_request(base)
    assert (run.code, run.failed, run.calls) == (2, "Estimate", [])
    assert "request.toml, line 5: unknown key 'colour'" in run.said


@pytest.mark.slow
def test_a_request_that_misses_its_own_budget_is_compared(repository: Repository) -> None:
    base = repository.commit(request_toml=REQUEST.format("10B"))
    repository.commit(request_toml=REQUEST.format("10B") + "budget = 1\n")
    run = repository.pull_request(base)
    assert (run.code, run.said) == (0, "")
    assert "| budget | none | 1 |" in run.posted
