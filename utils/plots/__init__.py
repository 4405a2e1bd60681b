"""Figures of the course, one file for each kind. Importing this makes figures show live and offline (see renderer.py)."""

from .along_training import along_training
from .attention import attention
from .circuit_graph import circuit_graph
from .composition import composition_graph
from .diagrams import diagram
from .feature_arrows import feature_arrows
from .feature_dashboard import feature_dashboard
from .heatmap import compare, heatmap
from .labels import head_label, token_labels
from .lines import lines
from .neurons import neuron_table
from .points import points
from .regions import regions
from .renderer import show, use_renderer
from .residual import residual_sum
from .sampling import distribution, distributions, sampling_playground
from .scatter import scatter
from .timing import timings
from .trade_off import trade_off
from .training import LiveLoss
from .weight_stacks import weight_stacks

use_renderer()

__all__ = [
    "LiveLoss",
    "along_training",
    "attention",
    "circuit_graph",
    "compare",
    "composition_graph",
    "diagram",
    "distribution",
    "distributions",
    "feature_arrows",
    "feature_dashboard",
    "head_label",
    "heatmap",
    "lines",
    "neuron_table",
    "points",
    "regions",
    "residual_sum",
    "sampling_playground",
    "scatter",
    "show",
    "timings",
    "token_labels",
    "trade_off",
    "weight_stacks",
]
