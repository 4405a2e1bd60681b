"""This file knows how to find a model's files on this computer, or to fetch them from the Hugging Face hub."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from pathlib import Path

from utils.paths import WEIGHTS

# The sentence about a model that cannot be had must come within five seconds, of which importing takes up to three.
PROBE_SECONDS = 2.0


class ModelUnavailable(RuntimeError):
    """The model is neither on this computer nor to be downloaded; the message says what to do."""


def shipped_names() -> list[str]:
    """The models that lie in this repository."""
    return sorted(folder.name for folder in WEIGHTS.iterdir() if (folder / "config.json").exists())


def model_folder(name: str) -> Path:
    """Where the model's files lie: in the repository, in the hub's cache, or there after a download."""
    if name in shipped_names():
        return WEIGHTS / name
    probe = None if offline_by_choice() else ReachabilityProbe(endpoint())
    repository = official_name(name)
    if folder := cached_folder(repository):
        return folder
    if probe is None:
        raise ModelUnavailable(
            f'"{name}" is not on this computer and HF_HUB_OFFLINE forbids downloading it: '
            f"unset HF_HUB_OFFLINE and try again, or {use_a_shipped_model()}."
        )
    if not probe.reached():
        raise ModelUnavailable(
            f'"{name}" is not on this computer and {endpoint()} does not answer: '
            f"connect to the internet and try again, or {use_a_shipped_model()}."
        )
    return download(name, repository)


def use_a_shipped_model() -> str:
    return "use a model that ships with the course: " + ", ".join(f'load_model("{name}")' for name in shipped_names())


def offline_by_choice() -> bool:
    """Whether the user has switched off the hub, as huggingface_hub itself would read it."""
    switches = (os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(switch.upper() in {"1", "ON", "YES", "TRUE"} for switch in switches)


def endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


class ReachabilityProbe:
    """Asks in the background whether a server answers, since looking up its name can hang beyond any time-out."""

    def __init__(self, url: str):
        self._url = url
        self._answered = False
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(self._url, method="HEAD"), timeout=PROBE_SECONDS)
            self._answered = True
        except urllib.error.HTTPError:
            self._answered = True  # an error code is an answer too
        except (OSError, ValueError):
            self._answered = False

    def reached(self) -> bool:
        self._thread.join(timeout=PROBE_SECONDS)
        return self._answered


def official_name(name: str) -> str:
    """The hub's name of a model, from any alias that TransformerLens knows."""
    if name.startswith("gpt2"):
        return name.removesuffix("-small")  # spares the slow import below for the course's own second model
    from transformer_lens.supported_models import get_official_model_name

    try:
        return get_official_model_name(name)
    except ValueError:
        raise ModelUnavailable(
            f'no model is called "{name}": TransformerLens does not know it. '
            f"Names that it knows are, for example, gpt2, gpt2-medium and pythia-70m; or {use_a_shipped_model()}."
        ) from None


def cached_folder(repository: str) -> Path | None:
    """The folder of an earlier download, if configuration and weights are both in it."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repository, "config.json")
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    has_weights = any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))
    return folder if has_weights else None


def download(name: str, repository: str) -> Path:
    """Fetch configuration, tokenizer and weights; safetensors where the hub has them."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    texts = ["*.json", "*.txt", "*.model"]
    try:
        folder = Path(snapshot_download(repository, allow_patterns=[*texts, "*.safetensors"], ignore_patterns="*/*"))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(repository, allow_patterns=[*texts, "*.bin"], ignore_patterns="*/*"))
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelUnavailable(
            f'"{name}" could not be downloaded from {endpoint()}/{repository} ({reason}): '
            f"try again later, or {use_a_shipped_model()}."
        ) from error
    return folder
