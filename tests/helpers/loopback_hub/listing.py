"""The lists of repositories of the loopback Hub, with the filters that this project uses."""

from __future__ import annotations

from functools import partial

from .protocol import Answer, Incoming, Route, State, as_json, route
from .reading import card_data, find_commit, tags_of

ROUTES: list[Route] = []
_route = partial(route, ROUTES)


@_route(r"/api/models")
def models(state: State, request: Incoming) -> Answer:
    """Public models whose id, pipeline tag and licence fit, those with the longest id first: nothing is downloaded here.

    The size of the weights is what the card's `loopback_parameters` says, for want of real weights.
    """

    def asked(name: str) -> list[str]:
        return request.query.get(name, [])

    listed = []
    for repository in state.store.all("model"):
        card = card_data(state, find_commit(repository, "main")) or {}
        tags, size = tags_of(card), card.get("loopback_parameters")
        most = [int(limit.removeprefix("max:")) for limit in asked("num_parameters")]
        fits = (
            not repository.private
            and all(text.lower() in repository.repo_id.lower() for text in asked("search"))
            and all(task == card.get("pipeline_tag") for task in asked("pipeline_tag"))
            and all(tag in tags for tag in asked("filter"))
            and all(size is not None and size <= limit for limit in most)
        )
        if fits:
            facts = {"id": repository.repo_id, "tags": tags, "gated": repository.gated, "downloads": len(repository.repo_id)}
            facts |= {name: card[name] for name in ("pipeline_tag", "library_name") if name in card}
            listed.append(facts | ({"safetensors": {"parameters": {"F32": size}, "total": size}} if size else {}))
    listed.sort(key=lambda facts: -facts["downloads"])
    return as_json(listed[: int(asked("limit")[0])] if asked("limit") else listed)
