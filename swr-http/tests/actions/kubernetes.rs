//! Deploying: what a cluster is asked, and what its answers mean.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use serde_json::{Value, json};
use swr_core::control::trigger::{TriggerTarget, Workload, WorkloadKind};
use swr_core::ports::{ActionError, TriggerAction};
use swr_http::actions::{Actions, Cluster, Clusters, Kubernetes};
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Receiver, Reply};
use crate::scene::{Authority, HOST, delivery, digest, trigger, workload};

const NEW: &str = "registry.example.com:5000/shop/web:v2";

/// A kubeconfig for a server, with further lines for its cluster and for its user.
fn kubeconfig(server: &str, cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
preferences: {{}}
current-context: main
contexts:
- name: other
  context: {{cluster: absent, user: absent}}
- name: main
  context:
    cluster: here
    user: swr
    namespace: ignored
clusters:
- name: here
  cluster:
    server: {server}
{cluster}
users:
- name: swr
  user:
    {user}
"
    )
}

async fn cluster(folder: &Path, text: &str) -> Result<Cluster, String> {
    let path = folder.join("config");
    fs::write(&path, text).unwrap();
    Cluster::from_kubeconfig(&path, None).await.map_err(|error| error.to_string())
}

/// A line for a cluster whose certificate does not matter: those of the machine are not asked for then.
const ANYONE: &str = "    insecure-skip-tls-verify: true";

async fn clusters(receiver: &Receiver) -> Clusters {
    let folder = tempfile::tempdir().unwrap();
    // With a path, as behind a proxy for many clusters, and a slash at its end.
    let text = kubeconfig(&format!("http://{}/k8s/c-1/", receiver.address), ANYONE, "token: t0ken");
    Clusters::new().with("one", cluster(folder.path(), &text).await.unwrap())
}

async fn kubernetes(receiver: &Receiver) -> Kubernetes {
    Kubernetes::new(HOST, clusters(receiver).await)
}

async fn set(kubernetes: &Kubernetes, workload: Workload) -> Result<String, ActionError> {
    kubernetes.act(&trigger(TriggerTarget::Workload(workload)), &delivery()).await
}

fn failed(outcome: Result<String, ActionError>) -> String {
    match outcome {
        Err(ActionError::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn impossible(outcome: Result<String, ActionError>) -> String {
    match outcome {
        Err(ActionError::Impossible(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// A pod's specification: two containers of ours, one of somebody else's, and one of ours that begins.
fn pod() -> Value {
    json!({
        "initContainers": [{ "name": "migrate", "image": "registry.example.com:5000/shop/web@sha256:00" }],
        "containers": [
            { "name": "app", "image": "registry.example.com:5000/shop/web:v1", "ports": [{ "containerPort": 80 }] },
            { "name": "proxy", "image": "registry.example.com:5000/shop/proxy:v1" },
            { "name": "worker", "image": "registry.example.com:5000/shop/web" },
            { "name": "near", "image": "registry.example.com:5000/shop/web-2:v1" },
        ],
    })
}

fn object(kind: WorkloadKind, pod: &Value) -> Reply {
    let spec = match kind {
        WorkloadKind::CronJobs => json!({ "jobTemplate": { "spec": { "template": { "spec": pod } } } }),
        _ => json!({ "replicas": 2, "template": { "metadata": { "labels": {} }, "spec": pod } }),
    };
    let object = json!({ "metadata": { "name": "front", "resourceVersion": "4711" }, "spec": spec });
    Reply::with(200, "content-type: application/json\r\n", &object.to_string())
}

fn refusal(status: u16, message: &str) -> Reply {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status });
    Reply::with(status, "content-type: application/json\r\n", &body.to_string())
}

#[tokio::test]
async fn the_image_of_the_named_container_is_patched_in_every_kind_of_workload() {
    let nested = |containers: Value| json!({ "template": { "spec": { "containers": containers } } });
    for (kind, group, spec) in [
        (WorkloadKind::Deployments, "apps/v1", nested as fn(Value) -> Value),
        (WorkloadKind::StatefulSets, "apps/v1", nested),
        (WorkloadKind::DaemonSets, "apps/v1", nested),
        (
            WorkloadKind::CronJobs,
            "batch/v1",
            |containers| json!({ "jobTemplate": { "spec": { "template": { "spec": { "containers": containers } } } } }),
        ),
    ] {
        let receiver = Receiver::new([object(kind, &pod()), Reply::with(200, "", "{}")]).await;
        let said = set(&kubernetes(&receiver).await, workload(kind, "app")).await.unwrap();
        assert_eq!(said, format!("{}/front in market was set to {NEW}", kind.as_str()));

        let [read, patched] = &receiver.asked()[..] else { panic!("{:?}", receiver.asked()) };
        let path = format!("/k8s/c-1/apis/{group}/namespaces/market/{}/front", kind.as_str());
        assert_eq!((read.method.as_str(), &read.path, read.body.as_str()), ("GET", &path, ""));
        assert_eq!((patched.method.as_str(), &patched.path), ("PATCH", &format!("{path}?fieldManager=swr")));
        for asked in [read, patched] {
            assert_eq!(asked.header("authorization"), "Bearer t0ken");
            assert_eq!(asked.header("accept"), "application/json");
            assert_eq!(asked.header("user-agent"), concat!("swr/", env!("CARGO_PKG_VERSION")));
        }
        assert_eq!(patched.header("content-type"), "application/strategic-merge-patch+json");
        let expected = json!({
            "metadata": { "resourceVersion": "4711" },
            "spec": spec(json!([{ "name": "app", "image": NEW }])),
        });
        assert_eq!(patched.json(), expected);
    }
}

#[tokio::test]
async fn without_a_name_every_container_of_the_repository_is_set_and_no_other() {
    let kind = WorkloadKind::Deployments;
    let receiver = Receiver::new([object(kind, &pod()), Reply::with(200, "", "{}")]).await;
    set(&kubernetes(&receiver).await, workload(kind, "")).await.unwrap();
    let expected = json!({
        "initContainers": [{ "name": "migrate", "image": NEW }],
        "containers": [{ "name": "app", "image": NEW }, { "name": "worker", "image": NEW }],
    });
    assert_eq!(receiver.asked()[1].json()["spec"]["template"]["spec"], expected);
}

#[tokio::test]
async fn an_image_is_named_by_its_digest_where_the_host_wants_it() {
    let kind = WorkloadKind::Deployments;
    let receiver = Receiver::new([object(kind, &pod()), Reply::with(200, "", "{}")]).await;
    set(&kubernetes(&receiver).await.by_digest(), workload(kind, "proxy")).await.unwrap();
    let image = format!("{NEW}@{}", digest());
    assert_eq!(
        receiver.asked()[1].json()["spec"]["template"]["spec"],
        json!({ "containers": [{ "name": "proxy", "image": image }] })
    );
}

#[tokio::test]
async fn what_is_set_already_is_not_set_again() {
    let kind = WorkloadKind::Deployments;
    let mut pod = pod();
    pod["containers"][0]["image"] = NEW.into();
    let receiver = Receiver::new([object(kind, &pod)]).await;
    let said = set(&kubernetes(&receiver).await, workload(kind, "app")).await.unwrap();
    assert_eq!(said, format!("deployments/front in market had {NEW} already"));
    assert_eq!(receiver.asked_once().method, "GET");
}

/// A strategic merge patch would add it.
#[tokio::test]
async fn a_container_that_is_not_there_does_not_come_to_be() {
    let kind = WorkloadKind::Deployments;
    let receiver = Receiver::new([object(kind, &pod()), object(kind, &json!({ "containers": [] }))]).await;
    let said = impossible(set(&kubernetes(&receiver).await, workload(kind, "absent")).await);
    assert_eq!(said, "deployments/front in market has no container `absent`");
    let said = impossible(set(&kubernetes(&receiver).await, workload(kind, "")).await);
    let repository = NEW.trim_end_matches(":v2");
    assert_eq!(said, format!("deployments/front in market has no container with an image of {repository}"));
    assert!(receiver.asked().iter().all(|asked| asked.method == "GET"));
}

#[tokio::test]
async fn what_a_refusal_means() {
    let kind = WorkloadKind::Deployments;
    for (status, lasting) in [
        (400, true),
        (403, true),
        (404, true),
        (405, true),
        (422, true),
        (302, false),
        (401, false),
        (408, false),
        (409, false),
        (429, false),
        (500, false),
        (503, false),
        (504, false),
    ] {
        for before in [&[][..], &[object(kind, &pod())]] {
            let replies = before.iter().cloned().chain([refusal(status, "such is\nlife")]);
            let receiver = Receiver::new(replies).await;
            let outcome = set(&kubernetes(&receiver).await, workload(kind, "app")).await;
            let said = if lasting { impossible(outcome) } else { failed(outcome) };
            assert_eq!(said, format!("the cluster answered {status}: such is life"));
        }
    }
    let receiver =
        Receiver::new([Reply::with(502, "", "<h1>Bad</h1>"), Reply::with(200, "", "no JSON")]).await;
    let kubernetes = kubernetes(&receiver).await;
    let said = failed(set(&kubernetes, workload(kind, "app")).await);
    assert_eq!(said, "the cluster answered 502: <h1>Bad</h1>");
    let said = failed(set(&kubernetes, workload(kind, "app")).await);
    assert_eq!(said, "the cluster answered with no workload");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let chunk = |text: &str| format!("{:x}\r\n{}\r\n", text.len() << 16, text.repeat(1 << 16));
    let receiver = Receiver::new([
        Reply::Endless("HTTP/1.1 200 Said\r\ntransfer-encoding: chunked\r\n\r\n", chunk("[")),
        Reply::Endless("HTTP/1.1 403 Said\r\ntransfer-encoding: chunked\r\n\r\n", chunk("again")),
    ])
    .await;
    let kubernetes = kubernetes(&receiver).await;
    failed(set(&kubernetes, workload(WorkloadKind::Deployments, "app")).await);
    let said = impossible(set(&kubernetes, workload(WorkloadKind::Deployments, "app")).await);
    assert_eq!(said, format!("the cluster answered 403: {}", "again".repeat(40)));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_answer_is_waited_for_thirty_seconds() {
    let receiver = Receiver::new([Reply::Silence]).await;
    let before = tokio::time::Instant::now();
    let said = failed(set(&kubernetes(&receiver).await, workload(WorkloadKind::Deployments, "app")).await);
    assert_eq!(said, "no answer of the cluster within 30 s");
    assert_eq!(before.elapsed().as_secs(), 30, "on a clock that moves when nothing else does");
}

#[tokio::test]
async fn a_cluster_that_is_not_configured_is_impossible() {
    let receiver = Receiver::new([]).await;
    let mut elsewhere = workload(WorkloadKind::Deployments, "app");
    elsewhere.cluster_id = "two".into();
    let said = impossible(set(&kubernetes(&receiver).await, elsewhere).await);
    assert_eq!(said, "cluster `two` is not configured in this registry");
    assert_eq!(receiver.asked().len(), 0);
}

#[tokio::test]
async fn no_name_asks_a_cluster_for_something_else() {
    let receiver = Receiver::new([]).await;
    let kubernetes = kubernetes(&receiver).await;
    for name in ["../../secrets/x", "..", "front/scale", "front?watch=1", "front#", "Front", ""] {
        for place in [true, false] {
            let mut other = workload(WorkloadKind::Deployments, "app");
            *(if place { &mut other.application } else { &mut other.namespace }) = name.into();
            let said = impossible(set(&kubernetes, other).await);
            assert_eq!(said, format!("`{name}` is no name in a cluster"));
        }
    }
    assert_eq!(receiver.asked().len(), 0);
}

#[tokio::test]
async fn actions_deploy_with_what_they_were_given() {
    let kind = WorkloadKind::CronJobs;
    let receiver = Receiver::new([object(kind, &pod()), Reply::with(200, "", "{}")]).await;
    let actions = Actions::new().with_workload(Arc::new(kubernetes(&receiver).await));
    let target = TriggerTarget::Workload(workload(kind, "app"));
    actions.act(&trigger(target), &delivery()).await.unwrap();
    assert_eq!(receiver.asked().len(), 2);
    let hook = trigger(TriggerTarget::Webhook { url: "https://hooks.example/".into(), secret: None });
    impossible(actions.act(&hook, &delivery()).await);
    impossible(kubernetes(&receiver).await.act(&hook, &delivery()).await);
}

/// In the file itself, and in files beside it.
#[tokio::test]
async fn a_kubeconfig_says_whom_to_believe_and_who_we_are() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("swr");
    let base64 = |text: &str| BASE64.encode(text.as_bytes());
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("ca.crt", &authority.certificate()), ("swr.crt", &certificate), ("swr.key", &key)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::write(folder.path().join("token"), "first").unwrap();
    let data = |text: &str| format!("    certificate-authority-data: {}", base64(text));
    let certificates =
        format!("client-certificate-data: {}\n    client-key-data: {}", base64(&certificate), base64(&key));
    let kind = WorkloadKind::Deployments;
    let replies = [object(kind, &pod()), Reply::with(200, "", "{}")];
    for (cluster_lines, user, token) in [
        (data(&authority.certificate()), &*certificates, None),
        (
            "    certificate-authority: ca.crt".to_owned(),
            "client-certificate: swr.crt\n    client-key: swr.key",
            None,
        ),
        (
            "    certificate-authority: ca.crt".to_owned(),
            "token: ignored\n    tokenFile: token",
            Some("first"),
        ),
        (ANYONE.to_owned(), "token: t0ken", Some("t0ken")),
    ] {
        let tls = TlsAcceptor::from(Arc::new(authority.server("localhost")));
        let receiver = Receiver::with_tls(replies.clone(), tls).await;
        let server = format!("https://localhost:{}", receiver.address.port());
        let cluster = cluster(folder.path(), &kubeconfig(&server, &cluster_lines, user)).await.unwrap();
        let kubernetes = Kubernetes::new(HOST, Clusters::new().with("one", cluster));
        set(&kubernetes, workload(kind, "app")).await.unwrap();
        for asked in receiver.asked() {
            let shown = asked.has("authorization").then(|| asked.header("authorization").to_owned());
            assert_eq!(shown, token.map(|token| format!("Bearer {token}")));
        }
    }

    let tls = TlsAcceptor::from(Arc::new(authority.server("localhost")));
    let receiver = Receiver::with_tls([], tls).await;
    let server = format!("https://localhost:{}", receiver.address.port());
    let text = kubeconfig(&server, &data(&Authority::new().certificate()), "token: t0ken");
    let kubernetes =
        Kubernetes::new(HOST, Clusters::new().with("one", cluster(folder.path(), &text).await.unwrap()));
    failed(set(&kubernetes, workload(kind, "app")).await);
    assert_eq!(receiver.asked().len(), 0, "a token is not shown to whom the authority does not know");
}

#[tokio::test]
async fn what_signs_in_by_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (field, lines) in [
        ("exec", "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token]}"),
        ("auth-provider", "auth-provider: {name: gcp, config: {}}"),
    ] {
        let said = cluster(folder.path(), &kubeconfig("https://10.0.0.1:6443", "", lines)).await.unwrap_err();
        assert!(said.starts_with(&format!("the kubeconfig has `{field}`, which is not followed")), "{said}");
    }
}

#[tokio::test]
async fn a_kubeconfig_that_leads_nowhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Cluster::from_kubeconfig(&folder.path().join("absent"), None).await.is_err());
    let text = kubeconfig("https://10.0.0.1", ANYONE, "token: t");
    assert!(cluster(folder.path(), &text).await.is_ok());
    for (text, said) in [
        ("", "context"),
        ("current-context: [", ""),
        ("clusters: 7", ""),
        (&text.replace("current-context: main", "current-context: lost"), "lost"),
        (&text.replace("current-context: main", "current-context: other"), "absent"),
        (&text.replace("https://10.0.0.1", "no address"), "url"),
        (&text.replace("token: t", "client-certificate: absent.crt"), "absent.crt"),
        (&text.replace("token: t", "client-certificate-data: '%'"), "base64"),
        (&text.replace("token: t", "client-certificate-data: AAAA\n    client-key-data: AAAA"), ""),
    ] {
        let refused = cluster(folder.path(), text).await.unwrap_err();
        assert!(refused.contains(said), "{said}: {refused}");
    }
    fs::write(folder.path().join("config"), &text).unwrap();
    assert!(Cluster::from_kubeconfig(&folder.path().join("config"), Some("other")).await.is_err());
}
