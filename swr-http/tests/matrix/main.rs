//! Who may do what, all of it: every operation of the registry's protocol, of the management protocol and of where
//! tokens are given out, asked by everybody about everything, as the first request, after others, and after every
//! right was withdrawn.
//!
//! What the answer has to be is computed by [`model`], which was written from the product's pages and asks the
//! product nothing; what is asked stands in [`rows`]. An operation without a row does not compile: to add one, write
//! its line into `rows::of_management`, `rows::of_registry` or `rows::of_token` with its method, its address, what
//! it needs and its status when it is done.
//!
//! What is refused changes nothing, shows nothing of what was pushed, and looks the same to all who are refused for
//! the same reason: of what they may not know they learn not even whether it is there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod house;
mod identities;
mod model;
#[path = "../control/package.rs"]
mod package;
mod rows;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use swr_core::ports::Action;
use swr_core::upload::UploadId;
use swr_http::control::ManagementEndpoint;
use swr_http::token::TokenEndpoint;
use swr_http::{Endpoint, EndpointKind};

use house::{Answer, CONTENT, Doors, House};
use identities::Identity;
use model::{List, Outcome, Phase};
use rows::{Asked, Row};
use targets::Target;

/// One request.
#[derive(Clone, Debug)]
struct Cell {
    operation: Asked,
    row: Row,
    identity: Identity,
    target: Target,
    phase: Phase,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, row, identity, target, phase } = self;
        let Row { method, address, .. } = row;
        write!(f, "{phase:?} {operation:?} ({method} {address}) by {identity:?} about {target:?}")
    }
}

impl Cell {
    fn expected(&self) -> Outcome {
        let Self { operation, row, identity, target, phase } = self;
        let answers = row.answers(*target);
        match operation {
            Asked::Registry(_) => model::of_registry(row.needs, *identity, *target, *phase, answers),
            Asked::Management(_) => model::of_management(row.needs, *identity, *target, *phase, answers),
            Asked::Token(_) => model::of_tokens(row.needs, *identity, *phase, answers[0]),
        }
    }
}

/// Everything that is found wrong, and what is seen on the way.
#[derive(Default)]
struct Findings {
    wrong: Vec<String>,
    cells: usize,
    /// The answers of each kind of refusal, without the names.
    refusals: BTreeMap<(Asked, String, Outcome), (String, String)>,
    /// Rows that something was changed by.
    marked: BTreeSet<String>,
    done: BTreeSet<String>,
}

#[tokio::test]
async fn everybody_gets_what_is_theirs_at_once() {
    check(Phase::First).await;
}

#[tokio::test]
async fn everybody_gets_what_is_theirs_again() {
    check(Phase::Warm).await;
}

#[tokio::test]
async fn nobody_gets_what_was_theirs() {
    check(Phase::Withdrawn).await;
}

async fn check(phase: Phase) {
    let mut findings = Findings::default();
    let mut house = House::furnished().await;
    let doors = opened(&mut house, phase, &Identity::ALL).await;
    for (operation, rows) in rows::all() {
        for row in rows {
            let before = house.state().await;
            for identity in Identity::ALL {
                let cells = row.targets.iter().map(|target| Cell {
                    operation,
                    row: row.clone(),
                    identity,
                    target: *target,
                    phase,
                });
                let (done, others): (Vec<_>, Vec<_>) =
                    cells.partition(|cell| row.changes() && matches!(cell.expected(), Outcome::Done(_)));
                ask_all(&house, &doors, &others, &mut findings).await;
                if !done.is_empty() {
                    // What is changed is not asked about again.
                    let mut house = House::furnished().await;
                    let doors = opened(&mut house, phase, &[identity]).await;
                    ask_all(&house, &doors, &done, &mut findings).await;
                }
            }
            if house.state().await != before {
                let what = format!("{phase:?} {operation:?} {}: something has changed", row.address);
                findings.wrong.push(what);
            }
        }
    }
    let unseen: Vec<_> = findings.done.difference(&findings.marked).collect();
    assert!(unseen.is_empty(), "no change that is done by these can be seen: {unseen:?}");
    let Findings { cells, wrong, .. } = findings;
    assert!(wrong.is_empty(), "{} of {cells} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Doors of a house in this phase, that these have come to before.
async fn opened(house: &mut House, phase: Phase, known: &[Identity]) -> Doors {
    let doors = house.doors();
    if phase == Phase::Withdrawn {
        for identity in known {
            for target in Target::ALL {
                house.warm(&doors, *identity, target).await;
            }
        }
        house.withdraw().await;
    }
    doors
}

async fn ask_all(house: &House, doors: &Doors, cells: &[Cell], findings: &mut Findings) {
    for cell in cells {
        let fresh;
        let doors = match cell.phase {
            Phase::First => {
                fresh = house.doors();
                &fresh
            }
            Phase::Warm => {
                house.warm(doors, cell.identity, cell.target).await;
                doors
            }
            Phase::Withdrawn => doors,
        };
        ask(house, doors, cell, findings).await;
    }
}

async fn ask(house: &House, doors: &Doors, cell: &Cell, findings: &mut Findings) {
    let Cell { operation, row, identity, target, .. } = cell;
    let expected = cell.expected();
    let uploads = match row.is_of_uploads() {
        true => house.uploads(*identity, *target).await,
        false => [UploadId::random(), UploadId::random()],
    };
    let request = house.request(*operation, row, *identity, *target, &uploads).await;
    assert_eq!(asked_for(*operation, &request), Some(*operation), "{cell}");

    let before = house.mark().await;
    let answer = doors.send(*operation, request).await;
    let is_changed = house.mark().await != before;
    house.forget(&uploads).await;

    findings.cells += 1;
    let mut wrong = |what: String| findings.wrong.push(format!("{cell}: {what}"));
    if let Err(found) = agrees(expected, &answer, row.method == "HEAD") {
        wrong(format!("expected {expected:?}, {found}: {answer:?}"));
        return;
    }
    if let (Some(list), Outcome::Done(_), false) = (row.list, expected, row.method == "HEAD") {
        for it in Target::ALL.into_iter().filter(|it| it.exists()) {
            let name = if list == List::Organisations { it.organisation().name() } else { it.repository() };
            let text = String::from_utf8_lossy(&answer.body);
            let is_there = text.contains(&format!("\"{name}\"")) || text.contains(&format!("/{name}\""));
            if is_there != model::is_listed(list, *identity, it, cell.phase) {
                wrong(format!("{it:?} is in the list: {is_there}"));
            }
        }
    }
    if let (Asked::Token(TokenEndpoint::ByQuery | TokenEndpoint::ByForm), Outcome::Done(_)) =
        (operation, expected)
    {
        let given = given(&answer);
        let expected = model::login_gives(*identity, *target, cell.phase);
        if given != expected {
            wrong(format!("the token gives {given:?}, and not {expected:?}"));
        }
    }
    if let Outcome::Done(_) = expected {
        if row.changes() {
            findings.done.insert(format!("{operation:?} {}", row.address));
            if is_changed {
                findings.marked.insert(format!("{operation:?} {}", row.address));
            }
        } else if is_changed {
            wrong("something was changed by looking".to_owned());
        }
        return;
    }
    if is_changed {
        wrong("what was refused has changed something".to_owned());
    }
    if format!("{answer:?}").contains(CONTENT) {
        wrong(format!("content is shown: {answer:?}"));
    }
    // Why it cannot be done is told to those who may.
    if let Outcome::Impossible(_) = expected {
        return;
    }
    let answer = anonymous(&answer, house, *target, &uploads);
    let kind = (*operation, format!("{} {}", row.method, row.address), expected);
    match findings.refusals.get(&kind) {
        None => drop(findings.refusals.insert(kind, (cell.to_string(), answer))),
        Some((_, first)) if *first == answer => {}
        Some((other, first)) => {
            let different = format!("{cell}: {answer}\nis not answered as\n{other}: {first}");
            findings.wrong.push(different);
        }
    }
}

/// Which operation the product takes the request for.
fn asked_for<B>(operation: Asked, request: &http::Request<B>) -> Option<Asked> {
    let (method, path, query) = (request.method(), request.uri().path(), request.uri().query());
    match operation {
        Asked::Registry(_) => {
            let endpoint = Endpoint::parse(method, path.strip_prefix("/v2")?, query).ok()?;
            Some(Asked::Registry(EndpointKind::of(&endpoint)))
        }
        Asked::Management(_) => {
            let endpoint = ManagementEndpoint::parse(method, path, query).ok()?;
            Some(Asked::Management(endpoint.kind()))
        }
        Asked::Token(_) => TokenEndpoint::parse(method, path).ok().map(Asked::Token),
    }
}

/// Whether the answer is what it has to be, or else in what it differs.
fn agrees(expected: Outcome, answer: &Answer, is_head: bool) -> Result<(), &'static str> {
    let header = |name: &str| answer.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let challenge = header("www-authenticate");
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    // What the registry's protocol says of a refusal.
    let registry = |status: u16, code: &str, message: Option<&str>| {
        is(answer.status == status, "another status")?;
        is(challenge.is_empty() == (status != 401), "a challenge too much, or none")?;
        if is_head {
            return is(answer.body.is_empty(), "a body");
        }
        is(body["errors"][0]["code"] == code, "another code")?;
        is(message.is_none_or(|message| body["errors"][0]["message"] == message), "another sentence")
    };
    let management = |status: u16, message: Option<&str>| {
        is(answer.status == status, "another status")?;
        is(challenge.is_empty(), "a challenge")?;
        let number = format!("SVCSTG.SWR.{status}");
        let code = body["error_code"].as_str().unwrap_or_default();
        is(code.starts_with(&number) || code.starts_with("CTS."), "another code")?;
        is(message.is_none_or(|message| body["error_msg"] == message), "another sentence")
    };
    match expected {
        Outcome::Done(status) => is(answer.status == status, "another status"),
        Outcome::Challenged => {
            registry(401, "UNAUTHORIZED", Some("authentication required"))?;
            is(challenge.starts_with("Bearer realm=\"https://registry.example/token\""), "another challenge")
        }
        Outcome::Denied => registry(403, "DENIED", Some("you do not have the permission")),
        Outcome::NoOrganisation => {
            let sentence = "Image organization does not exist, you should create it first";
            registry(403, "DENIED", Some(sentence))
        }
        Outcome::Unknown(code) => registry(404, code, None),
        Outcome::Unsigned => {
            is(answer.status == 401, "another status")?;
            is(body["error_code"] == "APIGW.0301", "another code")
        }
        Outcome::BadToken => {
            is(answer.status == 401, "another status")?;
            let code = &body["error_code"];
            is(code == "SVCSTG.SWR.4010000" || code == "APIGW.0301", "another code")
        }
        Outcome::TooLittle => management(403, Some("you do not have the permission")),
        Outcome::ForeignProject => management(403, None),
        Outcome::Hidden => management(404, None),
        Outcome::Impossible(status) => is(answer.status == status, "another status"),
        Outcome::WrongLogin => {
            registry(401, "UNAUTHORIZED", Some("authentication required"))?;
            is(challenge.starts_with("Basic "), "another challenge")
        }
        Outcome::WrongPassword => {
            is(answer.status == 401, "another status")?;
            is(body["error"]["message"] == "authentication required", "another sentence")
        }
    }
}

/// The answer without what names its target and its request, so that it can be laid beside others.
fn anonymous(answer: &Answer, house: &House, target: Target, uploads: &[UploadId; 2]) -> String {
    let mut text = format!("{answer:?}");
    let mut hide = |value: &str, place: &str| {
        if text.contains(value) {
            text = text.replace(value, place);
        }
    };
    if let Some(id) = answer.headers.get("x-request-id") {
        hide(id.to_str().unwrap(), "{id}");
    }
    for target in Target::ALL {
        hide(&target.name(), "{name}");
    }
    for place in ["{layer}", "{loose}", "{manifest}", "{upload}", "{others upload}", "{project}"] {
        hide(&house.written(place, target, uploads), place);
    }
    for target in Target::ORGANISATIONS {
        hide(target.organisation().name(), "{org}");
    }
    hide(&house.written("`{account}`", target, uploads), "{account}");
    text
}

/// What a token that was given out says it is good for.
fn given(answer: &Answer) -> Vec<Action> {
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let payload = document["token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap();
    let listed = claims["access"][0]["actions"].as_array().unwrap();
    [(Action::Pull, "pull"), (Action::Push, "push"), (Action::Delete, "delete")]
        .into_iter()
        .filter(|(_, name)| listed.contains(&json!(name)))
        .map(|(action, _)| action)
        .collect()
}
