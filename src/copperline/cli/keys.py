"""`copperline keys`: create, list, revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, print_table, say, settings_for
from copperline.cli.periods import parse_span
from copperline.errors import SettingsError

if TYPE_CHECKING:
    from datetime import datetime

    from copperline.access import Key, Scope

app = typer.Typer(help="Keys of the HTTP service: who may inspect, review and administer.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(help="Who or what uses it; a key that reviews decides under this name.", show_default=False)
    ],
    scope: Annotated[list[str], typer.Option("--scope", help="inspect, review or admin; give it again for several.")],
    expires: Annotated[str | None, typer.Option("--expires", help="Life span, such as 90d; default: none.")] = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a key and show it, once: only a hash of it is kept."""
    from copperline.access import create_key
    from copperline.settings import account
    from copperline.warehouse import open_warehouse

    scopes = [_scope(word) for word in scope]
    lifetime = None if expires is None else parse_span(expires, "--expires")
    engine = open_warehouse(settings_for(workspace).warehouse)
    text, key = create_key(engine, name, scopes, created_by=account(), lifetime=lifetime)
    engine.dispose()
    if json_:
        print_json({"key": text, **_described(key)})
        return
    say(
        text,
        f"This is the key of {key.name}, for {_words(key)}; {_until(key)}. It is not shown again.",
        'Next: send it with each request, as in curl -H "Authorization: Bearer KEY" ...',
    )


@app.command("list")
def list_(workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """List all keys, revoked ones too, without their secrets."""
    from datetime import UTC, datetime

    from copperline.access import list_keys
    from copperline.warehouse import open_warehouse

    engine = open_warehouse(settings_for(workspace).warehouse, read_only=True)
    keys = list_keys(engine)
    engine.dispose()
    if json_:
        print_json({"keys": [_described(key) for key in keys]})
        return
    if not keys:
        say("There are no keys yet.", "Next: copperline keys create NAME --scope inspect")
        return
    now = datetime.now(UTC)
    print_table(
        "Keys of the HTTP service",
        ("key id", "name", "scopes", "state", "last used (UTC)"),
        [
            (
                key.key_id,
                key.name,
                _words(key),
                _state(key, now),
                f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never",
            )
            for key in keys
        ],
    )
    say("Next: copperline keys revoke KEY_ID")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key id of `keys list`.", show_default=False)],
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """End a key: within a few seconds a running service refuses it. It stays in the list."""
    from copperline.access import revoke_key
    from copperline.settings import account
    from copperline.warehouse import open_warehouse

    engine = open_warehouse(settings_for(workspace).warehouse)
    key = revoke_key(engine, key_id, revoked_by=account())
    engine.dispose()
    if json_:
        print_json(_described(key))
        return
    say(f"The key {key.key_id} of {key.name} opens nothing any more.", "Next: copperline audit --action key.revoked")


def _scope(word: str) -> Scope:
    from copperline.access import Scope

    if word not in list(Scope):
        raise SettingsError(
            f"expected {', '.join(Scope)}, found {word!r}",
            where="--scope",
            fix="give --scope again for each of several",
        )
    return Scope(word)


def _described(key: Key) -> dict[str, Any]:
    from datetime import UTC, datetime

    times = ("created_at", "expires_at", "revoked_at", "last_used_at")
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "state": key.state(datetime.now(UTC)),
        "created_by": key.created_by,
        **{name: moment.isoformat() if (moment := getattr(key, name)) else None for name in times},
    }


def _words(key: Key) -> str:
    from copperline.access import scope_text

    return scope_text(key.scopes).replace(" ", ", ")


def _state(key: Key, now: datetime) -> str:
    state = key.state(now)
    return f"valid until {key.expires_at:%Y-%m-%d}" if state == "valid" and key.expires_at else state


def _until(key: Key) -> str:
    return f"it expires on {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "it does not expire"
