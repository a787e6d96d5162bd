"""What the operator may do, and where: with a list of namespaces nothing is cluster-wide but what a value names."""

from __future__ import annotations

from unit.chart.helm import Object, objects

RBAC = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
NAMESPACED = ("--set", "watch.namespaces={shop,search}")
BARE = (*NAMESPACED, "--set", "rbac.userRoles=false,metrics.secure=false")


def names(items: list[Object], kinds: set[str]) -> set[str]:
    return {
        "/".join(filter(None, (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])))
        for item in items
        if item["kind"] in kinds
    }


def environment(items: list[Object]) -> dict[str, str]:
    deployment = next(item for item in items if item["kind"] == "Deployment")
    return {
        entry["name"]: entry.get("value") for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    }


def rules_of(items: list[Object], name: str) -> list[list[Object]]:
    return [
        item["rules"] for item in items if item["kind"] in RBAC and "rules" in item and item["metadata"]["name"] == name
    ]


def test_all_namespaces_take_one_cluster_role() -> None:
    items = objects()
    assert environment(items)["WATCH_NAMESPACE"] == ""
    assert names(items, RBAC) == {
        "ClusterRole/demo-memcached-operator-admin",
        "ClusterRole/demo-memcached-operator-editor",
        "ClusterRole/demo-memcached-operator-manager",
        "ClusterRole/demo-memcached-operator-metrics-auth",
        "ClusterRole/demo-memcached-operator-metrics-reader",
        "ClusterRole/demo-memcached-operator-viewer",
        "ClusterRoleBinding/demo-memcached-operator-manager",
        "ClusterRoleBinding/demo-memcached-operator-metrics-auth",
        "Role/demo-operator-system/demo-memcached-operator-leader-election",
        "RoleBinding/demo-operator-system/demo-memcached-operator-leader-election",
    }


def test_a_list_of_namespaces_takes_roles_only() -> None:
    items = objects(*BARE)
    assert environment(items)["WATCH_NAMESPACE"] == "shop,search"
    assert names(items, CLUSTER_WIDE) == set()
    assert names(items, RBAC) == {
        f"{kind}/{place}"
        for kind in ("Role", "RoleBinding")
        for place in (
            "shop/demo-memcached-operator-manager",
            "search/demo-memcached-operator-manager",
            "demo-operator-system/demo-memcached-operator-leader-election",
        )
    }


def test_the_rules_are_the_same_in_every_scope() -> None:
    (everywhere,) = rules_of(objects(), "demo-memcached-operator-manager")
    assert rules_of(objects(*BARE), "demo-memcached-operator-manager") == [everywhere, everywhere]


def test_each_cluster_wide_object_has_a_value_that_turns_it_off() -> None:
    assert {name.rpartition("-")[2] for name in names(objects(*NAMESPACED), CLUSTER_WIDE)} == {
        "admin",
        "editor",
        "viewer",
        "auth",
        "reader",
    }
    reviews = objects(*NAMESPACED, "--set", "rbac.userRoles=false,metrics.readerRole=false")
    assert names(reviews, CLUSTER_WIDE) == {
        "ClusterRole/demo-memcached-operator-metrics-auth",
        "ClusterRoleBinding/demo-memcached-operator-metrics-auth",
    }


def test_without_rbac_there_is_no_role_at_all() -> None:
    managed = "webhook.enabled=true,webhook.certificates.operatorManaged.enabled=true"
    assert names(objects("--set", f"rbac.create=false,{managed}"), RBAC) == set()


def test_managed_certificates_take_rights_on_named_objects_only() -> None:
    managed = "webhook.enabled=true,webhook.certificates.operatorManaged.enabled=true"
    items = objects("--set", managed)
    secret = next(item for item in items if item["kind"] == "Secret")
    rules = [rule for group in rules_of(items, "demo-memcached-operator-webhook-certificate") for rule in group]
    assert {(*rule["resources"], *rule["resourceNames"]) for rule in rules} == {
        ("secrets", secret["metadata"]["name"]),
        ("mutatingwebhookconfigurations", "validatingwebhookconfigurations", "demo-memcached-operator"),
    }
    assert "data" not in secret, "an upgrade would write over what the operator keeps there"
    assert "demo-memcached-operator-webhook-certificate" not in names(objects(), RBAC)


def test_webhooks_review_watched_namespaces_only() -> None:
    managed = "webhook.enabled=true,webhook.certificates.operatorManaged.enabled=true"
    for item in objects(*NAMESPACED, "--set", managed):
        for webhook in item.get("webhooks", ()):
            assert webhook["namespaceSelector"]["matchExpressions"] == [
                {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop", "search"]}
            ]
            assert "caBundle" not in webhook["clientConfig"], "the operator's, not the template's"
