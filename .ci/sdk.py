"""The official Python SDK against the running program: every operation of the management API, and what it
reads back. Prints one line a check; the exit status says whether all held.

usage: sdk.py ENDPOINT CREDENTIALS    (the JSON that `swr init --format json` wrote, with a second user and a
                                       second account in it)
"""

import datetime
import json
import os
import subprocess
import sys
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcts.v3 import CtsClient, ListTracesRequest
import huaweicloudsdkswr.v2 as model

passed = failed = 0


def check(name, holds, seen=None):
    global passed, failed
    if holds:
        passed += 1
        print(f"ok    {name}")
    else:
        failed += 1
        print(f"FAIL  {name}: {seen!r}")


def refused(name, status, code, call):
    """The call is answered with this status and code, a message and a request id."""
    try:
        answer = call()
    except ServiceResponseException as error:
        seen = (error.status_code, error.error_code, error.error_msg, error.request_id)
        check(name, seen[:2] == (status, code) and all(seen[2:]), seen)
    else:
        check(name, False, answer)


class Door:
    """The SDK's clients for one access key. `door.list_namespaces(namespace="x")` builds the request of that name
    and sends it."""

    def __init__(self, endpoint, key):
        credentials = BasicCredentials(key["access_key_id"], key["secret_access_key"], key["project_id"])
        config = HttpConfig.get_default_config()
        self.swr, self.cts = (
            client.new_builder()
            .with_http_config(config)
            .with_credentials(credentials)
            .with_endpoints([endpoint])
            .build()
            for client in (model.SwrClient, CtsClient)
        )

    def __getattr__(self, operation):
        name = "".join(word.capitalize() for word in operation.split("_"))
        request = getattr(model, f"{name}Request")

        def send(body=None, **fields):
            if body is not None:
                fields["body"] = body
            return getattr(self.swr, operation)(request(**fields))

        return send


def auth(user, level):
    return [model.UserAuth(user_id=user["user_id"], user_name=user["user"], auth=level)]


def level_of(granted, user):
    found = [other.auth for other in granted.others_auths or [] if other.user_id == user["user_id"]]
    return found[0] if found else None


def push(endpoint, login, repository, tag):
    """A small image, by a client that logs in as the login command says."""
    words = login.split()
    host = words[-1]
    subprocess.run(
        ["crane", "auth", "login", host, "-u", words[words.index("-u") + 1], "-p", words[words.index("-p") + 1]],
        check=True, capture_output=True,
    )
    layer = os.path.join(os.environ["SDK_WORK"], "layer.tar")
    if not os.path.exists(layer):
        subprocess.run(["tar", "-cf", layer, "-C", "/etc", "hostname"], check=True)
    subprocess.run(
        ["crane", "append", "--insecure", "-f", layer, "-t", f"{host}/{repository}:{tag}"],
        check=True, capture_output=True,
    )


def namespaces(admin, member):
    admin.create_namespace(model.CreateNamespaceRequestBody(namespace="group"))
    shown = admin.show_namespace(namespace="group")
    check("a namespace is shown", (shown.name, shown.auth) == ("group", 7), shown)
    listed = admin.list_namespaces(namespace="group").namespaces
    check("a namespace is listed", [one.name for one in listed] == ["group"], listed)
    refused("a taken name", 409, "SVCSTG.SWR.4090060",
            lambda: admin.create_namespace(model.CreateNamespaceRequestBody(namespace="group")))
    refused("a bad name", 400, "SVCSTG.SWR.4001028",
            lambda: admin.create_namespace(model.CreateNamespaceRequestBody(namespace="Group")))
    refused("an absent namespace", 404, "SVCSTG.SWR.4040058", lambda: admin.show_namespace(namespace="absent"))
    refused("a namespace without a right to it", 404, "SVCSTG.SWR.4040058",
            lambda: member.show_namespace(namespace="group"))
    for number in range(2, 6):
        admin.create_namespace(model.CreateNamespaceRequestBody(namespace=f"group{number}"))
    refused("a sixth namespace", 400, "SVCSTG.SWR.4000097",
            lambda: admin.create_namespace(model.CreateNamespaceRequestBody(namespace="group6")))
    quotas = admin.list_quotas().quotas
    check("the quota is told", [(q.quota_key, q.quota_limit, q.used) for q in quotas] == [("namespace", 5, 5)], quotas)
    for number in range(2, 6):
        admin.delete_namespaces(namespace=f"group{number}")
    left = [one.name for one in admin.list_namespaces().namespaces]
    check("deleted namespaces are gone", left == ["group"], left)


def namespace_grants(admin, member, other):
    user = other
    admin.create_namespace_auth(auth(user, 1), namespace="group")
    check("a granted namespace is shown", member.show_namespace(namespace="group").auth == 1)
    refused("a second grant", 409, "SVCSTG.SWR.4090076",
            lambda: admin.create_namespace_auth(auth(user, 3), namespace="group"))
    refused("granting with too little", 403, "SVCSTG.SWR.4037017",
            lambda: member.update_namespace_auth(auth(user, 7), namespace="group"))
    admin.update_namespace_auth(auth(user, 3), namespace="group")
    granted = admin.show_namespace_auth(namespace="group")
    check("a changed grant is read back", level_of(granted, user) == 3 and granted.self_auth.auth == 7, granted)
    admin.delete_namespace_auth([user["user_id"]], namespace="group")
    refused("a grant that was removed", 404, "SVCSTG.SWR.4040058", lambda: member.show_namespace(namespace="group"))


def repositories(admin, member, user):
    create = model.CreateRepoRequestBody
    admin.create_repo(create(repository="app", is_public=False, category="linux", description="说明"), namespace="group")
    shown = admin.show_repository(namespace="group", repository="app")
    check("a repository is shown as it was created",
          (shown.name, shown.is_public, shown.category, shown.description, shown.num_images)
          == ("app", False, "linux", "说明", 0), shown)
    refused("a taken repository", 409, "SVCSTG.SWR.4090006",
            lambda: admin.create_repo(create(repository="app", is_public=False), namespace="group"))
    refused("a description that is too long", 413, "SVCSTG.SWR.4131012",
            lambda: admin.create_repo(create(repository="b", is_public=False, description="字" * 30001), namespace="group"))
    refused("a bad repository name", 400, "SVCSTG.SWR.4001029",
            lambda: admin.create_repo(create(repository="App", is_public=False), namespace="group"))
    admin.update_repo(model.UpdateRepoRequestBody(is_public=True, category="database", description=""),
                      namespace="group", repository="app")
    shown = admin.show_repository(namespace="group", repository="app")
    check("changed attributes are read back", (shown.is_public, shown.category, shown.description) == (True, "database", ""), shown)
    check("anybody sees a public repository", member.show_repository(namespace="group", repository="app").name == "app")
    admin.update_repo(model.UpdateRepoRequestBody(is_public=False), namespace="group", repository="app")
    refused("a private repository without a right to it", 404, "SVCSTG.SWR.4040113",
            lambda: member.show_repository(namespace="group", repository="app"))
    for name in ("b", "c"):
        admin.create_repo(create(repository=name, is_public=False), namespace="group")
    page = admin.list_repos_details(filter="namespace::group|limit::2|offset::0|order_column::name|order_type::asc")
    check("a page of repositories", ([one.name for one in page.body], page.content_range) == (["app", "b"], "0-2/3"), page)
    check("each knows how many there are", page.body[0].total_range == 3, page)
    first = admin.list_repo_details(limit=2)
    second = admin.list_repo_details(limit=2, marker=first.next_marker)
    names = [one.name for one in first.repos + second.repos]
    check("pages by marker", sorted(names) == ["app", "b", "c"] and second.next_marker is None, (first, second))
    refused("an unknown filter", 400, "SVCSTG.SWR.4001035", lambda: admin.list_repos_details(filter="colour::red"))
    for name in ("b", "c"):
        admin.delete_repo(namespace="group", repository=name)
    refused("a namespace that is not empty", 406, "SVCSTG.SWR.4060074", lambda: admin.delete_namespaces(namespace="group"))

    at = {"namespace": "group", "repository": "app"}
    admin.create_user_repository_auth(auth(user, 1), **at)
    check("a granted repository is shown", member.show_repository(**at).name == "app")
    admin.update_user_repository_auth(auth(user, 3), **at)
    check("a changed grant is read back", level_of(admin.show_user_repository_auth(**at), user) == 3)
    admin.delete_user_repository_auth([user["user_id"]], **at)
    refused("a grant that was removed", 404, "SVCSTG.SWR.4040113", lambda: member.show_repository(**at))


def versions(admin, endpoint):
    secret = admin.create_secret()
    check("a login command", secret.x_swr_dockerlogin.startswith("docker login -u ") and len(secret.auths) == 1, secret)
    expires = datetime.datetime.fromisoformat(secret.x_swr_expireat.split(".")[0].rstrip("Z"))
    hours = (expires - datetime.datetime.utcnow()).total_seconds() / 3600
    check("it works for 24 hours", 23.9 < hours < 24.1, hours)
    for tag in ("v1", "v2"):
        push(endpoint, secret.x_swr_dockerlogin, "group/app", tag)
    token = admin.create_authorization_token()
    check("a login command for a token", token.x_swr_dockerlogin.startswith("docker login -u "), token)
    push(endpoint, token.x_swr_dockerlogin, "group/app", "v3")
    at = {"namespace": "group", "repository": "app"}
    page = admin.list_repository_tags(limit="2", offset="0", order_column="tag", order_type="asc", **at)
    check("a page of versions", ([one.tag for one in page.body], page.content_range) == (["v1", "v2"], "0-2/3"), page)
    check("a version has a size, a digest and its manifest",
          page.body[0].size > 0 and page.body[0].digest.startswith("sha256:") and json.loads(page.body[0].manifest), page.body[0])
    listed = admin.list_repository_tag(limit=2, order_column="tag", order_type="asc", **at)
    rest = admin.list_repository_tag(limit=2, marker=listed.next_marker, order_column="tag", order_type="asc", **at)
    check("versions by marker", listed.has_more and [one.tag for one in listed.tags + rest.tags] == ["v1", "v2", "v3"], (listed, rest))
    retag = lambda **more: admin.create_repo_tag(
        model.CreateRepoTagRequestBody(source_tag="v1", destination_tag="stable", **more), **at)
    retag()
    shown = admin.show_repo_tag(tag="stable", **at)
    check("a version that was tagged anew", (shown.tag, shown.digest) == ("stable", page.body[0].digest), shown)
    refused("a tag that is there", 409, "SVCSTG.SWR.4090115", retag)
    retag(override=True)
    admin.delete_repo_tag(tag="stable", **at)
    refused("a version that was deleted", 404, "SVCSTG.SWR.4040115", lambda: admin.show_repo_tag(tag="stable", **at))
    check("no accessories", admin.list_repo_accessories(tag="v1", **at).total == 0)
    check("no references", admin.list_references(tag="v1", **at).has_more is False)


def shares(admin, stranger, receiver):
    at = {"namespace": "group", "repository": "app"}
    body = lambda **fields: model.CreateRepoDomainsRequestBody(
        **{"access_domain": receiver["account"], "permit": "read", "deadline": "forever", **fields})
    refused("what another account has not shared", 404, "SVCSTG.SWR.4040113", lambda: stranger.show_repository(**at))
    check("no share yet", admin.show_access_domain(access_domain=receiver["account"], **at).exist is False)
    admin.create_repo_domains(body(description="for you"), **at)
    check("what is shared is seen", stranger.show_repository(**at).name == "app")
    shown = admin.show_access_domain(access_domain=receiver["account"], **at)
    check("a share is read back", (shown.exist, shown.deadline, shown.description, shown.status) == (True, "forever", "for you", True), shown)
    check("shares are listed", [one.access_domain for one in admin.list_repo_domains(**at).body] == [receiver["account"]])
    mine = admin.list_shared_repos_details(center="self", filter="center::self")
    check("what I share", [one.name for one in mine.body or []] == ["app"], mine)
    theirs = stranger.list_shared_repo_details(shared_by="thirdparty")
    check("what is shared with me", [(one.name, one.status) for one in theirs.repos or []] == [("app", True)], theirs)
    refused("a second share", 409, "SVCSTG.SWR.4091090", lambda: admin.create_repo_domains(body(), **at))
    refused("an account that does not exist", 400, "SVCSTG.SWR.4001041",
            lambda: admin.create_repo_domains(body(access_domain="nobody"), **at))
    admin.update_repo_domains(
        model.UpdateRepoDomainsRequestBody(permit="read", deadline="2020-01-01T00:00:00.000Z", description=""),
        access_domain=receiver["account"], **at)
    refused("a share whose day has passed", 404, "SVCSTG.SWR.4040113", lambda: stranger.show_repository(**at))
    admin.delete_repo_domains(access_domain=receiver["account"], **at)
    check("no share left", not admin.list_repo_domains(**at).body)


def retentions(admin):
    at = {"namespace": "group", "repository": "app"}
    rule = lambda **fields: model.CreateRetentionRequestBody(
        algorithm="or",
        rules=[model.Rule(**{"template": "tag_rule", "params": {"num": "2"}, "tag_selectors": [
            model.TagSelector(kind="label", pattern="v1")], **fields})])
    created = admin.create_retention(rule(), **at)
    shown = admin.show_retention(retention_id=created.id, **at)
    read = shown.rules[0]
    check("a rule is read back", (shown.id, shown.algorithm, read.template, read.params,
                                  [(one.kind, one.pattern) for one in read.tag_selectors])
          == (created.id, "or", "tag_rule", {"num": "2"}, [("label", "v1")]), shown)
    refused("a second rule", 400, "SVCSTG.SWR.4000014", lambda: admin.create_retention(rule(), **at))
    refused("a count that is too large", 400, "SVCSTG.SWR.4000014",
            lambda: admin.update_retention(rule(params={"num": "1001"}), retention_id=created.id, **at))
    update = model.UpdateRetentionRequestBody(algorithm="or", rules=rule(params={"num": "1"}).rules)
    admin.update_retention(update, retention_id=created.id, **at)
    check("rules are listed", [one.rules[0].params for one in admin.list_retentions(**at).body] == [{"num": "1"}])
    cleared = None
    for _ in range(100):
        cleared = admin.list_retention_histories(limit="10", offset="0", **at)
        if cleared.total:
            break
        time.sleep(0.1)
    check("the rule cleared what is beyond the newest",
          [(one.namespace, one.repo, one.tag, one.retention_id, json.loads(one.rule_type)["template"])
           for one in cleared.retention_log] == [("group", "app", "v2", created.id, "tag_rule")]
          and cleared.content_range == "0-1/1", cleared)
    refused("a rule of another kind", 400, "SVCSTG.SWR.4000014", lambda: admin.update_retention(
        rule(template="date_rule", params={"days": "3"}), retention_id=created.id, **at))
    tags = [one.tag for one in admin.list_repository_tags(order_column="tag", order_type="asc", **at).body]
    check("the filtered and the newest stay", tags == ["v1", "v3"], tags)
    admin.delete_retention(retention_id=created.id, **at)
    refused("a rule that was deleted", 404, "SVCSTG.SWR.4040306", lambda: admin.show_retention(retention_id=created.id, **at))


def triggers(admin):
    at = {"namespace": "group", "repository": "app"}
    body = lambda **fields: model.CreateTriggerRequestBody(**{
        "name": "deploy", "action": "update", "app_type": "deployments", "application": "web", "cluster_id": "c1",
        "cluster_name": "cluster", "cluster_ns": "default", "condition": "^v2.*", "container": "web", "enable": "false",
        "trigger_mode": "cce", "trigger_type": "regular", **fields})
    admin.create_trigger(body(), **at)
    shown = admin.show_trigger(trigger="deploy", **at)
    wanted = body().to_dict()
    check("a trigger is read back", {key: shown.to_dict()[key] for key in wanted} == wanted and shown.created_at
          and shown.creator_name and shown.trigger_history == [], shown)
    refused("a taken trigger", 400, "SVCSTG.SWR.4000014", lambda: admin.create_trigger(body(), **at))
    refused("a broken pattern", 400, "SVCSTG.SWR.4000014", lambda: admin.create_trigger(body(name="b", condition="("), **at))
    admin.update_trigger(model.UpdateTriggerRequestBody(enable="true"), trigger="deploy", **at)
    check("triggers are listed", [(one.name, one.enable, one.trigger_history)
                                  for one in admin.list_triggers_details(**at).body] == [("deploy", "true", None)])
    admin.delete_trigger(trigger="deploy", **at)
    refused("a trigger that was deleted", 404, "SVCSTG.SWR.4040126", lambda: admin.show_trigger(trigger="deploy", **at))


def syncs(admin):
    at = {"namespace": "group", "repository": "app"}
    regions = [one.region_id for one in admin.list_sync_regions().body]
    check("the peers are listed", regions == ["cn-north-1"], regions)
    admin.create_image_sync_repo(model.CreateImageSyncRepoRequestBody(
        remote_region_id="cn-north-1", remote_namespace="there", sync_auto=True, override=False), **at)
    rules = admin.list_image_auto_sync_repos_details(**at).body
    check("a sync rule is read back",
          [(one.namespace, one.repo_name, one.remote_region_id, one.remote_namespace, one.sync_auto, one.override)
           for one in rules] == [("group", "app", "cn-north-1", "there", True, False)]
          and rules[0].id and rules[0].domain_id and rules[0].created_at, rules)
    refused("an unknown region", 500, "SVCSTG.SWR.5001101", lambda: admin.create_image_sync_repo(
        model.CreateImageSyncRepoRequestBody(remote_region_id="nowhere", remote_namespace="there"), **at))
    answer = admin.create_manual_image_sync_repo(model.CreateManualImageSyncRepoRequestBody(
        image_tag=["v1", "absent"], remote_region_id="cn-north-1", remote_namespace="there"), **at)
    check("what cannot go is told", answer.body == ["absent"], answer)
    page = admin.show_sync_job(filter="limit::10|offset::0|order::asc", **at)
    check("a sync job is read back",
          [(one.tag, one.remote_region_id, one.remote_namespace, one.override, one.status) for one in page.body]
          == [("v1", "cn-north-1", "there", False, "waiting")]
          and page.body[0].sync_operator_name and page.content_range == "0-1/1", page)
    delete = lambda: admin.delete_image_sync_repo(
        model.DeleteImageSyncRepoRequestBody(remote_region_id="cn-north-1", remote_namespace="there"), **at)
    delete()
    refused("a sync rule that was deleted", 400, "SVCSTG.SWR.4001158", delete)


def account(admin):
    overview = admin.show_domain_overview()
    check("an overview", (overview.namspace_num, overview.repo_num, overview.image_num) == (1, 1, 2), overview)
    check("sizes are numbers", overview.store_space >= 0 and overview.downflow_size >= 0, overview)
    gates = admin.show_share_feature_gates()
    check("feature gates are booleans", (gates.enable_list_v3, gates.enable_image_sync, gates.enable_sm3)
          == (True, True, False), gates)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    for kind in ("store", "downflow"):
        for frequency, count, last in (("daily", 30, today), ("monthly", 12, today.replace(day=1))):
            report = admin.show_domain_resource_reports(resource_type=kind, frequency=frequency).body
            check(f"a {frequency} report of {kind}", len(report) == count and report[-1].date == str(last)
                  and all(one.value >= 0 for one in report), report)
    refused("a report of every hour", 400, "SVCSTG.SWR.4000014",
            lambda: admin.show_domain_resource_reports(resource_type="store", frequency="hourly"))
    was = admin.check_agency().is_agency
    admin.create_agency()
    check("an agency", (was, admin.check_agency().is_agency) == (False, True))
    refused("a second agency", 409, "SVCSTG.SWR.4090000", lambda: admin.create_agency())


def traces(admin, user):
    names, following = [], None
    while True:
        answer = admin.cts.list_traces(ListTracesRequest(trace_type="system", limit=50, next=following))
        names += [(one.trace_name, one.code, one.user.name) for one in answer.traces or []]
        following = answer.meta_data.marker
        if not following or not answer.traces:
            break
    for wanted in ("createUserNamespace", "deleteUserNamespace", "createUserNamespaceAuth", "updateUserNamespaceAuth",
                   "deleteUserNamespaceAuth", "createImageRepository", "updateImageRepository", "deleteImageRepository",
                   "createUserRepositoryAuth", "updateUserRepositoryAuth", "deleteUserRepositoryAuth", "createVersion",
                   "deleteImageTag", "createDockerConfig", "createImageRepositoryAccessDomain",
                   "updateImageRepositoryAccessDomain", "deleteImageRepositoryAccessDomain", "createRetention",
                   "updateRetention", "deleteRetention", "createTrigger", "updateTrigger", "deleteTrigger"):
        check(f"a trace of {wanted}", any(name == wanted for name, _, _ in names))
    check("traces name who acted", any(who == user["user"] for _, _, who in names))
    check("a refusal leaves a trace", any(code == "409" and name == "createUserNamespace" for name, code, _ in names), names[:5])
    one = admin.cts.list_traces(ListTracesRequest(trace_type="system", trace_name="createUserNamespace", limit=1)).traces
    check("traces by name", [trace.trace_name for trace in one] == ["createUserNamespace"], one)


def main():
    endpoint, credentials = sys.argv[1], json.load(open(sys.argv[2]))
    admin, member, stranger = (Door(endpoint, credentials[who]) for who in ("admin", "member", "stranger"))
    namespaces(admin, member)
    namespace_grants(admin, member, credentials["member"])
    repositories(admin, member, credentials["member"])
    versions(admin, endpoint)
    shares(admin, stranger, credentials["stranger"])
    retentions(admin)
    triggers(admin)
    syncs(admin)
    account(admin)
    traces(admin, credentials["admin"])
    false_key = dict(credentials["admin"], secret_access_key="0" * 40)
    refused("a false signature", 401, "APIGW.0301", lambda: Door(endpoint, false_key).list_namespaces())
    at = {"namespace": "group", "repository": "app"}
    admin.delete_repo(**at)
    admin.delete_namespaces(namespace="group")
    refused("a namespace that was deleted", 404, "SVCSTG.SWR.4040058", lambda: admin.show_namespace(namespace="group"))
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


main()
