"""The part of the specification that hands the number of pods to an autoscaler."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kopf_sdk.api import Format, Model, Rule

__all__ = ["Autoscaling"]


class Autoscaling(
    Model,
    rules=[
        Rule("self.minSize <= self.maxSize", message="minSize must not be above maxSize", field_path=".minSize"),
    ],
):
    """A HorizontalPodAutoscaler sets `size` by the CPU that memcached takes. It never looks at memory: a full cache is
    as it should be. Every change of the number of pods moves keys, so it shrinks slowly: one pod in five minutes."""

    min_size: Annotated[int, Field(ge=1, le=1000), Format("int32")] = 1
    """Fewest pods."""

    max_size: Annotated[int, Field(ge=1, le=1000), Format("int32")]
    """Most pods."""

    target_cpu_percent: Annotated[int, Field(ge=1, le=1000), Format("int32")] = 70
    """CPU that the pods shall take on average, in percent of their request (see `resources`)."""
