"""The command ``jaxrl-evolve``: a thin layer over the library, one function per subcommand.

Settings come from dataclasses (`arguments.py`, `config.py`). Wrong usage ends with one sentence and exit
code 2, a failure with one sentence and exit code 1; an interrupt saves first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxrl_evolve.command.arguments import (
    Devices,
    EvaluateArguments,
    ListArguments,
    MetaSweepSpace,
    Output,
    RenderArguments,
    ReportArguments,
    ResumeArguments,
    SweepSpace,
)
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.training.config import TrainConfig

USAGE_ERROR, FAILURE = 2, 1
_SIGNAL_EXIT = {"SIGINT": 130, "SIGTERM": 143}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    from jaxrl_evolve.training import hosts

    return hosts.leave(_main(list(sys.argv[1:] if arguments is None else arguments)))


def _main(words: list[str]) -> int:
    import jax

    from jaxrl_evolve.storage.checkpoint import CheckpointError
    from jaxrl_evolve.training import hosts
    from jaxrl_evolve.training.train import Diverged, Interrupted

    try:
        try:
            with _warnings_as_sentences():
                code = _dispatch(words)
        except (Diverged, Interrupted):
            hosts.part()  # all processes come to this together
            raise
        hosts.part()
        return code
    except CheckpointError as error:
        return _complain(error, FAILURE)
    except ValueError as error:
        return _complain(error, USAGE_ERROR)
    except (Diverged, OSError, ImportError) as error:
        return _complain(error, FAILURE)
    except jax.errors.JaxRuntimeError as error:  # the device gave up, usually for want of memory
        hint = (
            "; --group N holds fewer seeds on the device at a time"
            if "RESOURCE_EXHAUSTED" in str(error)
            else ""
        )
        return _complain(f"{str(error).partition(chr(10))[0]}{hint}", FAILURE)
    except Interrupted as error:
        return _complain(error, _SIGNAL_EXIT.get(error.signal, FAILURE))
    except KeyboardInterrupt:
        return _complain("interrupted", _SIGNAL_EXIT["SIGINT"])
    except SystemExit as exit:  # tyro's: 0 after --help, 2 after wrong usage
        return exit.code if isinstance(exit.code, int) else USAGE_ERROR


@contextlib.contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """The library's own warnings as one line each, without the place in the code that Python adds."""
    from jaxrl_evolve.objectives import HorizonWarning
    from jaxrl_evolve.objectives.kinds import RenamedWarning

    ours, told = (HorizonWarning, RenamedWarning), set[str]()
    with warnings.catch_warnings():
        for category in ours:
            warnings.simplefilter("always", category)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, ours):
                if str(message) not in told:
                    print(f"jaxrl-evolve: {message}", file=sys.stderr)
                told.add(str(message))
            else:
                usual(message, category, *place)

        warnings.showwarning = show
        yield


def _complain(error: object, code: int) -> int:
    print(f"jaxrl-evolve: {error}", file=sys.stderr)
    return code


_HELP = """usage: jaxrl-evolve COMMAND …

  train ALGORITHM --env NAME --out FOLDER   train every seed side by side
  resume FOLDER                             continue an interrupted run, sweep, meta-training or meta-test
  evaluate FOLDER                           evaluate trained agents
  sweep ALGORITHM --env NAME --out FOLDER   train over a grid or random draws of settings
  report FOLDER… --out FOLDER               compare finished runs
  list                                      name environments, algorithms and objectives
  render FOLDER                             draw an episode as a GIF
  meta-train OBJECTIVE --env NAME --out FOLDER  improve a learned objective
  meta-test --objectives O… --out FOLDER    compare learned objectives with each other and with baselines
  meta-sweep OBJECTIVE --env NAME --out FOLDER  meta-train over meta-seeds and a grid of settings

jaxrl-evolve COMMAND --help explains a command."""


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_HELP)
        return 0
    if words[0] == "--version":
        from jaxrl_evolve import __version__

        print(__version__)
        return 0
    commands = {
        "train": _train,
        "resume": _resume,
        "evaluate": _evaluate,
        "sweep": _sweep,
        "report": _report,
        "list": _list,
        "render": _render,
        "meta-train": _meta_train,
        "meta-test": _meta_test,
        "meta-sweep": _meta_sweep,
    }
    if words[0] not in commands:
        raise ValueError(f"command is {words[0]!r}, which is not known: {suggestion(words[0], commands)}")
    return commands[words[0]](words[1:])


def _start(devices: Devices) -> None:
    """Settings of jax that must come before its first use."""
    import jax

    from jaxrl_evolve._cpu import use_all_cores

    use_all_cores()
    if devices.coordinator:
        from jaxrl_evolve.training import hosts

        hosts.join(devices.coordinator, devices.processes, devices.process_id)
    if devices.cache == "off" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(devices.cache or Path(home) / "jaxrl_evolve" / "compiled")
    # The user's own folder: entries are executable, so it must not be one that others can write.
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _settings(command: str, words: list[str], *extra: tuple[str, type, Any]) -> Any:
    """Parse ``ALGORITHM`` and the settings of a run, whose defaults are the environment's preset."""
    from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS, find_algorithm
    from jaxrl_evolve.settings import plugins

    algorithms = plugins.names(plugins.ALGORITHMS, BUILTIN_ALGORITHMS)
    if not words or words[0].startswith("-"):
        if not {"-h", "--help"} & set(words):
            raise ValueError(
                f"{command} needs an algorithm: {command} {'|'.join(algorithms)} --env NAME --out FOLDER"
            )
        words = ["ppo", *words]
    algorithm = find_algorithm(words[0])
    env = _option(words, "--env")
    helping = bool({"-h", "--help"} & set(words))
    if env is None and not helping:
        raise ValueError(f"{command} needs an environment: --env NAME (`jaxrl-evolve list` names all)")
    kind = TrainConfig[algorithm.config, algorithm.hp]
    default = TrainConfig.preset(words[0], env or "CartPole-v1")
    return _parse(command, words, kind, default, algorithm.summary, *extra)


def _parse(
    command: str, words: list[str], kind: Any, default: Any, description: str, *extra: tuple[str, type, Any]
) -> Any:
    """Words after a command's subject as its output, configuration and devices."""
    flat = lambda t: Annotated[t, tyro.conf.arg(name="")]
    fields = [
        ("config", flat(kind), dataclasses.field(default=default)),
        *((name, flat(t), dataclasses.field(default=d)) for name, t, d in extra),
        ("devices", flat(Devices), dataclasses.field(default=Devices())),
    ]
    arguments = dataclasses.make_dataclass(
        "Arguments", [("output", flat(Output)), *fields], frozen=True, kw_only=True
    )
    return tyro.cli(
        arguments, prog=f"jaxrl-evolve {command} {words[0]}".rstrip(), args=words[1:], description=description
    )


def _option(words: list[str], name: str) -> str | None:
    for i, word in enumerate(words):
        if word == name and i + 1 < len(words):
            return words[i + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _train(words: list[str]) -> int:
    arguments = _settings("train", words)
    _start(arguments.devices)
    return _run(arguments.config, arguments.output)


def _run(config: TrainConfig[Any, Any], output: Output, step: int | None = None) -> int:
    from jaxrl_evolve.training.train import train

    result = train(
        config, output.out, resume=output.resume, overwrite=output.overwrite, quiet=output.quiet, step=step
    )
    if not output.quiet:
        print(_summary(result.summary, output.out))
    return 0


def _summary(summary: dict[str, Any], out: str) -> str:
    low, high = summary["ci95"]
    interval = "" if low is None else f" [{low:.4g}, {high:.4g}]"
    iqm = "none finished" if summary["iqm"] is None else f"{summary['iqm']:.4g}{interval}"
    return (
        f"{summary['algorithm']} on {summary['env']}: return {iqm} (IQM and 95 % interval over "
        f"{summary['seeds']} seeds), {summary['env_steps']:,} steps per seed\n"
        f"{summary['steps_per_second']:,.0f} steps/s for all seeds together, {summary['run_seconds']:.1f} s after "
        f"{summary['compile_seconds']:.1f} s of compiling; results in {out}"
    )


def _resume(words: list[str]) -> int:
    from jaxrl_evolve.storage import folder as folders
    from jaxrl_evolve.training.config import from_json

    arguments = tyro.cli(ResumeArguments, prog="jaxrl-evolve resume", args=words)
    _start(arguments.devices)
    output = Output(arguments.folder, resume=True, quiet=arguments.quiet)
    if (plan := Path(arguments.folder) / "sweep.json").exists():
        from jaxrl_evolve.meta.sweep import resume_meta_sweep
        from jaxrl_evolve.training.sweep import resume_sweep

        resume = resume_meta_sweep if "points" in folders.read_json(plan) else resume_sweep
        table = resume(arguments.folder, quiet=arguments.quiet)
        if not arguments.quiet:
            print(table)
        return 0
    config = folders.read_json(folders.existing(arguments.folder).config)
    step = None if arguments.step < 0 else arguments.step
    if "objectives" in config:
        from jaxrl_evolve.meta_test import config as tests

        del config["files"]  # claimed anew from the files that are there
        return _meta_test_run(tests.from_json(config), output)
    if "generations" in config:
        from jaxrl_evolve.meta import config as meta

        return _meta_run(meta.from_json(config), output, step)
    return _run(from_json(config), output, step)


def _meta_settings(command: str, words: list[str], *extra: tuple[str, type, Any]) -> Any:
    """Parse ``OBJECTIVE`` and the settings of a meta-training, whose defaults are the objective's preset."""
    from jaxrl_evolve.algorithms.table import find_algorithm
    from jaxrl_evolve.meta.config import MetaTrainConfig
    from jaxrl_evolve.objectives.families import find_family, members

    helping = bool({"-h", "--help"} & set(words))
    if not words or words[0].startswith("-"):
        if not helping:
            raise ValueError(
                f"{command} needs an objective: {command} {'|'.join(members())} --env NAME --out FOLDER"
            )
        words = ["ta-lpg", *words]
    family = find_family(words[0])
    env = _option(words, "--env")
    if env is None and not helping:
        raise ValueError(f"{command} needs an environment: --env NAME (`jaxrl-evolve list` names all)")
    algorithm = find_algorithm(family.algorithm)
    kind = MetaTrainConfig[family.settings, algorithm.config, algorithm.hp]
    default = MetaTrainConfig.preset(words[0], env or "grid/random-small")
    return _parse(command, words, kind, default, f"Meta-train {words[0]}.", *extra)


def _meta_train(words: list[str]) -> int:
    arguments = _meta_settings("meta-train", words)
    _start(arguments.devices)
    return _meta_run(arguments.config, arguments.output)


def _meta_sweep(words: list[str]) -> int:
    from jaxrl_evolve.meta.sweep import meta_sweep

    arguments = _meta_settings("meta-sweep", words, ("space", MetaSweepSpace, MetaSweepSpace()))
    _start(arguments.devices)
    output, space = arguments.output, arguments.space
    table = meta_sweep(
        arguments.config,
        output.out,
        seeds=space.seeds,
        grid=space.grid,
        resume=output.resume,
        overwrite=output.overwrite,
        quiet=output.quiet,
    )
    if not output.quiet:
        print(table)
    return 0


def _meta_run(config: Any, output: Output, step: int | None = None) -> int:
    from jaxrl_evolve.meta.train import meta_train

    result = meta_train(
        config, output.out, resume=output.resume, overwrite=output.overwrite, quiet=output.quiet, step=step
    )
    if not output.quiet:
        s = result.summary
        print(
            f"{s['objective']} on {s['env']}: {s['generations']:,} generations of {s['population']:,}, "
            f"{s['env_steps']:,} environment steps at {s['steps_per_second']:,.0f} a second; the objective is "
            f"{output.out}: jaxrl-evolve train … --objective {output.out}"
        )
    return 0


def _meta_test(words: list[str]) -> int:
    from jaxrl_evolve.meta_test.config import MetaTestConfig

    description = "Compare learned objectives with each other, with wrong clocks, and with tuned baselines."
    arguments = _parse("meta-test", ["", *words], MetaTestConfig, MetaTestConfig(), description)
    _start(arguments.devices)
    return _meta_test_run(arguments.config, arguments.output)


def _meta_test_run(config: Any, output: Output) -> int:
    from jaxrl_evolve.meta_test.run import meta_test

    result = meta_test(
        config, output.out, resume=output.resume, overwrite=output.overwrite, quiet=output.quiet
    )
    if not output.quiet:
        print(result.markdown)
    return 0


def _evaluate(words: list[str]) -> int:
    import json

    from jaxrl_evolve.storage import folder as folders
    from jaxrl_evolve.training.restore import evaluate_folder

    arguments = tyro.cli(EvaluateArguments, prog="jaxrl-evolve evaluate", args=words)
    _start(arguments.devices)
    outcome = evaluate_folder(
        arguments.folder,
        arguments.episodes,
        mode=arguments.mode,
        seed=arguments.seed,
        step=None if arguments.step < 0 else arguments.step,
        max_steps=arguments.max_steps,
    )
    print(json.dumps(folders.plain(outcome), indent=2))
    return 0


def _sweep(words: list[str]) -> int:
    from jaxrl_evolve.training.sweep import sweep

    arguments = _settings("sweep", words, ("space", SweepSpace, SweepSpace()))
    _start(arguments.devices)
    output, space = arguments.output, arguments.space
    table = sweep(
        arguments.config,
        output.out,
        grid=space.grid,
        random=space.random,
        samples=space.samples,
        resume=output.resume,
        overwrite=output.overwrite,
        quiet=output.quiet,
    )
    if not output.quiet:
        print(table)
    return 0


def _report(words: list[str]) -> int:
    from jaxrl_evolve.results.report import report

    arguments = tyro.cli(ReportArguments, prog="jaxrl-evolve report", args=words)
    print(report(arguments.folders, arguments.out).markdown)
    return 0


def _list(words: list[str]) -> int:
    from jaxrl_envs import available
    from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS, find_algorithm
    from jaxrl_evolve.objectives.kinds import objective_names
    from jaxrl_evolve.settings import plugins

    what = tyro.cli(ListArguments, prog="jaxrl-evolve list", args=words).what
    sections = {
        "algorithms": [
            f"{name:18} {find_algorithm(name).summary}"
            for name in plugins.names(plugins.ALGORITHMS, BUILTIN_ALGORITHMS)
        ],
        "objectives": objective_names(),
        "environments": available(),
    }
    for title, lines in sections.items():
        if what == "all":
            print(f"{title}:")
        if what in ("all", title):
            print("\n".join(f"  {line}" for line in lines))
    return 0


def _render(words: list[str]) -> int:
    from jaxrl_evolve.training.render import render

    a = tyro.cli(RenderArguments, prog="jaxrl-evolve render", args=words)
    _start(Devices())
    print(
        render(a.folder, a.out or None, run=a.run, mode=a.mode, seed=a.seed, max_steps=a.max_steps, fps=a.fps)
    )
    return 0
