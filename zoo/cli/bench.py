"""The command `zoo bench`: train named recipes on virtual devices and compare them."""

from pathlib import Path

import click

from zoo.cli.options import PATH, json_option, one_thread


@click.command(short_help="Compare named recipes on virtual amps.", epilog="Example: zoo bench --out bench --steps 400")
@click.option("--out", type=PATH, default=Path("bench"), show_default=True, help="Folder for takes and runs.")
@click.option("--steps", type=click.IntRange(1, 10_000_000), default=400, show_default=True, help="Steps of every run.")
@click.option("--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Trainings of every recipe.")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Only this device: amp, pedal or preamp.")
@click.option("--recipe", "recipes", multiple=True, metavar="NAME", help="Only this recipe. May be repeated.")
@json_option
def bench(out: Path, steps: int, seeds: int, devices: tuple[str, ...], recipes: tuple[str, ...], as_json: bool) -> None:
    """Train named recipes on virtual devices, and show the leaderboard of held errors.

    Our recipes train with the defaults, those of other projects as they publish (Adam, recorded takes alone). The same
    command resumes an interrupted benchmark.
    """
    from search.bench import BenchPlan, bench_to_json, run_bench
    from zoo.cli import output
    from zoo.cli.views.bench import show_bench

    one_thread()
    default, given = BenchPlan(), tuple(range(seeds))
    plan = BenchPlan(devices or default.devices, recipes or default.recipes, steps, given)
    with output.progress("benchmark", "runs") as bar:
        rows = run_bench(plan, out, bar)
    if as_json:
        output.data_json(bench_to_json(plan, rows))
    else:
        show_bench(plan, rows)
