"""Signing in for real: the server, an OpenID Connect provider on loopback, and a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")
pytest.importorskip("oidc_provider_mock", reason="the provider of these tests is not installed")

USERS = (
    {"sub": "ann", "email": "Ann@Plant.example", "email_verified": True},
    {"sub": "bo", "email": "bo@plant.example", "email_verified": True},
    {"sub": "eve", "email": "ann@plant.example", "email_verified": False},
)
MAY, MAY_NOT = "may review and promote", "view only"


@pytest.fixture(scope="module")
def dashboard(
    shared_folder: Path,
    start_shared: Callable[..., Any],
    start_shared_dashboard: Callable[..., Any],
    port_of_provider: int,
) -> str:
    """The address of a server whose visitors sign in, with `ann@plant.example` as its one reviewer."""
    people = [part for user in USERS for part in ("--user-claims", json.dumps(user))]
    provider = start_shared("oidc_provider_mock", "--port", str(port_of_provider), *people, port=port_of_provider)
    folder = shared_folder / ".streamlit"
    folder.mkdir()

    def secrets(port: int) -> None:
        (folder / "secrets.toml").write_text(
            "[auth]\n"
            f'redirect_uri = "http://localhost:{port}/oauth2callback"\n'
            'cookie_secret = "of-this-test-alone-0123456789abcdef"\n'
            'client_id = "copperline"\n'
            'client_secret = "of-this-test-alone"\n'
            f'server_metadata_url = "{provider.url}/.well-known/openid-configuration"\n'
        )

    running = start_shared_dashboard(
        before=secrets,
        COPPERLINE_DASHBOARD_SIGN_IN="true",
        COPPERLINE_DASHBOARD_REVIEWERS='["ann@plant.example"]',
        NO_PROXY="localhost,127.0.0.1",
    )
    return str(running.url)


def visitor(browser: Any) -> Any:
    """A tab of somebody without cookies."""
    page = browser.new_context().new_page()
    page.set_default_timeout(90_000)  # beside other tests
    return page


def visit(page: Any, dashboard: str, path: str = "/about") -> Any:
    """Looks at a page as somebody who has not signed in."""
    page.goto(f"{dashboard}{path}")
    page.get_by_role("button", name="Sign in").wait_for()
    return page


def sign_in(page: Any, dashboard: str, person: str) -> str:
    """Goes through the provider as `person`; gives what the sidebar says of them."""
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=person, exact=True).click()
    page.get_by_role("button", name="Sign out").wait_for()
    page.goto(f"{dashboard}/about")
    page.get_by_role("button", name="Sign out").wait_for()
    return str(page.get_by_test_id("stSidebar").inner_text())


def test_roles_from_the_first_visit_to_signing_out(browser: Any, dashboard: str) -> None:
    reviewer = visitor(browser)
    for path in ("/", "/review", "/about"):
        page = visit(reviewer, dashboard, path)
        assert page.get_by_test_id("stSidebar").count() == 0
        assert page.get_by_role("heading").all_inner_texts() == ["Copperline"]
        assert page.get_by_role("dialog").count() == 0  # Streamlit's "page not found"

    said = sign_in(reviewer, dashboard, "ann")
    assert "Ann@Plant.example" in said
    assert MAY in said

    viewer = visit(visitor(browser), dashboard)
    said = sign_in(viewer, dashboard, "bo")
    assert "bo@plant.example" in said
    assert MAY_NOT in said
    assert MAY not in said

    unverified = visit(visitor(browser), dashboard)
    said = sign_in(unverified, dashboard, "eve")
    assert MAY_NOT in said
    assert MAY not in said
    assert "ann@plant.example" not in said

    reviewer.get_by_role("button", name="Sign out").click()
    reviewer.wait_for_url(lambda url: not url.startswith(dashboard))  # the provider ends its session too
    reviewer.goto(f"{dashboard}/about")
    reviewer.get_by_role("button", name="Sign in").wait_for()
    assert reviewer.get_by_test_id("stSidebar").count() == 0


def test_a_forged_cookie_signs_nobody_in(browser: Any, dashboard: str) -> None:
    context = browser.new_context()
    claims = json.dumps({**USERS[0], "is_logged_in": True, "origin": dashboard})
    context.add_cookies([{"name": "_streamlit_user", "value": claims.encode().hex(), "url": dashboard}])
    page = context.new_page()
    page.goto(f"{dashboard}/about")
    page.get_by_role("button", name="Sign in").wait_for(timeout=30_000)
    assert page.get_by_test_id("stSidebar").count() == 0
