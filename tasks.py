# SPDX-License-Identifier: Apache-2.0
"""Slipway's commands. Thin: each names its parameters and hands over to orchestrator.cli."""

from __future__ import annotations

from invoke import Collection

from orchestrator.cli import Context, StackWords, command
from orchestrator.commands.key_words import KeyWords
from orchestrator.commands.rollout_words import RolloutWords
from orchestrator.commands.shell_words import ShellWords
from orchestrator.commands.tunnel_words import TunnelWords


@command(iterable=["server_class"])
def bake_ami(  # noqa: PLR0913 - one parameter per flag
    context: Context,
    server_class=None,
    environment="sandbox",
    dry_run=False,
    force=False,
    json=False,
):
    """Bake the images of the server classes whose contents changed; without a class, all of them."""
    classes = tuple(server_class or ())
    context.bake_ami(environment, server_classes=classes, dry_run=dry_run, force=force, as_json=json)


@command
def gc(context: Context, environment="sandbox", dry_run=False, yes=False, json=False):
    """Remove what killed runs left behind: machines, groups, keys, volumes and unpublished images."""
    context.gc(environment, dry_run=dry_run, is_confirmed=yes, as_json=json)


@command(iterable=["allow_replace"])
def provision(  # noqa: PLR0913 - one parameter per flag
    context: Context,
    network="",
    environment="",
    all=False,  # noqa: A002 - the flag's name
    dry_run=False,
    yes=False,
    allow_replace=None,
    json=False,
):
    """Bring up the stacks of a --network, of an --environment or --all; no data is lost unasked."""
    words = StackWords(network, environment, all, tuple(allow_replace or ()), json)
    context.provision(words, dry_run=dry_run, is_confirmed=yes)


@command
def drift(context: Context, network="", environment="", all=False, json=False):
    """Show what differs from the stacks of a --network, of an --environment or --all; 4 if anything does."""
    context.drift(StackWords(network, environment, all, as_json=json))


@command
def destroy(  # noqa: PLR0913 - one parameter per flag
    context: Context, network="", environment="", dry_run=False, yes=False, json=False
):
    """Delete the stacks of an --environment or of a --network; what holds data stays."""
    context.destroy(StackWords(network, environment, as_json=json), dry_run=dry_run, is_confirmed=yes)


@command
def ssh(  # noqa: PLR0913, PLR0917 - one parameter per flag
    context: Context,
    environment="",
    fleet="",
    index="",
    zone="",
    instance="",
    bastion=False,
    command="",
    user="",
    all=False,  # noqa: A002 - the flag's name
    json=False,
):
    """Open a shell or run a --command on a machine of a --fleet, on --all, an --instance or the --bastion."""
    words = ShellWords(environment, fleet, index, zone, instance, bastion, command, user, all, json)
    context.ssh(words)


@command
def db_tunnel(  # noqa: PLR0913, PLR0917 - one parameter per flag
    context: Context,
    environment="",
    endpoint="reader",
    via="",
    local_port="",
    client=False,
    exec="",  # noqa: A002 - the flag's name
    print_dsn=False,
    user="",
    iam=False,
    ttl="",
    read_only=False,
    engine="asyncssh",
    yes=False,
    json=False,
):
    """Open a port of this machine to the database: for any program, for its --client, or to --exec SQL."""
    words = TunnelWords(
        environment,
        endpoint,
        via,
        local_port,
        is_client=client,
        sql=exec,
        has_dsn=print_dsn,
        user=user,
        is_iam=iam,
        ttl=ttl,
        is_read_only=read_only,
        engine=engine,
        is_confirmed=yes,
        as_json=json,
    )
    context.db_tunnel(words)


@command(name="write")
def ssh_config_write(context: Context, environment="", install=False, json=False):
    """Write a configuration that lets plain ssh, scp, rsync and editors in; --install has ssh include it."""
    context.ssh_config(environment, is_installed=install, as_json=json)


@command(name="refresh")
def ssh_config_refresh(context: Context, environment="", quiet=False):
    """Bring the written configuration up to date; ssh itself calls this when it is older than a minute."""
    context.ssh_config_refresh(environment, is_quiet=quiet)


@command
def diagram(context: Context, network="", output=""):
    """Draw a --network as SVG, to stdout or into the file --output."""
    context.diagram(network=network, output=output)


@command
def demo(context: Context, port="", json=False):
    """Show all of it on this machine: a local region, an environment in it, and that it works."""
    context.demo(port=port, as_json=json)


@command
def lint(context: Context):
    """Check style, types, roles, shell and templates."""
    context.prove("lint")


@command
def test(context: Context, fast=False):
    """Prove everything: lint, units, contracts, machines, roles; --fast leaves out what needs machines."""
    context.prove("fast" if fast else "all")


@command
def bench(context: Context):
    """Measure what docs/benchmarks.md tells, and print it."""
    context.prove("bench")


@command
def lock(context: Context):
    """Write the lock files anew from the requirements, with hashes."""
    context.prove("lock")


@command
def docs(context: Context):
    """Write the generated documents anew."""
    context.prove("docs")


@command(name="start")
def rollout_start(  # noqa: PLR0913, PLR0917 - one parameter per flag
    context: Context,
    environment="",
    fleet="",
    all=False,  # noqa: A002 - the flag's name
    wave=False,
    ami="",
    optimise=False,
    dry_run=False,
    yes=False,
    json=False,
):
    """Give a --fleet, or --all, of an --environment or of each --wave, a new image; --dry-run foresees it."""
    words = RolloutWords(environment, fleet, all, wave, ami, optimise, json)
    context.rollout(words, dry_run=dry_run, is_confirmed=yes)


@command(name="status")
def rollout_status(context: Context, environment="", fleet="", json=False):
    """Show what a --fleet, or each, runs, how far its rollout is, and what can be done now."""
    context.rollout_status(RolloutWords(environment, fleet, as_json=json))


@command(name="pause")
def rollout_pause(context: Context, environment="", fleet="", json=False):
    """Keep a fleet's rollout from replacing more machines, for any time; any later run gives it back."""
    context.rollout_control("pause", RolloutWords(environment, fleet, as_json=json))


@command(name="resume")
def rollout_resume(context: Context, environment="", fleet="", json=False):
    """Let a fleet's rollout go on that was paused."""
    context.rollout_control("resume", RolloutWords(environment, fleet, as_json=json))


@command(name="promote")
def rollout_promote(context: Context, environment="", fleet="", json=False):
    """Let a fleet's rollout go on past the checkpoint that it waits at."""
    context.rollout_control("promote", RolloutWords(environment, fleet, as_json=json))


@command(name="abort")
def rollout_abort(context: Context, environment="", fleet="", json=False):
    """Stop a fleet's rollout where it is; what is replaced stays so."""
    context.rollout_control("abort", RolloutWords(environment, fleet, as_json=json))


@command(name="rollback")
def rollout_rollback(context: Context, environment="", fleet="", json=False):
    """Take a fleet's rollout back, while it goes on or after it has succeeded."""
    context.rollout_control("rollback", RolloutWords(environment, fleet, as_json=json))


@command(name="history")
def rollout_history(  # noqa: PLR0913 - one parameter per flag
    context: Context, environment="", fleet="", svg="", rollout="", json=False
):
    """Show a fleet's rollouts, foreseen and actual; --svg FILE draws the newest, or a --rollout by its id."""
    context.rollout_history(RolloutWords(environment, fleet, as_json=json), svg=svg, rollout_id=rollout)


@command(name="add")
def keys_add(  # noqa: PLR0913 - one parameter per flag
    context: Context, environment="", name="", key="", replace=False, json=False
):
    """Let a person's own public --key (a file, or - for stdin) into an environment, until it is removed."""
    words = KeyWords(environment, name, key, is_replaced=replace, as_json=json)
    context.keys("add", words)


@command(name="remove")
def keys_remove(context: Context, environment="", name="", yes=False, json=False):
    """End all access of a --name: key, certificates and open sessions, within a minute."""
    context.keys("remove", KeyWords(environment, name, is_confirmed=yes, as_json=json))


@command(name="unblock")
def keys_unblock(context: Context, environment="", name="", json=False):
    """Let certificates of a --name in again that was removed."""
    context.keys("unblock", KeyWords(environment, name, as_json=json))


@command(name="list")
def keys_list(context: Context, environment="", json=False):
    """Show whose own keys an environment lets in, and who is kept out."""
    context.keys("list", KeyWords(environment, as_json=json))


@command(name="sign", iterable=["fleet"])
def keys_sign(  # noqa: PLR0913, PLR0917 - one parameter per flag
    context: Context,
    environment="",
    key="",
    hours="",
    fleet=None,
    door="shell",
    output="",
    yes=False,
    json=False,
):
    """Write a certificate for your own --key that opens a --door (shell, reader, writer) for some --hours."""
    fleets = tuple(fleet or ())
    words = KeyWords(environment, "", key, False, hours, fleets, door, output, yes, json)
    context.keys("sign", words)


@command(name="up")
def sandbox_up(context: Context, port="", mode="real", simulated=False, seed="", json=False):
    """Start the local AWS region; harmless when it runs. Simulated, its time stands still until told."""
    context.region_up(port=port, mode="simulated" if simulated else mode, seed=seed, as_json=json)


@command(name="down")
def sandbox_down(context: Context):
    """Stop the local region and remove all its traces from this host; images and data are kept."""
    context.region_down()


@command(name="status")
def sandbox_status(context: Context, json=False):
    """Show what runs in the local region."""
    context.region_status(as_json=json)


@command(name="reset")
def sandbox_reset(context: Context):
    """Stop the local region and forget everything in it, images too."""
    context.region_reset()


@command(name="logs")
def sandbox_logs(context: Context, lines="100"):
    """Show the last lines of the local region's log and of its API calls."""
    context.region_logs(lines=lines)


rollout = Collection(
    "rollout",
    rollout_status,
    rollout_pause,
    rollout_resume,
    rollout_promote,
    rollout_abort,
    rollout_rollback,
    rollout_history,
)
rollout.add_task(rollout_start, default=True)
ssh_config = Collection("ssh-config", ssh_config_refresh)
ssh_config.add_task(ssh_config_write, default=True)
keys = Collection("keys", keys_add, keys_remove, keys_unblock, keys_list, keys_sign)
namespace = Collection(
    bake_ami,
    gc,
    provision,
    drift,
    destroy,
    ssh,
    db_tunnel,
    diagram,
    demo,
    lint,
    test,
    bench,
    lock,
    docs,
    rollout,
    ssh_config,
    keys,
    Collection("sandbox", sandbox_up, sandbox_down, sandbox_status, sandbox_reset, sandbox_logs),
)
