"""What a notebook imports. Everything heavy is imported when it is first used, so that ``import utils`` costs nothing."""

from utils.on_demand import offer

_HOME = {
    "check": "utils.checking.notebook",
    "hint": "utils.checking.notebook",
    "reveal": "utils.checking.notebook",
    "TransformerConfig": "utils.models.config",
    "checkpoint_steps": "utils.models.loading",
    "load_model": "utils.models.loading",
    "load_tokenizer": "utils.models.loading",
    "load_weights": "utils.models.loading",
    "device": "utils.models.device",
}

__all__ = sorted(_HOME)
__getattr__, __dir__ = offer(__name__, _HOME)
