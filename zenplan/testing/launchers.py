"""What a launcher has to keep, as tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.launch.job import RENDEZVOUS, LaunchJob, Submission
from zenplan.errors import UsageError
from zenplan.protocols import Launcher
from zenplan.testing.border import taken

# What a shell, YAML, JSON and a template would take for something of their own.
ODD = 'it\'s "odd": $(touch pwned) $(HOME) `id` ${HOME} $$ %s {x} #no &a *b \\ ü; --x=1 | > y'
_JOBS: Mapping[str, Mapping[str, Any]] = {
    "one node": {"nodes": 1, "node_ranks": 8},
    "two nodes": {"nodes": 2, "node_ranks": 8},
    "spot": {"nodes": 2, "node_ranks": 8, "spot": True, "retries": 3},
    "one device": {"nodes": 1, "node_ranks": 1, "max_usd": None, "usd_per_h": None},
    "processors": {"nodes": 2, "node_ranks": 1, "accelerator": None},
}


@cache
def jobs() -> Mapping[str, LaunchJob]:
    """Jobs of several kinds by name: machines, devices, spot; none is the same in all, and each has odd texts."""
    sheet = next(each for each in read_accelerators() if each.name == "H100-SXM5-80GB")
    job = LaunchJob(
        name="run-7b",
        command=("zenplan", "train", "run.toml", "--out", "/shared/run-7b", "--autoresume", "--data", f"/shared/{ODD}"),
        files={"run.toml": '[train]\nmodel = "decoder"\nbackend = "torch"\n'},
        accelerator=sheet,
        provider="aws",
        region="us-east-1",
        environment={"PLAIN": "1", "ODD": ODD},
        run_folder="/shared/run-7b",
        requirements=("zenplan[train,torch]==0.1.0",),
        zenplan_version="0.1.0",
        plan_sha256="5f" * 32,
        max_duration_s=36_000.0,
        max_usd=1234.5,
        usd_per_h=39.2,
    )
    return {name: replace(job, **changes) for name, changes in _JOBS.items()}


class LauncherContract:
    """The tests. Derive a class of a name that begins with ``Test``, and give it a launcher.

    Attributes:
        launcher: that is tested.
        needs: fields of a job without which it runs none, as ``shared`` and ``volume``.
        refused: names of ``jobs`` that it cannot run, and says so.
        parse: a static method that reads its files back as the system would, into ``command``, ``environment``, ``nodes``
            and ``deadline_s`` of the job, or those of them that stand there; None where nobody reads them.
    """

    launcher: ClassVar[Launcher]
    needs: ClassVar[Mapping[str, Any]] = {}
    refused: ClassVar[tuple[str, ...]] = ()
    parse: ClassVar[Any] = None

    def _job(self, what: str) -> LaunchJob:
        if what in self.refused:
            pytest.skip("it cannot run that")
        return replace(jobs()[what], **self.needs)

    def test_it_is_a_launcher(self) -> None:
        """It has the members, and passes the border."""
        assert isinstance(self.launcher, Launcher)
        found = taken("zenplan_launchers", self.launcher)
        assert found.problems == ()
        assert [each.name for each in found.items] == [self.launcher.name]
        assert dict(found.items[0].write(self._job("one node"))) == dict(self.launcher.write(self._job("one node")))

    @pytest.mark.parametrize("what", _JOBS)
    def test_a_job_becomes_files(self, what: str) -> None:
        """With plain names and whole texts, the same each time."""
        job = self._job(what)
        files = self.launcher.write(job)
        assert files
        assert [name for name in files if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)] == []
        assert not files.keys() & {"launch.json", *job.files}
        assert [name for name, text in files.items() if type(text) is not str or not text.endswith("\n")] == []
        assert self.launcher.write(job) == files

    @pytest.mark.parametrize("what", _JOBS)
    def test_every_rank_has_its_rendezvous(self, what: str) -> None:
        """The five variables are set somewhere in its files."""
        text = "\n".join(self.launcher.write(self._job(what)).values())
        assert [name for name in RENDEZVOUS if not re.search(rf"\b{name}\b", text)] == []

    @pytest.mark.parametrize("what", _JOBS)
    def test_what_is_read_back_is_the_job(self, what: str) -> None:
        """Word by word: nothing that a user named becomes code."""
        parse = type(self).parse
        if parse is None:
            pytest.skip("it has no parse")
        job = self._job(what)
        found = parse(dict(self.launcher.write(job)))
        assert found
        wanted = {
            "command": list(job.command),
            "environment": dict(job.environment),
            "nodes": job.nodes,
            "deadline_s": job.deadline_s,
        }
        assert found == {name: wanted[name] for name in found}

    def test_what_it_cannot_run_is_an_error_of_the_user(self) -> None:
        """And an option that nobody knows is one too."""
        for what in self.refused:
            with pytest.raises(UsageError):
                self.launcher.write(replace(jobs()[what], **self.needs))
        with pytest.raises(UsageError):
            self.launcher.write(replace(self._job("one node"), options={"no such option!": "x"}))

    @pytest.mark.parametrize("what", _JOBS)
    def test_the_client_is_given_its_files(self, what: str) -> None:
        """A command of words, and how its client is got."""
        job = self._job(what)
        found: object = self.launcher.submit(job)
        assert isinstance(found, Submission)
        assert "/" not in found.command[0]
        assert {*found.command} & {".", *self.launcher.write(job)}, f"{found.command} names none of its files"
        assert found.install
