//! Accounts, users and keys: who looks after whose, what is refused, and where secrets are seen.

use bytes::Bytes;
use chrono::TimeDelta;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use swr_auth::{NewPassword, Secret};
use swr_core::control::credential::KeyId;

use crate::house::{Answer, House, IntoBody as _, PASSWORD, Person, send};

const ACCOUNTS: &str = "/admin/v1/accounts";
const ACME: &str = "/admin/v1/accounts/acme/users";
const TOKEN_KEYS: &str = "/admin/v1/token-keys";

async fn ask(house: &House, person: &Person, method: &Method, address: &str, body: &Value) -> Answer {
    let body = if body.is_null() { Bytes::new() } else { body.clone().into_body() };
    house.asks(person, method.clone(), address, body).await
}

/// Everything that an operator sees of who there is.
async fn state(house: &House) -> Vec<Value> {
    let mut state = vec![house.olga(Method::GET, TOKEN_KEYS, "").await.is(200).json()];
    state.push(house.olga(Method::GET, ACCOUNTS, "").await.is(200).json());
    for account in ["acme", "globex", "base"] {
        let users = format!("{ACCOUNTS}/{account}/users");
        let listed = house.olga(Method::GET, &users, "").await.is(200).json();
        for user in listed["users"].as_array().unwrap() {
            let keys = format!("{users}/{}/access-keys", user["name"].as_str().unwrap());
            state.push(house.olga(Method::GET, &keys, "").await.is(200).json());
        }
        state.push(listed);
    }
    state
}

/// The person with a new key, as the answer that made it has it.
fn with_key(person: &Person, made: &Answer) -> Person {
    let made = made.json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    Person {
        user: person.user.clone(),
        account: person.account.clone(),
        key: KeyId::parse(&text("access_key_id")).unwrap(),
        secret: Secret::new(text("secret_access_key")),
    }
}

#[tokio::test]
async fn everybody_looks_after_its_own_administrators_after_their_account_and_operators_after_all() {
    let house = House::new().await;
    let (ada, bob, eve, olga) = (&house.ada, &house.bob, &house.eve, &house.olga);
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let base_olga = format!("{ACCOUNTS}/base/users/olga");
    let of = |user: &str, what: &str| format!("{ACME}/{user}/{what}");
    let (member, operator) = (json!({ "role": "member" }), json!({ "role": "operator" }));
    let new = |name: &str, role: &str| json!({ "name": name, "role": role });
    let password = json!({ "password": "long enough" });
    let nothing = || Value::Null;
    let rows = [
        // Accounts are for operators; one's own is no secret.
        (olga, &get, ACCOUNTS.to_owned(), nothing(), 200),
        (ada, &get, ACCOUNTS.to_owned(), nothing(), 403),
        (bob, &post, ACCOUNTS.to_owned(), json!({ "name": "new" }), 403),
        (ada, &post, ACCOUNTS.to_owned(), json!({ "name": "new" }), 403),
        (bob, &get, format!("{ACCOUNTS}/acme"), nothing(), 200),
        (olga, &get, format!("{ACCOUNTS}/acme"), nothing(), 200),
        // Of others' it is not said whether they are there.
        (eve, &get, format!("{ACCOUNTS}/acme"), nothing(), 404),
        (eve, &get, format!("{ACCOUNTS}/nobodys"), nothing(), 404),
        (eve, &get, ACME.to_owned(), nothing(), 404),
        (eve, &get, format!("{ACME}/bob"), nothing(), 404),
        // Users.
        (olga, &get, ACME.to_owned(), nothing(), 200),
        (ada, &get, ACME.to_owned(), nothing(), 200),
        (bob, &get, ACME.to_owned(), nothing(), 403),
        (bob, &get, format!("{ACME}/bob"), nothing(), 200),
        (bob, &get, format!("{ACME}/cyd"), nothing(), 403),
        (bob, &post, ACME.to_owned(), new("dot", "member"), 403),
        (eve, &post, ACME.to_owned(), new("dot", "member"), 404),
        (ada, &post, ACME.to_owned(), new("dot", "member"), 201),
        (ada, &post, ACME.to_owned(), new("eli", "administrator"), 201),
        (ada, &post, ACME.to_owned(), new("fay", "operator"), 403),
        (olga, &post, ACME.to_owned(), new("fay", "operator"), 201),
        (bob, &put, of("bob", "role"), json!({ "role": "administrator" }), 403),
        (ada, &put, of("bob", "role"), operator.clone(), 403),
        (ada, &put, of("ada", "role"), operator.clone(), 403),
        (ada, &put, of("eli", "role"), member.clone(), 204),
        (ada, &put, of("fay", "role"), member.clone(), 403),
        (ada, &put, of("fay", "password"), password.clone(), 403),
        (ada, &post, of("fay", "access-keys"), json!({}), 403),
        (ada, &delete, format!("{ACME}/fay"), nothing(), 403),
        (olga, &delete, format!("{ACME}/fay"), nothing(), 204),
        (bob, &delete, format!("{ACME}/cyd"), nothing(), 403),
        (bob, &delete, format!("{ACME}/bob"), nothing(), 403),
        (ada, &delete, format!("{ACME}/eli"), nothing(), 204),
        // Passwords and keys.
        (bob, &put, of("bob", "password"), password.clone(), 204),
        (bob, &put, of("cyd", "password"), password.clone(), 403),
        (ada, &put, of("cyd", "password"), password.clone(), 204),
        (eve, &put, of("cyd", "password"), password.clone(), 404),
        (bob, &post, of("bob", "access-keys"), json!({}), 201),
        (bob, &get, of("bob", "access-keys"), nothing(), 200),
        (bob, &post, of("cyd", "access-keys"), json!({}), 403),
        (bob, &get, of("cyd", "access-keys"), nothing(), 403),
        (ada, &post, of("cyd", "access-keys"), json!({}), 201),
        (bob, &delete, format!("{}/{}", of("cyd", "access-keys"), house.cyd.key), nothing(), 403),
        (ada, &delete, format!("{}/{}", of("cyd", "access-keys"), house.cyd.key), nothing(), 204),
        (ada, &get, format!("{base_olga}/access-keys"), nothing(), 404),
        // The keys of tokens.
        (olga, &post, TOKEN_KEYS.to_owned(), nothing(), 201),
        (ada, &get, TOKEN_KEYS.to_owned(), nothing(), 403),
        (ada, &post, TOKEN_KEYS.to_owned(), nothing(), 403),
        (ada, &delete, format!("{TOKEN_KEYS}/0123"), nothing(), 403),
    ];
    for (person, method, address, body, status) in rows {
        let answer = ask(&house, person, method, &address, &body).await;
        assert_eq!(answer.status, status, "{} {method} {address} {body}: {answer:?}", person.user.name);
    }
    for address in [ACCOUNTS, ACME, TOKEN_KEYS] {
        let stranger = Request::get(address).body(Full::default()).unwrap();
        assert_eq!(send(&house.management, stranger).await.is(401).json()["error_code"], "APIGW.0301");
    }
}

#[tokio::test]
async fn a_bad_request_is_refused_for_what_it_is_and_changes_nothing() {
    let house = House::new().await;
    house.olga(Method::POST, TOKEN_KEYS, "").await.is(201);
    let before = state(&house).await;
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let bob = format!("{ACME}/bob");
    let (role, password, keys) =
        (format!("{bob}/role"), format!("{bob}/password"), format!("{bob}/access-keys"));
    let last = format!("{ACCOUNTS}/base/users/olga");
    let foreign = format!("{keys}/{}", house.cyd.key);
    let page = |query: &str| format!("{ACME}?{query}");
    let new = |name: Value| json!({ "name": name });
    let rows: Vec<(&Method, String, Value, &str)> = vec![
        // Accounts.
        (&post, ACCOUNTS.into(), Value::Null, "4001018"),
        (&post, ACCOUNTS.into(), json!([]), "4000014"),
        (&post, ACCOUNTS.into(), json!({}), "4001014"),
        (&post, ACCOUNTS.into(), new(json!(7)), "4000014"),
        (&post, ACCOUNTS.into(), new(json!("")), "4000014"),
        (&post, ACCOUNTS.into(), new(json!("a@b")), "4000014"),
        (&post, ACCOUNTS.into(), new(json!("a".repeat(65))), "4000014"),
        (&post, ACCOUNTS.into(), new(json!("acme")), "4091041"),
        (&post, ACCOUNTS.into(), json!({ "name": "x", "id": "0" }), "4000014"),
        (&get, format!("{ACCOUNTS}/nobodys"), Value::Null, "4041041"),
        (&get, format!("{ACCOUNTS}/1"), Value::Null, "4001041"),
        (&put, format!("{ACCOUNTS}/acme"), Value::Null, "4050083"),
        (&delete, format!("{ACCOUNTS}/acme"), Value::Null, "4050083"),
        (&get, "/admin/v1/nothing".into(), Value::Null, "4040083"),
        (&get, "/admin/v1".into(), Value::Null, "4040083"),
        // Users.
        (&post, ACME.into(), json!({}), "4001014"),
        (&post, ACME.into(), new(json!("bob")), "4091067"),
        (&post, ACME.into(), new(json!("-")), "4000014"),
        (&post, ACME.into(), json!({ "name": "x", "role": "king" }), "4000014"),
        (&post, ACME.into(), json!({ "name": "x", "role": "Member" }), "4000014"),
        (&post, ACME.into(), json!({ "name": "x", "password": "short" }), "4000014"),
        (&post, ACME.into(), json!({ "name": "x", "password": "x".repeat(1025) }), "4000014"),
        (&post, ACME.into(), json!({ "name": "x", "password": 12_345_678 }), "4000014"),
        (&post, ACME.into(), json!({ "name": "x", "password_hash": "x" }), "4000014"),
        (&post, format!("{ACCOUNTS}/nobodys/users"), new(json!("x")), "4041041"),
        (&get, format!("{ACME}/nobody"), Value::Null, "4041067"),
        (&get, format!("{ACME}/a@b"), Value::Null, "4001067"),
        (&delete, format!("{ACME}/nobody"), Value::Null, "4041067"),
        (&delete, last.clone(), Value::Null, "4091067"),
        (&put, format!("{last}/role"), json!({ "role": "member" }), "4091067"),
        (&put, role.clone(), json!({}), "4001014"),
        (&put, role.clone(), json!({ "role": null }), "4000014"),
        (&put, role, json!({ "role": "member", "password": "long enough" }), "4000014"),
        (&put, password.clone(), json!({}), "4001014"),
        (&put, password.clone(), json!({ "password": "short" }), "4000014"),
        (&put, password.clone(), json!({ "password": ["long enough"] }), "4000014"),
        (&put, password, json!("long enough"), "4000014"),
        (&put, format!("{ACME}/nobody/password"), json!({ "password": "long enough" }), "4041067"),
        // Keys.
        (&post, keys.clone(), Value::Null, "4001018"),
        (&post, keys.clone(), json!({ "description": 7 }), "4000014"),
        (&post, keys.clone(), json!({ "description": "é".repeat(256) }), "4131012"),
        (&post, keys.clone(), json!({ "secret_access_key": "x" }), "4000014"),
        (&delete, format!("{keys}/NOSUCHKEY"), Value::Null, "4040014"),
        (&delete, format!("{keys}/no-key"), Value::Null, "4000014"),
        // One of somebody else.
        (&delete, foreign, Value::Null, "4040014"),
        (&delete, format!("{TOKEN_KEYS}/0123"), Value::Null, "4040014"),
        (&delete, format!("{TOKEN_KEYS}/x%20y"), Value::Null, "4000014"),
        // Pages.
        (&get, page("limit=0"), Value::Null, "4000056"),
        (&get, page("limit=1001"), Value::Null, "4000056"),
        (&get, page("marker=1"), Value::Null, "4001025"),
    ];
    for (method, address, body, number) in rows {
        let answer = ask(&house, &house.olga, method, &address, &body).await;
        assert_eq!(answer.number(), number, "{method} {address} {body}: {answer:?}");
        assert_eq!(answer.status.as_str(), &number[..3], "{method} {address} {body}");
    }
    let twice = Bytes::from_static(b"{\"name\":\"x\",\"name\":\"y\"}");
    assert_eq!(house.olga(Method::POST, ACME, twice).await.is(400).number(), "4000014");
    assert_eq!(state(&house).await, before);

    for _ in 0..9 {
        house.olga(Method::POST, &keys, json!({})).await.is(201);
    }
    assert_eq!(house.olga(Method::POST, &keys, json!({})).await.is(400).number(), "4000097");
}

#[tokio::test]
async fn what_is_made_works_from_the_answer_on_and_what_is_removed_no_longer() {
    let house = House::new().await;
    let body = json!({ "name": "dot", "role": "administrator", "password": "open, please" });
    let dot = house.ada(Method::POST, ACME, body).await.is(201).json();
    assert_eq!((&dot["role"], &dot["has_password"]), (&json!("administrator"), &json!(true)));
    let password = NewPassword::new(Secret::new("open, please")).unwrap();
    let sign_in = async |password: &str| {
        let body = json!({ "auth": { "identity": { "methods": ["password"], "password": { "user": {
            "name": "dot", "password": password, "domain": { "name": "acme" },
        } } } } });
        let request = Request::post("/v3/auth/tokens").body(Full::new(body.into_body())).unwrap();
        send(&house.tokens, request).await
    };
    let token = sign_in(password.secret().expose()).await.is(201).header("x-subject-token").to_owned();

    let keys = format!("{ACME}/dot/access-keys");
    let made = house.ada(Method::POST, &keys, json!({ "description": "ci" })).await.is(201);
    let dot = with_key(&house.bob, &made);
    house.asks(&dot, Method::GET, ACME, "").await.is(200);
    assert_eq!(made.json()["login"], dot.login().command(crate::house::HOST));

    // A token for a password administers as well, until the password is another.
    let by_token = || {
        let request = Request::get(ACME).header("x-auth-token", &token);
        send(&house.management, request.body(Full::default()).unwrap())
    };
    by_token().await.is(200);
    let change = json!({ "password": "another one" });
    house.asks(&dot, Method::PUT, &format!("{ACME}/dot/password"), change).await.is(204);
    by_token().await.is(401);
    sign_in("open, please").await.is(401);
    sign_in("another one").await.is(201);
    let none = json!({ "password": null });
    house.ada(Method::PUT, &format!("{ACME}/dot/password"), none).await.is(204);
    sign_in("another one").await.is(401);

    house.ada(Method::PUT, &format!("{ACME}/dot/role"), json!({ "role": "member" })).await.is(204);
    house.asks(&dot, Method::GET, ACME, "").await.is(403);
    house.ada(Method::DELETE, &format!("{keys}/{}", dot.key), "").await.is(204);
    house.asks(&dot, Method::GET, ACME, "").await.is(401);
    house.ada(Method::DELETE, &format!("{ACME}/dot"), "").await.is(204);
    house.ada(Method::GET, &format!("{ACME}/dot"), "").await.is(404);
}

#[tokio::test]
async fn the_key_of_tokens_is_rotated_without_ending_any_and_removed_with_all_of_its_own() {
    let house = House::furnished().await;
    let authorization = format!("Basic {}", house.ada.login().auth());
    let issue = async || {
        let address = "/token?service=registry.example&scope=repository:group/app:pull";
        let request = Request::get(address).header("authorization", &authorization);
        let answer = send(&house.tokens, request.body(Full::default()).unwrap()).await.is(200).json();
        answer["token"].as_str().unwrap().to_owned()
    };
    let pulls = async |token: &str| {
        let request =
            Request::get("/v2/group/app/tags/list").header("authorization", format!("Bearer {token}"));
        send(&house.registry, request.body(Full::default()).unwrap()).await.status.as_u16()
    };
    let ids = async || {
        let listed = house.olga(Method::GET, TOKEN_KEYS, "").await.is(200).json();
        let keys = listed["token_keys"].as_array().unwrap().clone();
        let signing: Vec<bool> = keys.iter().map(|key| key["signs"].as_bool().unwrap()).collect();
        (keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), signing)
    };
    let older = issue().await;
    house.clock.advance(TimeDelta::seconds(1));
    let rotated = house.olga(Method::POST, TOKEN_KEYS, "").await.is(201).json();
    let newer = issue().await;
    assert_eq!((pulls(&older).await, pulls(&newer).await), (200, 200));
    let (keys, signing) = ids().await;
    assert_eq!((signing.as_slice(), &json!(keys[1])), (&[false, true][..], &rotated["id"]));
    house.olga(Method::DELETE, &format!("{TOKEN_KEYS}/{}", keys[0]), "").await.is(204);
    assert_eq!((pulls(&older).await, pulls(&newer).await), (401, 200));
    assert_eq!(ids().await.0, [keys[1].clone()]);
}

#[tokio::test]
async fn lists_come_page_by_page_in_the_order_of_their_names() {
    let house = House::new().await;
    for (first, field, expected) in
        [(ACCOUNTS, "accounts", &["acme", "base", "globex"][..]), (ACME, "users", &["ada", "bob", "cyd"][..])]
    {
        for limit in 1..=4 {
            let (mut seen, mut next) = (Vec::new(), String::new());
            loop {
                let address = format!("{first}?limit={limit}{next}");
                let page = house.olga(Method::GET, &address, "").await.is(200).json();
                let entries = page[field].as_array().unwrap();
                assert!(entries.len() <= limit);
                seen.extend(entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()));
                let Some(marker) = page["next_marker"].as_str() else { break };
                next = format!("&marker={marker}");
            }
            assert_eq!(seen, expected, "{limit}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_in_one_answer_and_in_no_other_and_in_no_trace() {
    let house = House::new().await;
    const GUESSED: &str = "correct horse battery";
    let made = house.ada(Method::POST, ACME, json!({ "name": "dot", "password": GUESSED })).await.is(201);
    let mut answers = vec![made];
    let new = |name: &str| json!({ "name": name, "password": GUESSED });
    let password = format!("{ACME}/dot/password");
    answers.push(house.ada(Method::PUT, &password, json!({ "password": GUESSED })).await.is(204));
    answers.push(house.bob(Method::POST, ACME, new("eli")).await.is(403));
    answers.push(house.ada(Method::POST, ACME, new("dot")).await.is(409));
    answers.push(house.bob(Method::PUT, &password, json!({ "password": GUESSED })).await.is(403));
    for wrong in [json!(GUESSED), json!([GUESSED]), json!({ "password": { "text": GUESSED } })] {
        answers.push(house.ada(Method::PUT, &password, wrong).await.is(400));
    }
    let role = json!({ "role": "member", "password": GUESSED });
    answers.push(house.ada(Method::PUT, &format!("{ACME}/dot/role"), role).await.is(400));
    let keys = format!("{ACME}/dot/access-keys");
    let shown = house.ada(Method::POST, &keys, json!({})).await.is(201);
    assert_eq!(shown.header("cache-control"), "no-store");
    let dot = with_key(&house.bob, &shown);
    let login = dot.login().password;
    answers.push(house.ada(Method::GET, &keys, "").await.is(200));
    answers.push(house.ada(Method::GET, ACME, "").await.is(200));
    while house.management.refusals().record().await.unwrap() > 0 {}
    let address = format!("/v3/{}/traces?trace_type=system&limit=200", house.ada.account.project);
    let traces = house.ada(Method::GET, &address, "").await.is(200);
    let refused = |traces: &Value, name: &str| {
        let traces = traces["traces"].as_array().unwrap().iter();
        traces.filter(|it| it["trace_name"] == name && it["trace_rating"] == "warning").count()
    };
    let listed = traces.json();
    assert_eq!((refused(&listed, "createUser"), refused(&listed, "updateUser")), (2, 5));
    answers.push(traces);
    for answer in answers {
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        for secret in [GUESSED, PASSWORD, dot.secret.expose(), login.expose(), "$argon2"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
