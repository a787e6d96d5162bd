"""What a rehearsal is made of, and what is read from how it ended."""

from __future__ import annotations

from typing import Any

import pytest

from memcached_operator import naming
from memcached_operator.children.stateful_set import stateful_set
from memcached_operator.operand import Operand
from memcached_operator.rehearsal import Verdict, labels, pod_name, rehearsal, verdict
from memcached_operator.surroundings import Surroundings
from unit.operator.factory import memcached


def template(**spec: Any) -> dict[str, Any]:
    resource = memcached(warmRestart={"enabled": True}, **spec)
    return dict(stateful_set(resource, Operand(), Surroundings())["spec"]["template"])


def test_it_runs_what_the_template_says_with_a_memory_file_that_takes_no_memory() -> None:
    pod = rehearsal(memcached(), "node-1", template(image="example.com/memcached:2", priorityClassName="high"))
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "example.com/memcached:2"
    assert container["command"] == ["sh", "/etc/memcached/rehearse.sh"]
    assert pod["spec"]["nodeName"] == "node-1"
    assert pod["spec"]["restartPolicy"] == "Never"
    assert {volume["name"]: volume.get("emptyDir") for volume in pod["spec"]["volumes"]}["cache"] == {}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert "priorityClassName" not in pod["spec"], "it must not push other pods away"


def test_what_is_kept_on_claims_is_on_the_nodes_disk_for_the_trial() -> None:
    for volume in ("claim", "ephemeral"):
        resource = memcached(extstore={"size": "1Gi", "volume": volume})
        pod = rehearsal(resource, "node-1", stateful_set(resource, Operand(), Surroundings())["spec"]["template"])
        volumes = {found["name"]: found for found in pod["spec"]["volumes"]}
        assert volumes["extstore"] == {"name": "extstore", "emptyDir": {}}


def test_no_service_budget_or_policy_takes_it_for_a_pod_of_the_cache() -> None:
    resource = memcached()
    selected = naming.selector(resource).items() <= labels(resource).items()
    assert not selected


def test_the_same_question_has_the_same_name_and_another_one_another() -> None:
    resource = memcached()
    name = pod_name(resource, "node-1", template(threads=2))
    assert name == pod_name(resource, "node-1", template(threads=2, size=5))
    others = {pod_name(resource, "node-2", template(threads=2)), pod_name(resource, "node-1", template(threads=3))}
    assert name not in others


def ended(phase: str, state: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "cache-rehearsal-1"},
        "spec": {"containers": [{"name": "memcached", "image": "example.com/memcached:2"}]},
        "status": {"phase": phase, "containerStatuses": [{"name": "memcached", "state": state}], **status},
    }


def test_a_good_end_tells_the_version() -> None:
    assert verdict(ended("Succeeded", {"terminated": {"message": "memcached 1.6.45\n"}})) == Verdict(version="1.6.45")


@pytest.mark.parametrize(
    ("pod", "reason", "words"),
    [
        (
            ended("Failed", {"terminated": {"reason": "Error", "message": "x\nunrecognized option '--y'\n"}}),
            "RehearsalFailed",
            "unrecognized option '--y'",
        ),
        (ended("Failed", {}, reason="OutOfmemory", message="Node didn't have enough"), "RehearsalRefused", "enough"),
        (
            ended("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            "ImagePullBackOff",
            "no such image",
        ),
    ],
)
def test_a_bad_end_is_told_in_the_words_of_the_cause(pod: dict[str, Any], reason: str, words: str) -> None:
    problem = verdict(pod).problem
    assert problem is not None
    assert problem.reason == reason
    assert words in problem.message


def test_what_does_not_say_its_version_was_not_tried() -> None:
    problem = verdict(ended("Succeeded", {"terminated": {"message": ""}})).problem
    assert problem is not None
    assert problem.reason == "RehearsalRefused"


def test_nothing_is_concluded_while_it_runs() -> None:
    assert verdict(ended("Running", {"running": {}})) == Verdict()
    assert verdict(ended("Pending", {"waiting": {"reason": "ContainerCreating"}})) == Verdict()
