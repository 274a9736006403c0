"""The commands `zoo search` and `zoo board`: run a search, show its trials."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.core.errors import NotFound, UserError, shell_words
from zoo.cli.errors import WrongUsage
from zoo.cli.options import PATH, json_option, repeat_command, require_packages, zoo_option
from zoo.cli.watch import watch

if TYPE_CHECKING:
    from search.config.study import SearchConfig
    from search.study.warm_start import AmpProfile, WarmSource

FOLLOW_S = 2.0  # seconds between two reads of a ledger


def check_is_no_word(context: click.Context, parameter: click.Parameter, config: Path) -> Path:
    """Return the config. Raises `NotFound` for a plain word, which other tools' `search` looks for in a catalog."""
    if config.suffix or config.exists() or len(config.parts) > 1:
        return config
    raise NotFound(
        f"there is no search config '{config}'; zoo search trains models",
        f"To look for amps: zoo list {shell_words(config)}",
    )


@click.command(short_help="Search for the best model.", epilog="Example: zoo search SEARCH.json --out studies/mine")
@click.argument("config", type=PATH, callback=check_is_no_word)
@click.option("--out", type=PATH, help="The study folder. Default: studies/NAME.")
@click.option("--resume", is_flag=True, help="Resume an interrupted study.")
@click.option(
    "--budget",
    metavar="TRIALS|TIME",
    help="Number of trials, or the time of the whole search: 24, 90s, 30m, 2h. Default: what the config states.",
)
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="STUDY|PACKAGE|SHELF|zoo:[OWNER[/AMP]]",
    help="Start from the best models of these; 'zoo:' means all amps of --zoo. No effect with --resume.",
)
@zoo_option
@click.option("--local", is_flag=True, help="Run one trial after the other in this process, without Ray.")
@click.option("--address", help="Join a running Ray cluster: 'auto', host:port or ray://host:10001.")
@click.option("--submit", metavar="URL", help="Submit the search to a Ray cluster as a job: http://head:8265.")
@click.option(
    "--storage",
    metavar="URI",
    help="An s3:// or gs:// address that gets a copy of the study; or a folder shared by all nodes, for checkpoints.",
)
@json_option
def search(
    config: Path,
    out: Path | None,
    resume: bool,
    budget: str | None,
    sources: tuple[str, ...],
    where: str | None,
    local: bool,
    address: str | None,
    submit: str | None,
    storage: str | None,
    as_json: bool,
) -> None:
    """Search for the best model of one or several amps.

    CONFIG names takes and what to try. zoo init writes one beside your takes; configs/quickstart/search.json is an
    example, docs/guides/search.md describes it.
    """
    from models.core.locations import is_uri
    from zoo.cli import output

    require_packages("torch", "ray", "optuna")
    if sum(map(bool, (local, address, submit))) > 1:
        raise WrongUsage("give only one of --local, --address and --submit", "A search runs in one place.")
    if out and re.match(r"\w\w+:/", out.as_posix()):
        raise UserError(
            f"--out is {out}, but a study is a folder on this machine", "To copy it to a URI as well: --storage URI."
        )
    from search.config.study import read_search
    from search.study.beginning import check_beginning, check_manifests

    read = read_search(config)  # what is wrong without a look at audio is told before heavy libraries are imported
    read = read if budget is None else _with_budget(read, budget)
    study = out or Path("studies") / read.name
    if not submit and not (address or "").startswith("ray://"):  # otherwise paths are those of the cluster
        check_manifests(read)
        if not (storage and is_uri(storage)):  # otherwise the study may be there
            check_beginning(read, study, resume, config)

    from search.run_options import RunOptions
    from zoo.cli.views import board as board_view

    if not resume:
        read = read_warm_start(read, sources, where) if sources else read
    if submit:
        output.info(f"handing the search to {submit}")
        from search.launch.ray_jobs import submit_job

        output.data(submit_job(submit, read, study, resume=resume, storage=storage))
        return
    again = repeat_command(("sources", "where"), out=study, resume=True)
    how = RunOptions(resume=resume, local=local, address=address, storage=storage, config_file=config)
    board = watch(read, study, again, how)
    if as_json:
        output.data_json(board.to_json())
    else:
        board_view.show_board(board)
        output.info(f"report: {study / 'report.html'}")
        _show_best_runs(study)


def _show_best_runs(study: Path) -> None:
    """Print the run folder of the best trial for each amp; before them the way to a package, or why there is none."""
    from models.artifacts.evaluation import read_evaluation
    from search.study.board import best_runs
    from zoo.cli import output
    from zoo.package.finished_run import publishing_fault

    runs = best_runs(study)
    faults = {run.name: fault for run in runs if (fault := publishing_fault(read_evaluation(run)))}
    for amp, fault in faults.items():
        output.info(f"{amp} should not be published, and zoo package refuses it: {fault}")
    if not faults:
        output.info(f"next: zoo package {shell_words(study)} --license LICENSE")
    for run in runs:
        output.data(str(run))


def _with_budget(read: "SearchConfig", budget: str) -> "SearchConfig":
    """Return the search with what `--budget` says; raises `WrongUsage` for what is no budget."""
    try:
        return read.with_budget(budget)
    except UserError as problem:
        raise WrongUsage(f"--{problem.message}", problem.hint) from None


@click.command(short_help="Show the trials of a study.", epilog="Example: zoo board studies/mine --sort cost --top 10")
@click.argument("study", type=PATH)
@click.option("--follow", is_flag=True, help="Keep running and show each trial when it ends.")
@click.option(
    "--sort",
    type=click.Choice(
        ["trial", "esr", "cost", "held", "knobs", "state", "steps", "layers", "rate"], case_sensitive=False
    ),
    metavar="COLUMN",
    help="Order of the trials, the smallest first: trial (in which they started), esr, cost, held, knobs, state, "
    "steps, layers or rate. Default: those that ended, by esr.",
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show the first N trials only.")
@json_option
def board(study: Path, follow: bool, sort: str | None, top: int | None, as_json: bool) -> None:
    """Show the trials of a study and its Pareto front, also while it runs."""
    from search.study.lock import is_driven, is_starting
    from search.study.summary import current_board
    from zoo.cli import output
    from zoo.cli.views import board as board_view

    if as_json and (sort or top):
        raise WrongUsage("--sort and --top are for the table", "Leave out --json, or sort the document's trials.")
    if not as_json and is_starting(study):
        output.info("the search is loading recordings; no trial has started")
        if not follow:
            return
        while is_starting(study):
            time.sleep(FOLLOW_S)
    if as_json or not follow:
        driven, found = is_driven(study), current_board(study)
        if as_json:
            output.data_json(found.to_json())
            return
        board_view.show_board(found, sort, top, driven=driven)
        if not driven and not found.complete:
            output.info("the search was interrupted: zoo search CONFIG --resume continues it")
        return
    with output.live_table() as show:
        known: set[str] = set()
        while True:
            driven, found = is_driven(study), current_board(study)
            ended = [trial for trial in found.trials if trial.has_ended and trial.trial not in known]
            known |= {trial.trial for trial in ended}
            show(
                *board_view.board_table(found, sort, top, driven=driven),
                [board_view.trial_sentence(trial) for trial in sorted(ended, key=lambda trial: trial.number)],
            )
            if found.complete:
                return
            time.sleep(FOLLOW_S)


def read_warm_start(config: "SearchConfig", sources: tuple[str, ...], where: str | None) -> "SearchConfig":
    """Return the search with the results of `sources` as its warm start; of a whole zoo, those of the nearest amps.

    Say how many models they are, and of which sources.
    """
    from models.core.scratch import scratch_folder
    from search.study.warm_start import amp_of, with_warm_start
    from zoo.cli import output
    from zoo.cli.views import words

    try:
        amp = amp_of(config)
    except UserError as problem:  # the takes may be only where the search will run
        amp = None
        output.warn(f"--from is used in the given order, not the nearest amps first: {problem.message}")
    with scratch_folder() as folder:
        found = {source: _read_sources(config, source, where, amp, folder) for source in sources}
    warm = with_warm_start(config, [one for read in found.values() for one in read], amp)
    taken = {config.identity(point) for point in warm.warm}
    of = [
        source
        for source, read in found.items()
        if any(config.identity(point) in taken for one in read for point in one.points)
    ]
    parts = [f"{words.count(taken, 'model')} of {words.first_names(of, ' and ')}"] if of else []
    parts += [f"none of {source}" for source in found if source not in of]
    output.info(f"the search begins with {', '.join(parts)}")
    return warm


def _read_sources(
    config: "SearchConfig", source: str, where: str | None, amp: "AmpProfile | None", folder: Path
) -> "list[WarmSource]":
    """Read what one `--from` names: a study or package, an amp of the zoo, or a whole shelf or zoo."""
    from models.core.user_folders import expand_home
    from search.study.warm_start import read_source
    from zoo.cli import output
    from zoo.registry.nearest import collect_amps, is_shelf
    from zoo.registry.resolve import FetchOptions, resolve_package

    scope, in_zoo = source.removeprefix("zoo:"), source.startswith("zoo:")
    if in_zoo and "/" in scope:
        return [read_source(config, resolve_package(scope, FetchOptions(where, on_warning=output.warn)))]
    if not in_zoo and not is_shelf(expand_home(source)):
        return [read_source(config, expand_home(source))]
    owner, shelf = (scope, where) if in_zoo else ("", source)
    with output.progress("reading") as bar:
        near = collect_amps(owner, shelf, amp.knobs if amp else None, folder, output.info, bar)
    found = []
    for place in near:
        try:
            found.append(read_source(config, place))
        except UserError as problem:
            output.warn(problem.message)
    return found
